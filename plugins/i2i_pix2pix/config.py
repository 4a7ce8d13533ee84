"""What of pix2pix can be set; the defaults are the paper's (Isola et al. 2017, arXiv:1611.07004, sections 3 and 6)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from i2i.config import NonNegative, Positive, RunConfig, Section
from i2i.nn.limits import Norm, check_halvings, check_patches


class Pix2PixGame(Section):
    """The two networks and the weight of L1."""

    network: Literal["unet", "resnet"] = Field(
        "unet", description="the generator: unet as published, or CycleGAN's resnet"
    )
    filters: Positive = Field(
        64, description="of the generator's first layer; doubled with each halving, of a U-Net up to eight times"
    )
    depth: Annotated[int, Field(ge=2, le=10)] | None = Field(
        None, description="halvings in the U-Net; null: as many as the size allows, 8 at most"
    )
    blocks: Annotated[int, Field(ge=0, le=32)] = Field(9, description="residual blocks of the resnet")
    norm: Norm = Field("batch", description="batch, instance, affine (instance with scale and shift) or none")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5, description="the noise z: share of features put out; of the U-Net"
    )
    dropout_blocks: Annotated[int, Field(ge=0)] = Field(3, description="decoder blocks with dropout, from the inside")
    statistics: Literal["image", "running"] = Field(
        "image", description="deployed batch norm: each image's own statistics, as published, or running averages"
    )
    discriminator_filters: Positive = Field(64, description="of the PatchGAN's first layer")
    discriminator_layers: Annotated[int, Field(ge=1, le=6)] = Field(3, description="3 sees patches of 70 x 70")
    discriminator_norm: Norm = Field(
        "batch", description="batch, instance, affine (instance with scale and shift) or none"
    )
    lambda_l1: NonNegative = Field(100.0, description="weight of the mean absolute difference")


class Pix2PixConfig(RunConfig):
    """A run of pix2pix."""

    plugin: str = Field("pix2pix", description="which architecture")
    game: Pix2PixGame = Field(default_factory=Pix2PixGame, description="networks and weights")

    @property
    def depth(self) -> int:
        """Halvings in the U-Net."""
        return self.game.depth if self.game.depth is not None else min(8, _halvings(self.data.size))

    @model_validator(mode="after")
    def _size_can_be_halved(self) -> Pix2PixConfig:
        if self.game.network == "resnet":
            needed = 2
        else:
            needed = self.game.depth if self.game.depth is not None else 5  # fewer see too little of the image
        check_halvings(self.data.size, needed)
        check_patches(self.data.size, self.game.discriminator_layers)
        return self


def _halvings(size: int) -> int:
    return (size & -size).bit_length() - 1
