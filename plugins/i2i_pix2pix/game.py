"""pix2pix as a game: the condition is the input image (Isola et al. 2017, arXiv:1611.07004)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from i2i.games.game import Batch, Export, Game, Match, Outputs
from i2i.nn.init import he_, normal_
from i2i.nn.resnet import begin_as_identity_
from i2i_pix2pix.config import Pix2PixConfig
from i2i_pix2pix.networks import discriminator, generator


@final
class Pix2Pix(Game):
    """Paired translation: a conditional game plus L1 (eq. 4). A batch holds `input` and `target`, `[N, C, H, W]`."""

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        network = generator(config)
        self.generators = nn.ModuleDict({"G": network})
        self.discriminators = nn.ModuleDict({"D": discriminator(config)})
        self.statistics = config.game.statistics
        self.lambda_l1 = config.game.lambda_l1
        self.channels = config.data.input_channels, config.data.target_channels
        self.multiple, self.minimum = network.multiple, network.minimum
        for player, norm in (("generators", config.game.norm), ("discriminators", config.game.discriminator_norm)):
            (he_ if norm == "none" else normal_)(getattr(self, player))
        if config.game.norm == "none":
            begin_as_identity_(self.generators)

    def generate(self, batch: Batch) -> Outputs:
        """The translation, `fake`."""
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """Real and fake, each seen beside the input."""
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], condition=batch["input"])

    def terms(self, batch: Batch, outputs: Outputs) -> Mapping[str, Tensor]:
        """L1 to the target (eq. 3)."""
        return {"l1": self.lambda_l1 * F.l1_loss(outputs["fake"], batch["target"])}

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """Input, output, target."""
        return {"input": batch["input"], "output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self) -> Mapping[str, Export]:
        """The generator."""
        return {"G": Export(self.generators["G"], *self.channels, multiple=self.multiple, minimum=self.minimum)}


def build(config: Pix2PixConfig) -> Pix2Pix:
    """The game of a resolved configuration, freshly initialised."""
    return Pix2Pix(config)
