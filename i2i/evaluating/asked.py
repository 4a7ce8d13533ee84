"""What is asked of an evaluation, and what it means for the data: of which kind, from where, at which size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from i2i import header
from i2i.config import DataConfig
from i2i.data import EMBEDDED
from i2i.data.layouts import LAYOUTS, guess
from i2i.errors import DataError, I2IError
from i2i.evaluating.matching import spread
from i2i.metrics.weights import NONE, Weights
from i2i.plugin import Kind

if TYPE_CHECKING:
    from i2i.evaluating.opened import Size
    from i2i.evaluating.subject import Subject

Direction = Literal["AtoB", "BtoA"]
FROM_NOISE: Final[tuple[Kind, ...]] = ("images", "labelled")
"""Kinds of data whose outputs are made of no input."""


@dataclass(frozen=True)
class Asked:
    """What is asked of an evaluation, beside what is scored.

    data: a folder or an embedded set, or two folders of unpaired images; nothing: the run's own. metrics: names to
    choose, or `+NAME` to add to the usual ones. images: at most so many, evenly spaced. scale: of finished images that
    are larger than the inputs. Raises I2IError for more than two folders.
    """

    data: tuple[str, ...] = ()
    kind: Kind | None = None
    size: Size = None
    metrics: tuple[str, ...] = ()
    weights: Weights = NONE
    images: int | None = None
    seed: int = 0
    device: str = "auto"
    direction: Direction | None = None
    scale: int | None = None

    def __post_init__(self) -> None:
        if len(self.data) > 2:
            raise I2IError(
                f"{len(self.data)} folders of images: {', '.join(self.data)}",
                "Give one, or of unpaired images two: the folder of A and that of B.",
            )


def kind_of(subject: Subject, asked: Asked) -> Kind:
    """The kind of the images; raises I2IError where the subject cannot be scored on such."""
    said = subject.description
    noise = said is not None and said.kind == "noise"
    kind = asked.kind or _known(subject, asked)
    if kind in FROM_NOISE and asked.size is not None and (noise or asked.size == "native"):
        raise I2IError(
            f"--size {asked.size}: what is made from noise has one size, to which the targets are brought",
            "Leave it out.",
        )
    if said is not None and noise != (kind in FROM_NOISE):
        if noise:
            raise I2IError(
                f"{subject.path}: makes images from noise, and {kind} data is for models that translate",
                "Give --kind images, or labelled.",
            )
        raise DataError(
            f"{', '.join(asked.data)}: {kind} data has no inputs for {subject.path}, which translates images",
            f"For unrelated inputs and targets give --data A --data B.\n  {LAYOUTS['paired']}",
        )
    return kind


def _known(subject: Subject, asked: Asked) -> Kind:
    """The kind of data by the run's plugin, else by the model, else by what the data looks like."""
    said = subject.description
    if len(asked.data) == 2:
        return "unpaired"
    if subject.kind is not None:
        return subject.kind
    if said is not None and said.kind == "noise":
        return "labelled" if said.classes else "images"
    if (said is not None and said.scale > 1) or (asked.scale or 1) > 1:
        return "upscaled"
    source = asked.data[0]
    if source in EMBEDDED:
        return EMBEDDED[source].kinds[0]
    folder = Path(source).expanduser()
    return guess(folder) if folder.is_dir() else "paired"  # that it is no folder is said when it is opened


def config_for(subject: Subject, asked: Asked, kind: Kind) -> DataConfig:
    """How images are brought to what the model takes and gives."""
    said = subject.description
    update: dict[str, object] = {}
    if asked.data:
        update |= {"source": asked.data[0], "second": asked.data[1] if len(asked.data) == 2 else None}
    if subject.data is None:
        update |= {"fit": "none" if kind == "upscaled" else "stretch", "size": _side(subject, kind), "load_size": None}
    if said is not None:
        update |= {"target_channels": said.channels_out, "scale": said.scale}
        update |= {} if said.kind == "noise" else {"input_channels": said.channels_in}
    elif asked.scale is not None:
        update |= {"scale": asked.scale}
    direction = (said.direction if said is not None else "") or asked.direction
    if direction:
        update |= {"direction": direction}
    config = (subject.data or DataConfig()).model_copy(update=update)
    if kind == "upscaled" and config.scale == 1 and said is None:
        raise I2IError(
            f"{subject.path}: finished images say nothing of how much larger than their inputs they are",
            "Say it with --scale, or compare them beside a model: `i2i compare MODEL DIR`.",
        )
    return config


def trained_on(subject: Subject, data: Sequence[str]) -> bool:
    """Whether the run's own training images are in one of the folders, or are in the embedded set."""
    if subject.data is None:
        return False
    own = [given for given in (subject.data.source, subject.data.second) if given is not None]
    return not {_place(given) for given in own}.isdisjoint(map(_place, data))


def _place(given: str) -> str:
    return given if given in EMBEDDED else str(Path(given).expanduser().resolve())


def _side(subject: Subject, kind: Kind) -> int:
    """Pixels along the side of the square that is scored, where there is no run that says it."""
    said = subject.description
    if said is not None:
        return said.size or said.trained_size
    return max(8, min(header.read(spread(subject.path, 1)[0]).size)) if kind in FROM_NOISE else DataConfig().size


def chosen_of(usual: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """The metrics that are told: those that are chosen, or the usual ones; and those that are added."""
    chosen = [name for name in asked if not name.startswith("+")]
    added = [name.removeprefix("+") for name in asked if name.startswith("+")]
    return tuple(dict.fromkeys([*(chosen or usual), *added]))
