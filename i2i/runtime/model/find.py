"""Which file is meant: a model by its path, by its run, and by the direction in which it translates."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from i2i.artifact import Description, describe
from i2i.errors import ArtifactError, did_you_mean
from i2i.runtime.model import onnxfile


def find_model(path: Path, direction: str | None = None) -> Path:
    """The model that `path` names, itself or as a run's folder, or the one beside it for another direction.

    Of `model.onnx`, the others are `model.NAME.onnx` in the same folder, and of `model.int8.onnx` those of the same
    precision, `model.NAME.int8.onnx`; what a file says of itself decides.
    Raises ArtifactError where there is none.
    """
    named = _named(path)
    if direction is None:
        return named
    said = read_description(named)
    own = said.direction
    if not own:
        raise ArtifactError(f"{named}: has no directions: it translates in one way only", "Leave out the direction.")
    tail = "" if said.precision == "fp32" else f".{said.precision}"
    stem = named.stem.removesuffix(tail).removesuffix(f".{own}")
    likely = named.parent / f"{stem}.{direction}{tail}.onnx"
    if direction != own and os.path.isfile(likely) and read_description(likely).direction == direction:  # noqa: PTH113
        return likely
    known = {own: named}
    for other in sorted(named.parent.glob("*.onnx")):
        if other.name.startswith(f"{stem}."):
            with suppress(ArtifactError):  # a broken file is no reason to refuse the others
                found = read_description(other)
                if found.precision == said.precision:
                    known.setdefault(found.direction, other)
    if direction not in known:
        known.pop("", None)
        there = ", ".join(f"{name} ({file.name})" for name, file in known.items())
        kind = "" if said.precision == "fp32" else f" of {said.precision}"
        raise ArtifactError(
            f"{path}: direction '{direction}'{kind}: not there{did_you_mean(direction, known)}",
            f"In {named.parent} there {'are' if len(known) > 1 else 'is only'} {there}.",
        )
    return known[direction]


def read_description(path: Path) -> Description:
    """What the model file says of itself, read without opening the model.

    Raises ArtifactError for a file that is not whole, keeps weights elsewhere, or that i2i did not export.
    """
    onnxfile.check(path)
    return describe(onnxfile.properties(path), str(path))


def _named(path: Path) -> Path:
    # Those of pathlib raise for a name that is too long, or a folder that may not be looked into.
    if os.path.isdir(path):  # noqa: PTH112
        if not os.path.isfile(path / "model.onnx"):  # noqa: PTH113
            raise ArtifactError(
                f"{path}: holds no model.onnx",
                f"If it is a run, `i2i export {path}` makes it; otherwise give an .onnx file.",
            )
        return path / "model.onnx"
    if not os.path.exists(path):  # noqa: PTH110
        raise ArtifactError(f"{path}: there is no such file", "Give an .onnx file or a run directory.")
    return path
