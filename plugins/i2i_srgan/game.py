"""SRGAN as a game: the generator alone sees the small image (Ledig et al. 2017, arXiv:1609.04802)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.games.game import Batch, Export, Game, Match, Outputs
from i2i.nn.features import FeatureNetwork
from i2i_srgan.config import SRGANConfig
from i2i_srgan.networks import discriminator, generator, perceptual

SHIFT: Final = 16  # pixels: the largest step of the feature networks, and the least that they can be shown


@final
class SRGAN(Game):
    """Super-resolution: the squared error alone, or a game and a content loss (eq. 3).

    A batch holds `input` `[N, C, H, W]` and `target` `[N, C, scale * H, scale * W]`.
    """

    statistics = "running"

    def __init__(self, config: SRGANConfig) -> None:
        super().__init__()
        self.opposed = config.stage != "content"
        self.generators = nn.ModuleDict({"G": generator(config)})
        self.discriminators = nn.ModuleDict({"D": discriminator(config)} if self.opposed else {})
        self.scale = config.data.scale
        self.channels = config.data.input_channels, config.data.target_channels
        self.lambda_content = config.game.lambda_content
        self.measure = config.game.perceptual
        self._settings = config.game
        # Opened when it is needed. In a tuple, so that it is no part of the game: it is neither trained nor saved.
        self._seeing: tuple[FeatureNetwork, ...] = ()

    def generate(self, batch: Batch) -> Outputs:
        """The large image, `fake`."""
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """Real and fake, without the small image; none in the first stage."""
        if self.opposed:
            yield Match(self.discriminators["D"], batch["target"], outputs["fake"])

    def terms(self, batch: Batch, outputs: Outputs) -> Mapping[str, Tensor]:
        """The squared error of pixels in the first stage (eq. 4), in the second that of the chosen features (eq. 5)."""
        fake, target = outputs["fake"], batch["target"]
        if not self.opposed:
            return {"mse": F.mse_loss(fake, target)}
        if self.measure == "mse":
            return {"mse": self.lambda_content * F.mse_loss(fake, target)}
        self.demand()
        (network,) = self._seeing
        network.to(fake.device)
        # Networks that skip pixels see some better than others; seen from one place, they would draw a grid.
        room = min(SHIFT, *(side - SHIFT + 1 for side in fake.shape[2:]))
        top, left = (int(torch.randint(room, ())) for _ in range(2))
        fake, target = fake[..., top:, left:], target[..., top:, left:]
        with torch.no_grad():
            wanted = network.maps(target)
        losses = [F.mse_loss(made.float(), like.float()) for made, like in zip(network.maps(fake), wanted, strict=True)]
        return {"perceptual": self.lambda_content * torch.stack(losses).sum()}

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """The small image, the large one made of it, and the true one."""
        return {"input": batch["input"], "output": self.generate(batch)["fake"], "target": batch["target"]}

    def demand(self) -> None:
        """Opens the network that sees; before the first stage too, so that a lack of it is known before hours of it."""
        if self.measure != "mse" and not self._seeing:
            self._seeing = (perceptual(self._settings),)

    def notes(self) -> Sequence[str]:
        """What stands for the content, which decides more than anything else what the images look like."""
        if not self.opposed:
            return ("the generator minimises the squared error of pixels alone (SRResNet)",)
        content = "the squared error of pixels" if self.measure == "mse" else f"the ImageNet features of {self.measure}"
        return (f"content loss: {content}, {self.lambda_content:g} times",)

    def exports(self) -> Mapping[str, Export]:
        """The generator."""
        return {"G": Export(self.generators["G"], *self.channels, multiple=1, scale=self.scale)}


def build(config: SRGANConfig) -> SRGAN:
    """The game of a resolved configuration of one stage, freshly initialised."""
    return SRGAN(config)
