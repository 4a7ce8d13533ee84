"""Just enough of ONNX's protobuf to see that a file is whole and keeps its weights to itself, without package onnx."""

from __future__ import annotations

import mmap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from i2i.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# message -> field number -> the message in that field; the numbers are those of onnx.proto3.
_PARTS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA: Final = 13
_PROPERTY: Final = 14  # of a model: a message of two strings, key 1 and value 2
_FIXED_LENGTHS: Final = {1: 8, 5: 4}  # wire type -> bytes
_HINT: Final = "Copy it again from where it was exported, or give another model with -m."


def check(path: Path) -> None:
    """Raises ArtifactError for a file that is no whole ONNX model, or that reads weights from other files.

    Tensors are stepped over, not read: the time goes with the number of nodes, not with the size.
    """
    with _opened(path) as data:
        external = _keeps_weights_elsewhere(data)
    if external:
        raise ArtifactError(
            f"{path}: keeps its weights in other files, which i2i does not read",
            "Give a model.onnx that `i2i train` or `i2i export` wrote: those are one file.",
        )


def properties(path: Path) -> dict[str, str]:
    """The `metadata_props` of a model; raises ArtifactError for a file that is no whole ONNX model."""
    with _opened(path) as data:
        held = [_fields(data, begin, end) for field, begin, end in _fields(data, 0, len(data)) if field == _PROPERTY]
        pairs = [{field: data[begin:end].decode(errors="replace") for field, begin, end in pair} for pair in held]
    return {pair.get(1, ""): pair.get(2, "") for pair in pairs}


@contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of the file; turns what goes wrong while they are parsed into an ArtifactError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}", _HINT) from None
    except (ValueError, IndexError):
        raise ArtifactError(f"{path}: not a whole ONNX model: empty, cut off, or of another kind", _HINT) from None


def _keeps_weights_elsewhere(data: mmap.mmap) -> bool:
    pending = [("model", 0, len(data))]
    graphs = 0
    while pending:
        kind, start, end = pending.pop()
        for field, begin, stop in _fields(data, start, end):
            if kind == "tensor" and field == _EXTERNAL_DATA:
                return True
            part = _PARTS[kind].get(field)
            if part:
                graphs += part == "graph"
                pending.append((part, begin, stop))
    if not graphs:
        raise ValueError("no graph")
    return False


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message and where its bytes lie; raises ValueError where they lie outside."""
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        begin = at
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            length, begin = _varint(data, at)
            at = begin + length
        elif wire in _FIXED_LENGTHS:
            at += _FIXED_LENGTHS[wire]
        else:
            raise ValueError("unknown wire type")
        if at > end:
            raise ValueError("cut off")
        yield tag >> 3, begin, at


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("number too long")
