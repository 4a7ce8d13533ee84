"""What of CUT can be set; the defaults are the paper's (Park et al. 2020, arXiv:2007.15651, appendix C.1)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from i2i.config import LeastSquares, NonNegative, Positive, RunConfig, Section
from i2i.nn.limits import Norm, check_halvings, check_patches

NORMS = "batch, instance, affine (instance with scale and shift) or none"


class CUTGame(Section):
    """The three networks, and the weights of what the generator minimises beside the game."""

    filters: Positive = Field(64, description="of the generator's first layer; doubled with each of two halvings")
    blocks: Annotated[int, Field(ge=0, le=32)] = Field(9, description="residual blocks of the generator")
    norm: Norm = Field("instance", description=NORMS)
    downsampling: Literal["blurred", "strided"] = Field(
        "blurred", description="convolutions and a blur, as published, or convolutions of stride 2: faster"
    )
    upsampling: Literal["bilinear", "nearest", "transposed"] = Field(
        "bilinear", description="bilinear as published, repeated pixels, or transposed convolutions"
    )
    skip: bool = Field(
        False, description="the generator changes the image itself, and begins by copying it; false as published"
    )
    statistics: Literal["image", "running"] = Field(
        "running", description="of a deployed batch norm: each image's own, or running averages"
    )
    discriminator_filters: Positive = Field(64, description="of the PatchGAN's first layer")
    discriminator_layers: Annotated[int, Field(ge=1, le=6)] = Field(3, description="3 sees patches of about 70 x 70")
    discriminator_norm: Norm = Field("instance", description=NORMS)
    lambda_nce: NonNegative = Field(1.0, description="weight of the contrast between patches; FastCUT: 10")
    identity: bool = Field(
        True, description="the contrast counts for images that need no change too, half each; FastCUT: false"
    )
    flip: bool = Field(
        False, description="half of the inputs are translated mirrored, and compared as they were; FastCUT: true"
    )
    layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="whose features are compared: image, down1, down2, block1 and so on; null: these and block5",
    )
    patches: Annotated[int, Field(ge=2)] = Field(256, description="places that are compared in an image, at each layer")
    projection: Positive = Field(256, description="features of a patch when it is compared")
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        0.07, description="of the contrast: lower looks more at the patches that are most alike"
    )


class CUTConfig(RunConfig):
    """A run of CUT."""

    plugin: str = Field("cut", description="which architecture")
    game: CUTGame = Field(default_factory=CUTGame, description="networks and weights")
    objective: LeastSquares = Field(default_factory=LeastSquares, description="the game's value")

    @property
    def layers(self) -> tuple[str, ...]:
        """Whose features are compared: by default the image, both halvings, and the first and the fifth block."""
        if self.game.layers is not None:
            return self.game.layers
        blocks = dict.fromkeys(f"block{min(number, self.game.blocks)}" for number in (1, 5) if self.game.blocks)
        return ("image", "down1", "down2", *blocks)

    @model_validator(mode="after")
    def _layers_are_there(self) -> CUTConfig:
        for name in self.layers:
            number = re.fullmatch(r"block([1-9]\d*)", name)
            if name not in ("image", "down1", "down2") and not (number and int(number[1]) <= self.game.blocks):
                blocks = f", block1 to block{self.game.blocks}" if self.game.blocks else ""
                raise ValueError(
                    f"game.layers: the generator has no layer '{name}': choose of image, down1, down2{blocks}"
                )
        if len(set(self.layers)) < len(self.layers):
            raise ValueError("game.layers names a layer twice")
        return self

    @model_validator(mode="after")
    def _channels_are_one_number(self) -> CUTConfig:
        given, wanted = self.data.input_channels, self.data.target_channels
        if given != wanted:
            raise ValueError(
                f"data.input_channels is {given} and data.target_channels {wanted}, but the generator also looks at "
                "what it has made, to compare patches: set both to one number"
            )
        return self

    @model_validator(mode="after")
    def _size_suits_the_networks(self) -> CUTConfig:
        check_halvings(self.data.size, 2)
        check_patches(self.data.size, self.game.discriminator_layers)
        return self
