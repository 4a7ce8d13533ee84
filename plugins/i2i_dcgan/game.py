"""DCGAN as a game: there is no condition (Goodfellow et al., arXiv:1406.2661; Radford et al., arXiv:1511.06434)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import final

from torch import Tensor, nn

from i2i.games.game import Batch, Game, Match, NoiseExport, Outputs
from i2i.nn.from_noise.networks import discriminator, generator
from i2i_dcgan.config import DCGANConfig


@final
class DCGAN(Game):
    """Noise to images. A batch holds `noise`, `[N, Z]`, and `target`, `[N, C, H, W]`."""

    statistics = "running"  # normalising each image by its own statistics would take out much of what the noise says

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.generators = nn.ModuleDict({"G": generator(config)})
        self.discriminators = nn.ModuleDict({"D": discriminator(config)})
        self.noise = config.game.noise
        self.made = config.data.target_channels, config.data.size
        self.warnings = config.notes()

    def generate(self, batch: Batch) -> Outputs:
        """Images of the noise, `fake`."""
        return {"fake": self.generators["G"](batch["noise"])}

    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """Real and fake."""
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"])

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """What is made, and real images, which it has nothing else to do with."""
        return {"output": self.generate(batch)["fake"], "target": batch["target"]}

    def notes(self) -> Sequence[str]:
        """Settings that work against each other."""
        return self.warnings

    def exports(self) -> Mapping[str, NoiseExport]:
        """The generator."""
        return {"G": NoiseExport(self.generators["G"], *self.made, noise=self.noise)}


def build(config: DCGANConfig) -> DCGAN:
    """The game of a resolved configuration, freshly initialised."""
    return DCGAN(config)
