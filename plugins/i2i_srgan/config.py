"""What of SRGAN can be set; the defaults are the paper's (Ledig et al. 2017, arXiv:1609.04802, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from i2i.config import DataConfig, NonNegative, Positive, RunConfig, ScheduleConfig, Section, TrainerConfig
from i2i.errors import ConfigError

Stage = Literal["both", "content", "gan"]
Network = Literal["srresnet", "msrresnet", "rrdbnet"]
Perceptual = Literal["vgg19-relu5_4", "vgg19-relu2_2", "vgg19-conv5_4", "efficientnet-lite0", "mse"]
_SCALES: Final[Mapping[Network, tuple[int, ...]]] = {
    "srresnet": (2, 4, 8),
    "msrresnet": (2, 3, 4),
    "rrdbnet": (1, 2, 3, 4, 8),
}
_BLOCKS: Final[Mapping[Network, int]] = {"srresnet": 16, "msrresnet": 16, "rrdbnet": 23}
_UNSHUFFLE: Final = {1: 4, 2: 2}  # by the scale; 1 for others


class SRGANData(DataConfig):
    """Images of high resolution, of which small ones are made; or both."""

    source: str = Field("photos", min_length=1, description="a folder, or the name of an embedded set")
    scale: Literal[1, 2, 3, 4, 8] = Field(
        4, description="2, 4 or 8, of some networks 3 or 1: pixels of the target along a side for one of the input"
    )
    size: Annotated[int, Field(ge=8)] = Field(
        96, description="pixels along the side of the squares that are trained on; also what the discriminator takes"
    )
    fit: Literal["stretch", "scale", "none"] = Field(
        "none", description="none: squares are cut from the images as they are; scale: the shorter side to load_size"
    )


class SRGANGame(Section):
    """The two networks, and what the generator minimises beside the game."""

    network: Network = Field(
        "srresnet", description="the generator: srresnet as published, BasicSR's msrresnet, or ESRGAN's rrdbnet"
    )
    filters: Positive = Field(64, description="of every layer of the generator")
    blocks: Positive | None = Field(None, description="residual blocks of the generator; null: 16, of an rrdbnet 23")
    growth: Positive = Field(32, description="rrdbnet: filters that each convolution of a dense block adds")
    unshuffle: Literal[1, 2, 4] | None = Field(
        None, description="rrdbnet: its blocks see so many times fewer pixels a side; null: for a scale of 2 2, of 1 4"
    )
    start: Literal["interpolation", "random"] = Field(
        "interpolation", description="srresnet: first weights, those of an interpolation, or drawn"
    )
    discriminator_filters: Positive = Field(64, description="of the discriminator's first layer")
    discriminator_dense: Positive = Field(1024, description="width of the discriminator's last layer but one")
    perceptual: Perceptual = Field(
        "vgg19-relu5_4",
        description="content of the second stage: features of vgg19-relu5_4, vgg19-relu2_2, ESRGAN's vgg19-conv5_4 or "
        "efficientnet-lite0, or mse",
    )
    perceptual_weights: str | None = Field(
        None, min_length=1, description="file of VGG19's weights; null: those that torchvision has downloaded"
    )
    lambda_content: NonNegative = Field(
        1000.0, description="weight of the content beside the game; published as 0.001 of the game beside the content"
    )
    lambda_pixels: NonNegative = Field(0.0, description="weight of the pixels' error beside both, as ESRGAN has it")
    error: Literal["squared", "absolute"] = Field(
        "squared", description="which differences of pixels and of features are averaged; ESRGAN: absolute"
    )

    @field_validator("perceptual_weights")
    @classmethod
    def _wherever_it_is_gone_on_with(cls, path: str | None) -> str | None:
        return None if path is None else str(Path(path).expanduser().absolute())


class SRGANTrainer(TrainerConfig):
    """Time, of the second stage where there are two."""

    steps: Positive = Field(200_000, description="moves of the generators; of the second stage where there are two")
    batch: Positive = Field(16, description="images in one move")
    lr: float = Field(1e-4, gt=0, allow_inf_nan=False, description="Adam's learning rate")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.999), description="Adam's decay rates of the first and second moment"
    )


class ContentConfig(Section):
    """How the first stage differs from `trainer`; null: not at all."""

    times: float = Field(5.0, gt=0, allow_inf_nan=False, description="so many times the steps of trainer.steps")
    batch: Positive | None = Field(None, description="images in one move")
    lr: float | None = Field(None, gt=0, allow_inf_nan=False, description="Adam's learning rate")
    schedule: ScheduleConfig | None = Field(None, description="of the learning rate")
    ema: float | None = Field(None, ge=0, lt=1, description="decay of the running average of the generator's weights")


class SRGANConfig(RunConfig):
    """A run of SRGAN."""

    plugin: str = Field("srgan", description="which architecture")
    stage: Stage = Field(
        "both", description="content: the squared error alone (SRResNet); gan: from the run `init` on; both: one by one"
    )
    data: SRGANData = Field(default_factory=SRGANData, description="images")
    game: SRGANGame = Field(default_factory=SRGANGame, description="networks and weights")
    content: ContentConfig = Field(default_factory=ContentConfig, description="the first stage")
    trainer: SRGANTrainer = Field(default_factory=SRGANTrainer, description="time")

    @model_validator(mode="after")
    def _channels_are_alike(self) -> SRGANConfig:
        channels = self.data.input_channels, self.data.target_channels
        if channels not in ((1, 1), (3, 3)):
            raise ValueError(
                f"data.input_channels {channels[0]} and data.target_channels {channels[1]}: "
                "both are 3 for colour, or 1 for grey, here"
            )
        return self

    @property
    def blocks(self) -> int:
        """Of the generator."""
        return _BLOCKS[self.game.network] if self.game.blocks is None else self.game.blocks

    @property
    def unshuffle(self) -> int:
        """Pixels along the side of the squares that the generator's blocks work on, of which its images are multiples.

        As in Real-ESRGAN (arXiv:2107.10833, section 3.4) where nothing else is said.
        """
        if self.game.network != "rrdbnet":
            return 1
        return _UNSHUFFLE.get(self.data.scale, 1) if self.game.unshuffle is None else self.game.unshuffle

    @model_validator(mode="after")
    def _network_has_scale_and_filters(self) -> SRGANConfig:
        network, scale, filters = self.game.network, self.data.scale, self.game.filters
        if scale not in _SCALES[network]:
            *others, last = map(str, _SCALES[network])
            raise ValueError(f"data.scale {scale}: {network} makes images {', '.join(others)} or {last} times as large")
        if scale == 3 and self.unshuffle > 1:
            raise ValueError(f"game.unshuffle {self.unshuffle}: goes with a data.scale of 1, 2, 4 or 8, not 3")
        needed = 2 * self.data.target_channels
        if network == "srresnet" and self.game.start == "interpolation" and filters < needed:
            raise ValueError(f"game.filters {filters}: an interpolation takes {needed}, or set game.start to random")
        return self

    @model_validator(mode="after")
    def _size_suits_generator_and_discriminator(self) -> SRGANConfig:
        size, scale, step = self.data.size, self.data.scale, self.data.scale * self.unshuffle
        if size % step or size < 16:
            unshuffled = f", which the generator unshuffles by {self.unshuffle}" if self.unshuffle > 1 else ""
            raise ValueError(
                f"data.size {size}: the discriminator halves it four times and data.scale is {scale}{unshuffled}: "
                f"choose a multiple of {step} from 16 on, such as {max(-(-16 // step), round(size / step)) * step}"
            )
        return self

    @model_validator(mode="after")
    def _weights_have_a_use(self) -> SRGANConfig:
        if self.game.perceptual_weights is not None and not self.game.perceptual.startswith("vgg19"):
            raise ValueError(
                f"game.perceptual_weights is for VGG19, and game.perceptual is {self.game.perceptual}: "
                "leave it out, or choose vgg19-relu5_4, vgg19-relu2_2 or vgg19-conv5_4"
            )
        return self


def stages(config: RunConfig) -> Mapping[str, RunConfig]:
    """The trainings that `config` stands for: the squared error first, then the game (section 3.2)."""
    assert isinstance(config, SRGANConfig)
    match config.stage:
        case "content":
            # What is never looked at need not be installed.
            without = config.game.model_copy(update={"perceptual": "mse", "perceptual_weights": None})
            return {"content": _content(config.model_copy(update={"game": without}))}
        case "gan":
            if config.init is None:
                raise ConfigError(
                    "stage gan: starts from a generator that was trained on the squared error, and none is named",
                    "Name its run: --init RUN; or leave out the stage, and both are played.",
                )
            return {"gan": _gan(config)}
        case "both":
            return {"content": _content(config), "gan": _gan(config)}


def _content(config: SRGANConfig) -> SRGANConfig:
    """`config` as that of the first stage, with `content` in force; of what this gives, it gives the same again."""
    own = config.content
    changed = {name: value for name in ("batch", "lr", "schedule", "ema") if (value := getattr(own, name)) is not None}
    steps = max(1, round(own.times * config.trainer.steps))
    trainer = config.trainer.model_copy(update={"steps": steps, **changed})
    done = ContentConfig(times=1.0)
    return config.model_copy(update={"stage": "content", "trainer": trainer, "content": done})


def _gan(config: SRGANConfig) -> SRGANConfig:
    """`config` as that of the second stage, whose best weights are not those that the game has changed least."""
    best_by = config.trainer.best_by or "kid_efficientnet"
    return config.model_copy(update={"stage": "gan", "trainer": config.trainer.model_copy(update={"best_by": best_by})})
