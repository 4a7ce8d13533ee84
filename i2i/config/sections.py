"""What a run is told to do, as typed sections with defaults."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of keys: immutable, and no key beside the declared ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataConfig(Section):
    """Where the images come from and how they are brought to one size."""

    source: str = Field("openmoji", min_length=1, description="a folder, or the name of an embedded set")
    second: str | None = Field(None, min_length=1, description="unpaired: the folder of B, where source is that of A")
    direction: Literal["AtoB", "BtoA"] = Field("AtoB", description="which side of a pair is the input")
    input_channels: int = Field(3, ge=1, le=4, description="1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha")
    target_channels: int = Field(3, ge=1, le=4, description="likewise, of what is to be made")
    classes: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="labelled: names in the order of their numbers; semantic: colours, #rrggbb; null: all of the data",
    )
    scale: int = Field(1, ge=1, le=8, description="upscaled: pixels of the target along a side for one of the input")
    evaluation_size: Positive | None = Field(
        None, description="upscaled: side of the middle square that is validated; null: the whole image"
    )
    size: Annotated[int, Field(ge=8)] = Field(
        256, description="pixels along the side of the square that the networks are trained on"
    )
    load_size: Positive | None = Field(
        None, description="images are resized to this before a square of `size` is cut; null: 286/256 of `size`"
    )
    fit: Literal["stretch", "scale", "none"] = Field(
        "stretch", description="stretch to load_size x load_size; scale the shorter side to it; or cut only"
    )
    flip: bool = Field(True, description="mirror half of the training pairs left to right")
    rotate: float = Field(0.0, ge=0, le=180, description="turn training pairs by up to so many degrees")
    zoom: Fraction = Field(0.0, description="scale training pairs by up to this fraction, in and out")
    validation: Fraction = Field(
        0.1, description="fraction set aside where the data has no validation split of its own"
    )
    cache: Fraction = Field(0.25, description="fraction of the free memory that decoded images may take; 0: none")
    workers: int | None = Field(None, ge=0, description="threads that read ahead; null: one per core, 8 at most")
    links: bool = Field(False, description="follow symbolic links that lead out of the folder")
    max_bytes: Positive = Field(512 * 2**20, description="a file that is larger is refused")

    @field_validator("classes", mode="before")
    @classmethod
    def _numbers_are_names_too(cls, classes: object) -> object:
        return [str(name) for name in classes] if isinstance(classes, list | tuple) else classes

    @model_validator(mode="after")
    def _crop_fits(self) -> DataConfig:
        if self.load_size is not None and self.load_size < self.size:
            raise ValueError(f"load_size {self.load_size} is smaller than size {self.size}, which is cut from it")
        return self

    @property
    def resized(self) -> int:
        """Pixels along the side, or the shorter side, before cutting: as published, 286 for 256."""
        return self.load_size if self.load_size is not None else round(self.size * 286 / 256)


class PenaltyConfig(Section):
    """A gradient penalty on the discriminators."""

    weight: NonNegative = Field(0.0, description="0: not used")
    interval: Positive = Field(
        1, description="on every so manieth move of the discriminators, with so many times its weight"
    )


ObjectiveName = Literal["minimax", "nonsaturating", "lsgan", "hinge", "wasserstein", "relativistic"]


LABELLED: Final = ("minimax", "nonsaturating", "lsgan")
"""The objectives that compare logits with labels."""


class ObjectiveConfig(Section):
    """The value function of the game."""

    name: ObjectiveName = Field("nonsaturating", description=", ".join(get_args(ObjectiveName)))
    clip: NonNegative = Field(
        0.0, description="the discriminators' weights are kept between this and its negative; 0: not. Often 0.01"
    )
    gradient_penalty: PenaltyConfig = Field(
        default_factory=PenaltyConfig, description="WGAN-GP: keeps gradients between real and fake at norm 1; often 10"
    )
    r1: PenaltyConfig = Field(default_factory=PenaltyConfig, description="half the squared gradient at real images")
    r2: PenaltyConfig = Field(default_factory=PenaltyConfig, description="half the squared gradient at fake images")


class LeastSquares(ObjectiveConfig):
    """The value function of the game, least squares by default."""

    name: ObjectiveName = Field("lsgan", description=", ".join(get_args(ObjectiveName)))


class ScheduleConfig(Section):
    """How the learning rate falls from its start."""

    name: Literal["constant", "linear", "cosine"] = Field("linear", description="constant, linear or cosine")
    hold: Fraction = Field(0.5, description="fraction of the steps at the full rate, before it falls to nothing")
    warmup: Annotated[int, Field(ge=0)] = Field(0, description="steps over which the rate first rises from nothing")


class GuardConfig(Section):
    """What is done about losses and gradients that are not finite, and losses that explode."""

    explosion: NonNegative = Field(
        1000.0, description="a loss explodes at so many times its running mean, or 1 if that is less; 0: never"
    )
    attempts: Annotated[int, Field(ge=0)] = Field(
        3, description="times to go back to the last checkpoint, without getting past the trouble, before it stops"
    )
    skip: bool = Field(True, description="leave out the batches of that step when it is tried again")
    rate: float = Field(0.5, gt=0, le=1, description="what the learning rates are multiplied by from then on")


class TrainerConfig(Section):
    """Time: how long, how fast, how often."""

    steps: Positive = Field(20_000, description="moves of the generators")
    batch: Positive = Field(1, description="images in one move, over all processes")
    accumulate: Positive = Field(
        1, description="parts in which a batch is played, one after the other, for lack of memory; gradients add up"
    )
    k: Positive = Field(1, description="moves of the discriminators to one of the generators")
    lr: float = Field(2e-4, gt=0, allow_inf_nan=False, description="Adam's learning rate")
    discriminator_lr: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="the discriminators' own rate; null: the same"
    )
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.5, 0.999), description="Adam's decay rates of the first and second moment"
    )
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig, description="of the learning rates")
    pool: Annotated[int, Field(ge=0)] = Field(0, description="earlier fakes kept to show the discriminators again")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the running average of the generators' weights; 0: off")
    precision: Literal["auto", "float32", "bfloat16", "float64"] = Field(
        "auto",
        description="of the networks; auto: bfloat16 where the hardware has it; float64: to compare machines",
    )
    channels_last: bool = Field(True, description="keep the channels of a pixel side by side in memory: faster")
    fused: bool = Field(True, description="one kernel for all of Adam: faster")
    validate_every: Positive | None = Field(
        None, description="steps between validations, each with a checkpoint; null: a twentieth of the steps"
    )
    log_every: Positive = Field(20, description="steps between lines in metrics.jsonl")
    best_by: str | None = Field(
        None, description="validation metric that names the best checkpoint; null: the plugin's choice"
    )
    keep: Positive = Field(2, description="newest checkpoints that are kept beside the best")
    keep_every: Positive | None = Field(None, description="checkpoints at multiples of so many steps are kept for good")
    guard: GuardConfig = Field(default_factory=GuardConfig, description="against losses that are no numbers")

    @property
    def validation_interval(self) -> int:
        """Steps between validations."""
        return self.validate_every if self.validate_every is not None else max(1, self.steps // 20)


class AugmentConfig(Section):
    """Differentiable augmentation of all that discriminators see (DiffAugment, arXiv:2006.10738)."""

    colour: bool = Field(False, description="brightness, saturation and contrast")
    translation: bool = Field(False, description="shift by up to an eighth")
    cutout: bool = Field(False, description="grey out a square of half the side")
    probability: Fraction = Field(1.0, description="of each for each image; where adaptive: to begin with, often 0")
    adaptive: bool = Field(
        False, description="let the probability follow how sure the discriminators are of real images"
    )
    target: Fraction = Field(0.6, description="adaptive: mean sign of the logits of real images that is aimed at")
    speed: Positive = Field(500_000, description="adaptive: images in which the probability can go from 0 to 1")


class StabilityConfig(Section):
    """What keeps a game stable, whatever the networks."""

    smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="one-sided: real images are labelled 1 minus this; often 0.1"
    )
    spectral: bool = Field(False, description="spectral norm on every layer of the discriminators")
    instance_noise: NonNegative = Field(
        0.0, description="deviation of noise on all that discriminators see, in [-1, 1]; often 0.1"
    )
    noise_until: float = Field(
        0.5, gt=0, le=1, description="fraction of the steps over which that noise falls to nothing"
    )
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="of what discriminators see")


class RunConfig(Section):
    """All that decides a run. A plugin derives from this, gives its own defaults and adds its section `game`."""

    plugin: str = Field(description="which architecture")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="decides weights, order, augmentation and noise")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    init: str | None = Field(
        None, min_length=1, description="a run of the same networks, or a file of `i2i import`, to start from"
    )
    data: DataConfig = Field(default_factory=DataConfig, description="images")
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig, description="the game's value")
    stability: StabilityConfig = Field(default_factory=StabilityConfig, description="against games that go wrong")
    trainer: TrainerConfig = Field(default_factory=TrainerConfig, description="time")

    @model_validator(mode="after")
    def _smoothing_has_labels(self) -> RunConfig:
        if self.stability.smoothing > 0 and self.objective.name not in LABELLED:
            raise ValueError(
                f"stability.smoothing {self.stability.smoothing:g}: objective.name {self.objective.name} has no labels "
                f"to smooth; {', '.join(LABELLED)} have"
            )
        return self
