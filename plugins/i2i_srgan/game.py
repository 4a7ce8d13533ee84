"""SRGAN as a game: the generator alone sees the small image (Ledig et al. 2017, arXiv:1609.04802)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.games.game import Batch, Export, Game, Match, Outputs
from i2i.nn.features import FeatureNetwork, shifted
from i2i.nn.precision import precise
from i2i_srgan.config import SRGANConfig
from i2i_srgan.networks import discriminator, generator, perceptual


@final
class SRGAN(Game):
    """Super-resolution: the error of pixels alone, or a game and a content loss (eq. 3).

    A batch holds `input` `[N, C, H, W]` and `target` `[N, C, scale * H, scale * W]`, H and W multiples of `multiple`.
    """

    statistics = "running"

    def __init__(self, config: SRGANConfig) -> None:
        super().__init__()
        self.opposed = config.stage != "content"
        self.generators = nn.ModuleDict({"G": generator(config)})
        self.discriminators = nn.ModuleDict({"D": discriminator(config)} if self.opposed else {})
        self.scale = config.data.scale
        self.multiple = config.unshuffle
        self.channels = config.data.input_channels, config.data.target_channels
        self.lambda_content = config.game.lambda_content
        self.lambda_pixels = config.game.lambda_pixels
        self.error = config.game.error
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
        """The error of pixels in the first stage (eq. 4), in the second that of the chosen features (eq. 5).

        There with that of pixels beside it where `lambda_pixels` is not 0 (arXiv:1809.00219, eq. 3).
        """
        fake, target = outputs["fake"], batch["target"]
        if not self.opposed:
            return {"mse" if self.error == "squared" else "l1": self._error(fake, target)}
        beside = {"pixels": self.lambda_pixels * self._error(fake, target)} if self.lambda_pixels else {}
        if self.measure == "mse":
            return {"mse": self.lambda_content * F.mse_loss(fake, target), **beside}
        self.demand()
        (network,) = self._seeing
        network.to(fake.device)
        fake, target = shifted(fake, target)
        with torch.no_grad():
            wanted = network.maps(target)
        errors = [
            self._error(precise(made), precise(like)) for made, like in zip(network.maps(fake), wanted, strict=True)
        ]
        return {"perceptual": self.lambda_content * torch.stack(errors).sum(), **beside}

    def _error(self, made: Tensor, wanted: Tensor) -> Tensor:
        return F.mse_loss(made, wanted) if self.error == "squared" else F.l1_loss(made, wanted)

    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """The small image, the large one made of it, and the true one."""
        image = batch["input"]
        height, width = image.shape[2:]
        # As images of any size are translated: padded below and to the right, and what is made of that cut off.
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        whole = F.pad(image, padding, mode="reflect") if any(padding) else image
        made = self.generators["G"](whole)[..., : height * self.scale, : width * self.scale]
        return {"input": image, "output": made, "target": batch["target"]}

    def demand(self) -> None:
        """Opens the network that sees; before the first stage too, so that a lack of it is known before hours of it."""
        if self.measure != "mse" and not self._seeing:
            self._seeing = (perceptual(self._settings),)

    def notes(self) -> Sequence[str]:
        """What stands for the content, which decides more than anything else what the images look like."""
        if not self.opposed:
            return (f"the generator minimises the {self.error} error of pixels alone ({self._settings.network})",)
        content = "the squared error of pixels" if self.measure == "mse" else f"the ImageNet features of {self.measure}"
        beside = f", and the {self.error} error of pixels, {self.lambda_pixels:g} times" if self.lambda_pixels else ""
        return (f"content loss: {content}, {self.lambda_content:g} times{beside}",)

    def exports(self) -> Mapping[str, Export]:
        """The generator."""
        return {"G": Export(self.generators["G"], *self.channels, multiple=self.multiple, scale=self.scale)}


def build(config: SRGANConfig) -> SRGAN:
    """The game of a resolved configuration of one stage, freshly initialised."""
    return SRGAN(config)
