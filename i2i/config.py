"""What a run is told to do: typed sections with defaults, and one function that lays YAML and options over them.

Every mistake is reported at once, each with the place it was written and the nearest key that exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from i2i.errors import ConfigError, did_you_mean

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


class TrainerConfig(Section):
    """Time: how long, how fast, how often."""

    steps: Positive = Field(20_000, description="moves of the generators")
    batch: Positive = Field(1, description="images in one move")
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
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the networks' arithmetic; auto: bfloat16 where the hardware has it"
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

    @property
    def validation_interval(self) -> int:
        """Steps between validations."""
        return self.validate_every if self.validate_every is not None else max(1, self.steps // 20)


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
    trainer: TrainerConfig = Field(default_factory=TrainerConfig, description="time")


Config = TypeVar("Config", bound=RunConfig)
Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """A part of a configuration and where it was written; later layers win."""

    origin: str
    tree: Tree


def read_yaml(path: Path) -> Layer:
    """The layer in a YAML file; raises ConfigError where it cannot be read or is no mapping."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", "Give the path of a YAML file.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds a {type(tree).__name__}, not a mapping of keys to values")
    return Layer(str(path), tree)


def parse_assignment(text: str) -> Layer:
    """The layer of one `a.b=value`, its value read as YAML; raises ConfigError where it is no assignment."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {text}: not of the form key=value", "For example: --set trainer.steps=1000")
    try:
        tree: object = yaml.load(value, _UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text}: the value is not valid YAML") from error
    for part in reversed(parts):
        tree = {part: tree}
    assert isinstance(tree, dict)
    return Layer("--set", tree)


def resolve(model: type[Config], layers: Sequence[Layer]) -> Config:
    """Lays `layers` over the defaults of `model`; raises one ConfigError that names every mistake and its place."""
    merged: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    for layer in layers:
        _lay(merged, layer.tree, layer.origin, origins, ())
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        lines = [_line(model, detail, origins) for detail in error.errors(include_url=False)]
        raise ConfigError(
            "\n".join(lines), "`i2i train PLUGIN --print-config` lists every key with its default."
        ) from None


def dump(config: RunConfig) -> str:
    """The configuration as YAML that `resolve` reads back, each key with what it means."""
    return "\n".join(_yaml_lines(config, 0)) + "\n"


def _lay(
    onto: dict[str, Any], tree: Tree, origin: str, origins: dict[tuple[str, ...], str], at: tuple[str, ...]
) -> None:
    for raw, value in tree.items():
        key = str(raw)
        origins[*at, key] = origin
        if isinstance(value, Mapping):
            below = onto.get(key)
            onto[key] = dict(below) if isinstance(below, dict) else {}
            _lay(onto[key], value, origin, origins, (*at, key))
        else:
            onto[key] = value


def _line(model: type[BaseModel], detail: ErrorDetails, origins: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in detail["loc"])
    origin = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), "configuration")
    where = f"{origin}: {'.'.join(path)}" if path else origin
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return f"{where}: unknown key{did_you_mean(path[-1], known) or _elsewhere(model, path[-1])}"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if detail["type"] == "missing" or isinstance(detail["input"], Mapping):
        return f"{where}: {message}"
    guess = ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        guess = did_you_mean(detail["input"], _choices_at(model, path))
    return f"{where}: {message}, not {detail['input']!r}{guess}"


def _keys_at(model: type[BaseModel], path: Sequence[str]) -> Iterator[str]:
    section = _section_at(model, path)
    if section is not None:
        yield from section.model_fields


def _section_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    here: type[BaseModel] = model
    for part in path:
        field = here.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        here = field.annotation
    return here


def _choices_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    section = _section_at(model, path[:-1])
    field = section.model_fields.get(path[-1]) if section else None
    return [str(choice) for choice in get_args(field.annotation)] if field else []


def _elsewhere(model: type[BaseModel], key: str) -> str:
    """For a key that stands in the wrong section: where it belongs."""
    for path, known in _all_keys(model, ()):
        if known == key:
            return f", did you mean '{'.'.join((*path, known))}'?"
    return ""


def _all_keys(model: type[BaseModel], at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in model.model_fields:
        yield at, name
        below = _section_at(model, [name])
        if below is not None:
            yield from _all_keys(below, (*at, name))


def _yaml_lines(section: BaseModel, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        comment = f"  # {' '.join(field.description.split())}" if field.description else ""
        if isinstance(value, BaseModel) and type(value).model_fields:
            yield f"{indent}{name}:{comment}"
            yield from _yaml_lines(value, depth + 1)
        else:
            plain = section.model_dump(mode="json", include={name})[name]
            yield f"{indent}{name}: {_scalar(plain)}{comment}"


def _scalar(value: object) -> str:
    """One line of YAML; what a terminal could not show is escaped, or it would break the line."""
    printable = str(value).isprintable()
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=printable)
    return text.removesuffix("...\n").strip(" \n")


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which otherwise takes the last of two equal keys in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)
