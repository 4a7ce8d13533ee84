"""Just enough of ONNX to refuse, by name and before a session is made, a file that is no model or that is hostile.

A model file may come from anywhere. onnxruntime reads weights from other files where a model says so, fills tensors of
the size that a model claims, and loads what a custom operator names; none of that is needed for a model that i2i wrote.
What a file can still do is be slow: a Loop may run as long as it likes, and so may a convolution of its choice.
"""

from __future__ import annotations

import math
import mmap
import os
import stat
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from i2i.errors import ArtifactError
from i2i.runtime.model.protobuf import Data, fields, read_varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# message -> field number -> the message in that field; the numbers are those of onnx.proto3.
_PARTS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "tensor": {},
}
_PROPERTY: Final = 14  # of a model: a message of two strings, key 1 and value 2
_DIMS, _TYPE, _STRINGS, _RAW, _EXTERNAL_DATA, _LOCATION = 1, 2, 6, 9, 13, 14  # of a tensor
_VALUES: Final = {4: 4, 5: 1, 6: 0, 7: 1, 10: 8, 11: 1}  # of a tensor: fields of values, and the least bytes of one
_BITS: Final = {  # of an element, by data type; strings (8) have no size
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((25, 26), 2),
}
_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})  # onnxruntime's own operators
_FOREIGN: Final = frozenset(
    {"EPContext", "Snpe"}
)  # they hand what they hold, or a file, to a vendor's library as it is
_MOST_BYTES: Final = 2**31 - 1  # of a protobuf message
_MOST_FIELDS: Final = 2_000_000  # to step over them takes two seconds
_MOST_NODES: Final = 100_000  # with functions expanded; the largest networks of today have some thousands
_DEEPEST: Final = 8  # graphs inside graphs

_HINT: Final = "Copy it again from where it was exported, or give another model with -m."
_OWN: Final = "Give a model.onnx that `i2i train` or `i2i export` wrote."
Operator = tuple[str, str]
"""A domain and a name."""


def check(path: Path) -> None:
    """Raises ArtifactError for a file that is no whole ONNX model, or is not to be given to onnxruntime.

    The contents of tensors are stepped over, not read: the time goes with the number of nodes, not with the size.
    """
    with _opened(path) as data:
        wrong = _Walk(data).wrong()
    if wrong:
        raise ArtifactError(f"{path}: {wrong}", _OWN)


def properties(path: Path) -> dict[str, str]:
    """The `metadata_props` of a model; raises ArtifactError for a file that is no whole ONNX model."""
    with _opened(path) as data:
        held = [fields(data, begin, end) for field, begin, end in fields(data) if field == _PROPERTY]
        pairs = [{field: data[begin:end].decode(errors="replace") for field, begin, end in pair} for pair in held]
    return {pair.get(1, ""): pair.get(2, "") for pair in pairs}


def shown(text: str | bytes) -> str:
    """Text out of a model as it may be printed: its first line, and nothing by which a terminal could be steered."""
    line = (text.decode(errors="replace") if isinstance(text, bytes) else text).strip().partition("\n")[0]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def first_image(model: bytes) -> tuple[str | int, ...]:
    """The dimensions of the first input of a model that has four: extents, or names where free; none where none has."""
    for field, begin, end in fields(model):
        if field == 7:  # the graph
            for number, at, stop in fields(model, begin, end):
                if number == 11 and len(shape := _shape(model, at, stop)) == 4:  # an input
                    return shape
    return ()


def _shape(model: bytes, at: int, end: int) -> tuple[str | int, ...]:
    """The shape of an input: a value's type 2, a tensor's type 1, its shape 2, a dimension 1, a number 1 or name 2."""
    places = [(at, end)]
    for wanted in (2, 1, 2, 1):
        places = [(begin, stop) for place in places for field, begin, stop in fields(model, *place) if field == wanted]
    shape: list[str | int] = []
    for place in places:
        held: str | int = ""
        for field, begin, stop in fields(model, *place):
            if field in (1, 2):
                held = read_varint(model, begin)[0] if field == 1 else model[begin:stop].decode(errors="replace")
        shape.append(held)
    return tuple(shape)


@contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of the file; turns what goes wrong while they are parsed into an ArtifactError."""
    try:
        # Not blocking: a pipe without a writer would be waited for.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(number, "rb"):
            about = os.fstat(number)
            if not stat.S_ISREG(about.st_mode):
                raise ArtifactError(f"{path}: no file, but a folder, a pipe or a device", "Give an .onnx file.")
            if about.st_size > _MOST_BYTES:
                size = f"{about.st_size / 2**30:.1f} GiB"
                raise ArtifactError(f"{path}: {size}, and an ONNX model in one file has 2 GiB at most", _OWN)
            with mmap.mmap(number, 0, access=mmap.ACCESS_READ) as data:
                yield data
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}", _HINT) from None
    except (ValueError, IndexError):
        raise ArtifactError(f"{path}: not a whole ONNX model: empty, cut off, or of another kind", _HINT) from None


class _Walk:
    """One way through a model: what is in it, as far as it can be told without reading its weights."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._left = _MOST_FIELDS
        self._calls: dict[Operator | None, Counter[Operator]] = {None: Counter()}  # None: by the graph itself

    def wrong(self) -> str | None:
        """What is wrong with the model; raises ValueError or IndexError where it is none."""
        pending: list[tuple[str, int, int, int, Operator | None]] = [("model", 0, len(self._data), 0, None)]
        graphs = 0
        while pending:
            kind, start, end, depth, caller = pending.pop()
            if kind == "sparse tensor":
                return "holds sparse tensors, which claim more than they hold"
            found = list(self._fields(start, end))
            if kind == "tensor" and (wrong := _wrong_tensor(self._data, found)):
                return wrong
            if kind == "node":
                self._calls[caller][self._texts(found, 7, 4)] += 1
            if kind == "function":
                caller = self._texts(found, 10, 1)
                self._calls.setdefault(caller, Counter())
            depth += kind == "graph"
            if self._left < 0 or depth > _DEEPEST:
                return f"has more than {_MOST_FIELDS:,} parts, or graphs in graphs more than {_DEEPEST} deep"
            parts = _PARTS[kind]
            pending += [(parts[field], at, stop, depth, caller) for field, at, stop in found if field in parts]
            graphs += sum(parts.get(field) == "graph" for field, _, _ in found)
        if not graphs:
            raise ValueError("no graph")
        return self._wrong_operator() or self._too_many()

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        for found in fields(self._data, start, end):
            self._left -= 1
            if self._left < 0:
                return
            yield found

    def _texts(self, found: list[tuple[int, int, int]], *wanted: int) -> Operator:
        texts = {field: self._data[at:stop].decode(errors="replace") for field, at, stop in found if field in wanted}
        return texts.get(wanted[0], ""), texts.get(wanted[1], "")

    def _wrong_operator(self) -> str | None:
        for domain, name in sorted({operator for calls in self._calls.values() for operator in calls}):
            if domain not in _DOMAINS and (domain, name) not in self._calls:
                return f"needs operator '{shown(name)}' of '{shown(domain)}', which onnxruntime does not have"
            if name in _FOREIGN:
                return f"needs operator '{name}', which hands what is in the file to another program"
        return None

    def _too_many(self) -> str | None:
        """Functions that call functions make a small file large: what they come to is counted, not made."""
        sizes: dict[Operator, float] = {}

        def size(caller: Operator | None, above: frozenset[Operator]) -> float:
            total: float = 0
            for operator, times in self._calls[caller].items():
                if operator in above or len(above) > _DEEPEST:
                    return math.inf
                if operator in self._calls and operator not in sizes:
                    sizes[operator] = size(operator, above | {operator})
                total += times * sizes.get(operator, 1)
            return total

        if size(None, frozenset()) > _MOST_NODES:
            return f"has more than {_MOST_NODES:,} nodes, or functions that call each other for ever"
        return None


def _wrong_tensor(data: Data, found: list[tuple[int, int, int]]) -> str | None:
    """What is wrong with a tensor, of whose fields `found` says the numbers and places."""
    elements, kind, name = 1, 0, b""
    raw: int | None = None
    suffices = 0  # for how many elements its values do
    for field, at, stop in found:
        if field == _EXTERNAL_DATA or (field == _LOCATION and read_varint(data, at)[0]):
            return "keeps its weights in other files, which i2i does not read"
        if field == _DIMS:
            elements *= math.prod(_varints(data, at, stop))  # a negative one is a large one here
        elif field == _TYPE:
            kind, _ = read_varint(data, at)
        elif field == _RAW:
            raw = stop - at
        elif field in _VALUES:
            suffices += (stop - at) // _VALUES[field] if _VALUES[field] else 1
        elif field == 8:
            name = bytes(data[at:stop])
    bits = _BITS.get(kind, 8)
    if elements <= suffices * max(1, 8 // bits) if raw is None else -(-elements * bits // 8) == raw:
        return None
    return f"its tensor '{shown(name)}' claims {elements:,} elements, which is not what it holds"


def _varints(data: Data, at: int, end: int) -> Iterator[int]:
    while at < end:
        value, at = read_varint(data, at)
        yield value
