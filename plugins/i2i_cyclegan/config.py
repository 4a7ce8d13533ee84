"""What of CycleGAN can be set; the defaults are the paper's (Zhu et al. 2017, arXiv:1703.10593, sections 4 and 7)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from i2i.config import LeastSquares, NonNegative, Positive, RunConfig, Section, TrainerConfig
from i2i.nn.limits import Norm, check_halvings, check_patches


class CycleGANGame(Section):
    """The four networks, and the weights of what the generators minimise beside the game."""

    filters: Positive = Field(64, description="of the generators' first layer; doubled with each of two halvings")
    blocks: Annotated[int, Field(ge=0, le=32)] | None = Field(
        None, description="residual blocks of a generator; null: 6, and 9 from 256 pixels"
    )
    norm: Norm = Field("instance", description="batch, instance, affine (instance with scale and shift) or none")
    upsampling: Literal["transposed", "nearest"] = Field(
        "transposed", description="transposed convolutions, as published, or nearest: leaves no checkerboard"
    )
    skip: bool = Field(
        False, description="generators change the image itself, and begin by copying it; false as published"
    )
    statistics: Literal["image", "running"] = Field(
        "running", description="of a deployed batch norm: each image's own, or running averages"
    )
    discriminator_filters: Positive = Field(64, description="of each PatchGAN's first layer")
    discriminator_layers: Annotated[int, Field(ge=1, le=6)] = Field(3, description="3 sees patches of 70 x 70")
    discriminator_norm: Norm = Field(
        "instance", description="batch, instance, affine (instance with scale and shift) or none"
    )
    lambda_cycle: NonNegative = Field(10.0, description="weight of the difference after there and back again")
    lambda_identity: NonNegative = Field(
        0.5, description="times lambda_cycle: weight of what a generator changes in an image that needs no change"
    )
    translation_noise: NonNegative = Field(
        0.0,
        description="deviation, of a range from -1 to 1, of noise on what is translated back: against hidden details",
    )


class CycleGANTrainer(TrainerConfig):
    """Time, with a memory of 50 fakes."""

    pool: Annotated[int, Field(ge=0)] = Field(50, description="earlier fakes kept to show the discriminators again")


class CycleGANConfig(RunConfig):
    """A run of CycleGAN."""

    plugin: str = Field("cyclegan", description="which architecture")
    game: CycleGANGame = Field(default_factory=CycleGANGame, description="networks and weights")
    objective: LeastSquares = Field(default_factory=LeastSquares, description="the game's value")
    trainer: CycleGANTrainer = Field(default_factory=CycleGANTrainer, description="time")

    @property
    def blocks(self) -> int:
        """Residual blocks of a generator."""
        if self.game.blocks is not None:
            return self.game.blocks
        return 6 if self.data.size < 256 else 9

    @model_validator(mode="after")
    def _channels_suit_the_terms(self) -> CycleGANConfig:
        given, wanted = self.data.input_channels, self.data.target_channels
        if given == wanted:
            return self
        channels = f"but data.input_channels is {given} and data.target_channels {wanted}"
        if self.game.lambda_identity > 0 and self.game.lambda_cycle > 0:
            raise ValueError(
                f"game.lambda_identity {self.game.lambda_identity:g} gives each generator an image of what it makes, "
                f"{channels}: set game.lambda_identity to 0, or the channels to one number"
            )
        if self.game.skip:
            raise ValueError(
                f"game.skip adds the image to what a generator makes of it, {channels}: "
                "set game.skip to false, or the channels to one number"
            )
        return self

    @model_validator(mode="after")
    def _size_suits_the_networks(self) -> CycleGANConfig:
        check_halvings(self.data.size, 2)
        check_patches(self.data.size, self.game.discriminator_layers)
        return self
