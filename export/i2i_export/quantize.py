"""A graph whose convolutions compute in 8-bit integers: weights int8 for each output channel, activations uint8.

Values are `scale * (code - zero)`. The graph says so by QuantizeLinear and DequantizeLinear around each convolution,
which runtimes fuse with it; one that does not computes the same in float32. Everything else stays in float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from i2i_export.calibrate import Range
from i2i_export.graph import Graph, moves, replace

_FEW = 4  # input channels: the kernels multiply them in fours
_STEPS = 2**30  # of a bias at most
_TANH_ENDS = 3.5  # beyond it, tanh is less than a quarter of 1/127.5 from 1


class Codes(NamedTuple):
    """How uint8 codes are read."""

    scale: float
    zero: int

    @classmethod
    def spanning(cls, low: float, high: float) -> Codes:
        """The codes of the values from `low` to `high`, and of 0, which padding needs exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32((high - low) / 255)) or 1.0
        return cls(scale, round(-low / scale))


def convolutions(model: ModelProto) -> list[str]:
    """The convolutions that gain by it, by their outputs: of weights in the file, and of more than a few channels.

    The first one, of an image's channels, is as fast in float32, and all that follows would see its rounding.
    """
    graph = Graph(model)
    return [
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Conv"
        and all(name in graph.constants for name in node.input[1:])
        and graph.constants[node.input[1]].dims[1] > _FEW
    ]


def watched(model: ModelProto) -> list[str]:
    """The tensors that `quantized` has to know the range of."""
    there = set(convolutions(model))
    nodes = [node for node in model.graph.node if node.output[0] in there]
    return list(dict.fromkeys(name for node in nodes for name in (node.input[0], node.output[0])))


def quantized(model: ModelProto, seen: Mapping[str, Range], chosen: Collection[str]) -> ModelProto:
    """A copy of `model` in which the convolutions with the outputs `chosen` compute in integers."""
    return _Quantizing(model, seen, chosen).result()


class _Quantizing:
    def __init__(self, model: ModelProto, seen: Mapping[str, Range], chosen: Collection[str]) -> None:
        self._model = model
        self._graph = Graph(model)
        self._seen = seen
        self._chosen = chosen
        self._nodes: list[NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._codes: dict[tuple[str, Codes], str] = {}  # of which tensor, read how -> the tensor of codes
        self._made: dict[str, Codes] = {}  # the tensors that come as codes
        self._names = Counter([*self._graph.constants, *self._graph.makers])  # those that are taken

    def result(self) -> ModelProto:
        for node in self._model.graph.node:
            if node.output[0] in self._chosen:
                self._convolution(node)
            elif node.input and node.input[0] in self._made and moves(node):
                codes = self._made[node.input[0]]
                self._decode(node.output[0], self._moved(node, codes), codes)
            else:
                self._nodes.append(node)
        made = replace(self._model, self._nodes, self._tensors.values())
        onnx.checker.check_model(made)
        return made

    def _convolution(self, node: NodeProto) -> None:
        source, (output,) = node.input[0], node.output
        before, after = Codes.spanning(*self._seen[source]), self._after(output)
        weight = numpy_helper.to_array(self._graph.constants[node.input[1]])
        scales = np.abs(weight).reshape(len(weight), -1).max(1).astype(np.float32) / np.float32(127)
        bias = None
        if len(node.input) > 2:
            bias = numpy_helper.to_array(self._graph.constants[node.input[2]])
            # Weights near 0 may have steps so small that a bias of so many is beyond int32.
            least = np.abs(bias.astype(np.float64)) / (before.scale * _STEPS)
            scales = np.maximum(scales, least.astype(np.float32))
        scales[scales * np.float32(before.scale) < np.finfo(np.float32).tiny] = 1
        name = self._name(f"{output}.weight")
        rounded = np.rint(weight / scales.reshape(-1, 1, 1, 1)).astype(np.int8)
        inputs = [
            self._dequantized(self._encoded(source, before), before),
            self._constant(name, rounded, scales),
        ]
        if bias is not None:
            steps = scales * np.float32(before.scale)
            whole = np.rint(bias / steps.astype(np.float64)).astype(np.int32)
            inputs.append(self._constant(self._name(f"{output}.bias"), whole, steps))
        exact = self._name(f"{output}.exact")
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.input[:], copied.output[:] = inputs, [exact]
        self._nodes.append(copied)
        self._decode(output, self._quantize(exact, after), after)

    def _after(self, output: str) -> Codes:
        """How the output of a convolution is encoded: not wider than what follows can tell apart."""
        low, high = self._seen[output]
        follower = self._graph.next(output)
        while follower is not None and moves(follower):
            follower = self._graph.next(follower.output[0])
        if follower is not None and follower.op_type == "Relu":
            low = 0.0
        elif follower is not None and follower.op_type == "Tanh":
            low, high = max(low, -_TANH_ENDS), min(high, _TANH_ENDS)
        return Codes.spanning(low, high)

    def _encoded(self, tensor: str, codes: Codes) -> str:
        """The tensor of codes of `tensor`, encoded as early as that is the same."""
        if (tensor, codes) not in self._codes:
            node = self._graph.makers.get(tensor)
            if node is not None and node.op_type == "Relu" and codes.zero == 0:
                made = self._encoded(node.input[0], codes)  # codes have nothing below 0 either
            elif node is not None and node.op_type == "Concat":
                made = self._name(f"{tensor}.codes")
                parts = [self._encoded(part, codes) for part in node.input]
                self._nodes.append(_like(node, parts, made))
            elif node is not None and moves(node):
                made = self._moved(node, codes)
            else:
                made = self._quantize(tensor, codes)
            self._codes[tensor, codes] = made
        return self._codes[tensor, codes]

    def _moved(self, node: NodeProto, codes: Codes) -> str:
        made = self._name(f"{node.output[0]}.codes")
        self._nodes.append(_like(node, [self._encoded(node.input[0], codes), *node.input[1:]], made))
        return made

    def _decode(self, tensor: str, encoded: str, codes: Codes) -> None:
        """Lets `tensor` be what `encoded` says."""
        self._made[tensor] = codes
        self._codes[tensor, codes] = encoded
        inputs = [encoded, *self._reading(codes)]
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [tensor], f"{encoded}.decoded"))

    def _quantize(self, tensor: str, codes: Codes) -> str:
        made = self._name(f"{tensor}.codes")
        self._nodes.append(helper.make_node("QuantizeLinear", [tensor, *self._reading(codes)], [made], made))
        return made

    def _dequantized(self, encoded: str, codes: Codes) -> str:
        made = self._name(f"{encoded}.values")
        self._nodes.append(helper.make_node("DequantizeLinear", [encoded, *self._reading(codes)], [made], made))
        return made

    def _constant(self, name: str, whole: NDArray[Any], scales: NDArray[np.float32]) -> str:
        """A constant given as integers with a scale for each of its first axis."""
        zeros = np.zeros(len(scales), whole.dtype)
        parts = [self._tensor(f"{name}.{key}", value) for key, value in (("codes", whole), ("scale", scales))]
        parts.append(self._tensor(f"{name}.zero", zeros))
        self._nodes.append(helper.make_node("DequantizeLinear", parts, [name], name, axis=0))
        return name

    def _reading(self, codes: Codes) -> list[str]:
        key = f"codes.{codes.scale!r}.{codes.zero}"
        scale, zero = np.array(codes.scale, np.float32), np.array(codes.zero, np.uint8)
        return [self._tensor(f"{key}.scale", scale), self._tensor(f"{key}.zero", zero)]

    def _tensor(self, name: str, value: NDArray[Any]) -> str:
        self._tensors.setdefault(name, numpy_helper.from_array(value, name))
        return name

    def _name(self, wish: str) -> str:
        self._names[wish] += 1
        return wish if self._names[wish] == 1 else f"{wish}.{self._names[wish]}"


def _like(node: NodeProto, inputs: Sequence[str], output: str) -> NodeProto:
    copied = NodeProto()
    copied.CopyFrom(node)
    copied.input[:], copied.output[:], copied.name = inputs, [output], output
    return copied
