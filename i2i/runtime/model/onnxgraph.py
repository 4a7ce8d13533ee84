"""The graph of an ONNX model: read from the file's bytes without package onnx, and parts of it written as models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray

from i2i.runtime.model import protobuf
from i2i.runtime.model.messages import DTYPES, value
from i2i.runtime.model.protobuf import Data, fields

# Field numbers and enumerations of onnx.proto3.
_GRAPH: Final = 7
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12
_KEPT: Final = (1, 8, 25)  # of a model: version of the format, operator sets, functions
_RETYPED: Final = ("DequantizeLinear", "Cast", "Identity")

Attribute = int | float | bytes | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """An operator: what it reads and writes by name; '' is an input that is left out.

    domain: of its name, '' of ONNX itself. nested: whether it holds graphs of its own, which read what they like.
    """

    kind: str
    domain: str
    nested: bool
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    raw: bytes = field(repr=False)

    def over(self, kind: str, more_inputs: Sequence[str]) -> Node:
        """The node as one of another `kind`, with more inputs behind its own."""
        appended = protobuf.field(4, kind) + b"".join(protobuf.field(1, name) for name in more_inputs)
        return replace(self, kind=kind, inputs=(*self.inputs, *more_inputs), raw=self.raw + appended)

    def integers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """The attribute of that name, a list of integers."""
        held = self.attributes.get(name)
        return held if isinstance(held, tuple) else tuple(default)

    def integer(self, name: str, default: int) -> int:
        """The attribute of that name, an integer."""
        held = self.attributes.get(name)
        return held if isinstance(held, int) else default


@dataclass(frozen=True)
class Constant:
    """A tensor that is part of the model; its values are read when they are asked for."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None: of a kind that is not read here
    raw: bytes | memoryview = field(repr=False)

    def values(self) -> NDArray[Any] | None:
        """The values, where they lie in the model as plain bytes or as 64-bit integers; else None."""
        listed: list[int] = []
        for number, begin, end in fields(self.raw):
            if number == 9 and self.dtype is not None:
                return np.frombuffer(self.raw[begin:end], self.dtype).reshape(self.shape)
            if number == 7:
                listed += _integers(self.raw, begin, end)
        return np.array(listed, "<i8").reshape(self.shape) if listed else None


@final
class Graph:
    """Nodes in an order in which each comes after those that it reads from, and the constants that they read."""

    def __init__(
        self,
        header: bytes,
        nodes: Sequence[Node],
        constants: Mapping[str, Constant],
        inputs: Sequence[str],
        output: str,
    ) -> None:
        self.nodes = tuple(nodes)
        self.constants = constants
        self.inputs = tuple(inputs)
        self.output = output
        self._header = header

    @classmethod
    def read(cls, model: Data) -> Self:
        """Of a whole ONNX model, one that has been checked; its constants stay where they lie, in `model`.

        Raises ValueError, or IndexError, where it holds no graph.
        """
        data = memoryview(model)
        nodes: list[Node] = []
        constants: dict[str, Constant] = {}
        inputs: list[str] = []
        outputs: list[str] = []
        header = bytearray()
        at = 0
        for number, begin, end in fields(data):
            if number in _KEPT:
                header += data[at:end]
            if number == _GRAPH:
                for part, start, stop in fields(data, begin, end):
                    if part == _NODE:
                        nodes.append(_node(bytes(data[start:stop])))
                    elif part == _INITIALIZER:
                        name, constant = _constant(data[start:stop])
                        constants[name] = constant
                    elif part in (_INPUT, _OUTPUT):
                        (inputs if part == _INPUT else outputs).append(_text(data[start:stop], 1))
            at = end
        if not outputs:
            raise ValueError("no graph")
        for node in nodes:
            held = node.attributes.get("value")
            if node.kind == "Constant" and isinstance(held, bytes):
                constants[node.outputs[0]] = _constant(held)[1]
        free = [name for name in inputs if name not in constants]
        return cls(bytes(header), nodes, constants, free, outputs[0])

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Of a constant, which may be stored in another type; None for what is no constant."""
        while name not in self.constants:
            maker = next((node for node in self.nodes if name in node.outputs), None)
            if maker is None or maker.kind not in _RETYPED:
                return None
            name = maker.inputs[0]
        return self.constants[name].shape

    def needed(self, outputs: Iterable[str], given: Iterable[str]) -> list[Node]:
        """The nodes that make `outputs` of what is `given`, in their order."""
        have = set(given)
        wanted = set(outputs) - have
        chosen: list[Node] = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                chosen.append(node)
                wanted.update(name for name in node.inputs if name and name not in have)
        return chosen[::-1]

    def part(
        self, nodes: Sequence[Node], inputs: Mapping[str, tuple[np.dtype[Any], int]], outputs: Sequence[str]
    ) -> bytes:
        """A model of these nodes and of the constants that they read.

        inputs: by name, their type and how many dimensions they have, all free. The types of `outputs` are left to
        whoever opens it.
        """
        read = {name for node in nodes for name in node.inputs}
        made = {name for node in nodes for name in node.outputs}
        body = [
            *(protobuf.field(_NODE, node.raw) for node in nodes),
            protobuf.field(_NAME, "part"),
            *(protobuf.field(_INITIALIZER, held.raw) for name, held in self.constants.items() if name in read - made),
            *(
                protobuf.field(_INPUT, value(name, dtype, [f"{name}.{axis}" for axis in range(rank)]))
                for name, (dtype, rank) in inputs.items()
            ),
            *(protobuf.field(_OUTPUT, protobuf.field(1, name)) for name in outputs),
        ]
        return self._header + protobuf.field(_GRAPH, b"".join(body))


def _node(raw: bytes) -> Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 4: [""], 7: [""]}
    attributes: dict[str, Attribute] = {}
    nested = False
    for number, begin, end in fields(raw):
        if number in texts:
            texts[number].append(raw[begin:end].decode())
        elif number == 5:
            name, value = _attribute(raw[begin:end])
            if value is not None:
                attributes[name] = value
            nested |= any(part in (6, 11) for part, _, _ in fields(raw, begin, end))
    return Node(texts[4][-1], texts[7][-1], nested, tuple(texts[1]), tuple(texts[2]), attributes, raw)


def _attribute(raw: bytes) -> tuple[str, Attribute | None]:
    value: Attribute | None = None
    listed: list[int] = []
    for number, begin, end in fields(raw):
        if number == 2:
            value = float(np.frombuffer(raw[begin:end], "<f4")[0])
        elif number == 3:
            value = _signed(protobuf.read_varint(raw, begin)[0])
        elif number in (4, 5):
            value = raw[begin:end]
        elif number == 8:
            listed += _integers(raw, begin, end)
    return _text(raw, 1), tuple(listed) if listed else value


def _constant(raw: bytes | memoryview) -> tuple[str, Constant]:
    kind = 0
    shape: list[int] = []
    for number, begin, end in fields(raw):
        if number == 1:
            shape += _integers(raw, begin, end)
        elif number == 2:
            kind = protobuf.read_varint(raw, begin)[0]
    dtype = np.dtype(DTYPES[kind]) if kind in DTYPES else None
    return _text(raw, 8), Constant(tuple(shape), dtype, raw)


def _integers(raw: Data, begin: int, end: int) -> list[int]:
    """The integers of a field, one alone or many in a row."""
    found: list[int] = []
    while begin < end:
        value, begin = protobuf.read_varint(raw, begin)
        found.append(_signed(value))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(message: Data, wanted: int) -> str:
    return next((bytes(message[at:to]).decode() for number, at, to in fields(message) if number == wanted), "")
