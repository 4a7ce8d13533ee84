"""Which file is meant: a model by its path, by its run, and by the direction in which it translates."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from i2i.artifact import Description, describe
from i2i.errors import ArtifactError, did_you_mean
from i2i.runtime import onnxfile


def find_model(path: Path, direction: str | None = None) -> Path:
    """The model that `path` names, itself or as a run's folder, or the one beside it for another direction.

    Of `model.onnx`, the others are `model.NAME.onnx` in the same folder; what a file says of itself decides.
    Raises ArtifactError where there is none.
    """
    named = _named(path)
    if direction is None:
        return named
    own = read_description(named).direction
    if not own:
        raise ArtifactError(f"{named}: has no directions: it translates in one way only", "Leave out the direction.")
    stem = named.stem.removesuffix(f".{own}")
    likely = named.parent / f"{stem}.{direction}.onnx"
    if direction != own and likely.is_file() and read_description(likely).direction == direction:
        return likely
    known = {own: named}
    for other in sorted(named.parent.iterdir()):
        if other.name.startswith(f"{stem}.") and other.suffix == ".onnx":
            with suppress(ArtifactError):  # a broken file is no reason to refuse the others
                known.setdefault(read_description(other).direction, other)
    if direction not in known:
        known.pop("", None)
        there = ", ".join(f"{name} ({file.name})" for name, file in known.items())
        raise ArtifactError(
            f"{path}: direction '{direction}': not there{did_you_mean(direction, known)}",
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
    if path.is_dir():
        if not (path / "model.onnx").is_file():
            raise ArtifactError(
                f"{path}: holds no model.onnx",
                f"If it is a run, `i2i export {path}` makes it; otherwise give an .onnx file.",
            )
        return path / "model.onnx"
    if not path.is_file():
        raise ArtifactError(f"{path}: there is no such file", "Give an .onnx file or a run directory.")
    return path
