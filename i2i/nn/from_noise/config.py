"""What of a noise-to-image game can be set; imports no torch, for manifests do not.

The defaults are those of DCGAN (Radford et al. 2016, arXiv:1511.06434, section 3 and figure 1) and, for
`architecture: mlp`, those of the first GAN (Goodfellow et al. 2014, arXiv:1406.2661, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from i2i.config import DataConfig, Positive, RunConfig, Section, TrainerConfig

Architecture = Literal["conv", "mlp"]
DiscriminatorNorm = Literal["batch", "instance", "spectral", "none"]
SIZES = (32, 64, 128)


class FromNoise(Section):
    """The two networks."""

    architecture: Architecture = Field(
        "conv", description="conv: convolutions, at 32, 64 or 128 pixels; mlp: fully connected, at any size"
    )
    noise: Positive = Field(100, description="length of the noise z")
    filters: Positive = Field(
        128, description="conv: of the generator's last hidden layer; doubled with each before it, up to eight times"
    )
    discriminator_filters: Positive = Field(128, description="conv: of the discriminator's first layer, likewise")
    discriminator_norm: DiscriminatorNorm = Field(
        "batch", description="conv: batch, instance, spectral or none; a gradient penalty wants any but batch"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.5, description="mlp: share of hidden features put out while the discriminator learns"
    )


class FromNoiseData(DataConfig):
    """Images, all of each unless a larger size to cut from is named."""

    size: Annotated[int, Field(ge=8)] = Field(64, description="pixels along the side of the images that are made")
    load_size: Positive | None = Field(
        None, description="images are resized to this before a square of `size` is cut; null: `size`"
    )

    @property
    def resized(self) -> int:
        """Pixels along the side, or the shorter side, before cutting."""
        return self.load_size if self.load_size is not None else self.size


class FromNoiseTrainer(TrainerConfig):
    """Time, with batches as large as published."""

    batch: Positive = Field(128, description="images in one move")


class FromNoiseConfig(RunConfig):
    """A run of a noise-to-image plugin."""

    data: FromNoiseData = Field(default_factory=FromNoiseData, description="images")
    game: FromNoise = Field(default_factory=FromNoise, description="networks")
    trainer: FromNoiseTrainer = Field(default_factory=FromNoiseTrainer, description="time")

    @model_validator(mode="after")
    def _size_suits_the_networks(self) -> FromNoiseConfig:
        size = self.data.size
        if self.game.architecture == "conv" and size not in SIZES:
            nearest = min(SIZES, key=lambda known: abs(known - size))
            raise ValueError(
                f"data.size {size}: the convolutional networks make images of 32, 64 or 128 pixels: "
                f"choose {nearest}, or game.architecture mlp"
            )
        return self

    def notes(self) -> list[str]:
        """What a person should know of these settings, a sentence each."""
        penalised = [name for name in ("gradient_penalty", "r1", "r2") if getattr(self.objective, name).weight > 0]
        if penalised and self.game.architecture == "conv" and self.game.discriminator_norm == "batch":
            return [  # arXiv:1704.00028, section 4
                f"objective.{penalised[0]} is of each image, but batch norm makes the discriminator judge the batch: "
                "set game.discriminator_norm to instance, spectral or none"
            ]
        return []


SMALL: Final[Mapping[str, object]] = {"game": {"filters": 4, "discriminator_filters": 4, "noise": 8}}
EXAMPLE: Final[Mapping[str, object]] = {"data": {"source": "digits", "target_channels": 1, "flip": False}}


def presets(*, r1: float, steps: int) -> Mapping[str, Mapping[str, object]]:
    """A first run on the embedded digits, in minutes on two cores; `r1` and `steps` are for these.

    R1 instead of batch norm in the discriminator makes a learning rate three times the published one stable.
    """
    common: Mapping[str, object] = {
        "data": {"size": 32},
        "objective": {"r1": {"weight": r1, "interval": 8}},
    }
    small = {"filters": 32, "discriminator_filters": 32, "discriminator_norm": "none"}
    large = {"filters": 64, "discriminator_filters": 64, "discriminator_norm": "none"}
    return {
        "cpu": {
            **common,
            "game": small,
            "trainer": {"steps": steps, "batch": 64, "lr": 6e-4, "validate_every": steps // 8},
        },
        "cuda": {**common, "game": large, "trainer": {"steps": 10_000, "batch": 64, "lr": 4e-4}},
    }
