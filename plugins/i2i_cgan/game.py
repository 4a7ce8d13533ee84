"""The conditional GAN as a game: the condition is a class (Mirza & Osindero 2014, arXiv:1411.1784)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from i2i.errors import ConfigError
from i2i.games.game import Batch, Game, Match, NoiseExport, Outputs
from i2i.nn.from_noise.networks import discriminator, generator
from i2i_cgan.config import CGANConfig


class OfLabels(nn.Module):
    """A generator that takes the number of the class, as it is deployed."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.classes = classes

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """Images of noise `[N, Z]` and labels `[N]`, int64."""
        images: Tensor = self.network(noise, one_hot(label, self.classes))
        return images


def one_hot(label: Tensor, classes: int) -> Tensor:
    """Labels `[N]`, from 0 to `classes` - 1, as both networks see them: `[N, classes]`, 1 at the label, else 0."""
    return F.one_hot(label, classes).float()


@final
class CGAN(Game):
    """Noise and a class to images (eq. 2).

    A batch holds `noise` `[N, Z]`, `label` `[N]` and `target` `[N, C, H, W]`.
    """

    statistics = "running"  # normalising each image by its own statistics would take out much of what the noise says

    def __init__(self, config: CGANConfig) -> None:
        super().__init__()
        if config.data.classes is None:
            raise ConfigError("data.classes: not known", "Name the classes, or open the data, which has them.")
        self.classes = config.data.classes
        self.generators = nn.ModuleDict({"G": generator(config, len(self.classes))})
        self.discriminators = nn.ModuleDict({"D": discriminator(config, len(self.classes))})
        self.noise = config.game.noise
        self.made = config.data.target_channels, config.data.size
        self.warnings = config.notes()

    def generate(self, batch: Batch) -> Outputs:
        """Images of the noise and the classes, `fake`."""
        return {"fake": self.generators["G"](batch["noise"], self._condition(batch))}

    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """Real and fake of one class, seen with that class."""
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], self._condition(batch))

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """What is made, and real images of the same classes."""
        return {"output": self.generate(batch)["fake"], "target": batch["target"]}

    def notes(self) -> Sequence[str]:
        """Settings that work against each other."""
        return self.warnings

    def exports(self) -> Mapping[str, NoiseExport]:
        """The generator, by the number of the class."""
        network = OfLabels(self.generators["G"], len(self.classes))
        return {"G": NoiseExport(network, *self.made, noise=self.noise, classes=self.classes)}

    def _condition(self, batch: Batch) -> Tensor:
        return one_hot(batch["label"], len(self.classes)).to(batch["noise"].dtype)


def build(config: CGANConfig) -> CGAN:
    """The game of a resolved configuration, freshly initialised."""
    return CGAN(config)
