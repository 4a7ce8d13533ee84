"""How far a network looks, read off its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import onnx
from onnx import ModelProto, NodeProto, numpy_helper

_GLOBAL = frozenset({"InstanceNormalization", "GroupNormalization", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean"})


@dataclass(frozen=True)
class View:
    """radius: input pixels, in each direction, that an output pixel can depend on through windows.

    statistics: whether it also depends on statistics of the whole image.
    """

    radius: int
    statistics: Literal["none", "image"]


@dataclass(frozen=True)
class _Reach:
    """Along one axis, the element numbered i sees the input pixels from i*step + low to i*step + high."""

    step: Fraction
    low: Fraction
    high: Fraction


def view(model: ModelProto) -> View:
    """Follows every path of the graph from its input to its output; exact for convolutions, pooling and padding."""
    radius = max(_radius(model, axis) for axis in (0, 1))
    looks_wide = any(node.op_type in _GLOBAL for node in model.graph.node)
    return View(radius, "image" if looks_wide else "none")


def _radius(model: ModelProto, axis: int) -> int:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    reaches = {model.graph.input[0].name: _Reach(Fraction(1), Fraction(0), Fraction(0))}
    for node in model.graph.node:
        read = [reaches[name] for name in node.input if name in reaches]
        if not read:
            continue
        seen = _Reach(
            min(reach.step for reach in read), min(reach.low for reach in read), max(reach.high for reach in read)
        )
        reaches.update(dict.fromkeys(node.output, _through(node, seen, axis, constants)))
    last = reaches[model.graph.output[0].name]
    return math.ceil(max(-last.low, last.high))


def _through(node: NodeProto, seen: _Reach, axis: int, constants: Mapping[str, onnx.TensorProto]) -> _Reach:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    step = seen.step
    match node.op_type:
        case "Conv" | "MaxPool" | "AveragePool":
            span, stride, before = _window(attributes, node, axis, constants)
            return _Reach(step * stride, seen.low - before * step, seen.high + (span - before) * step)
        case "ConvTranspose":
            span, stride, before = _window(attributes, node, axis, constants)
            finer = step / stride
            return _Reach(finer, seen.low - (span - before) * finer, seen.high + before * finer)
        case "Pad":
            widths = numpy_helper.to_array(constants[node.input[1]])
            before = int(widths[len(widths) // 2 - 2 + axis])
            return _Reach(step, seen.low - before * step, seen.high - before * step)
        case "Resize" if len(node.input) > 2 and node.input[2] in constants:  # of the nearest kind: pixels are repeated
            times = Fraction(float(numpy_helper.to_array(constants[node.input[2]])[2 + axis]))
            return _Reach(step / times, seen.low - (1 - 1 / times) * step, seen.high)
        case "DepthToSpace":
            block = attributes["blocksize"]
            return _Reach(step / block, seen.low - Fraction(block - 1, block) * step, seen.high)
        case _:
            return seen


def _window(
    attributes: Mapping[str, Any], node: NodeProto, axis: int, constants: Mapping[str, onnx.TensorProto]
) -> tuple[int, int, int]:
    """(kernel - 1) * dilation, the stride, and the padding before."""

    def of(name: str, default: Sequence[int]) -> int:
        return int(attributes.get(name, default)[axis])

    kernel = attributes.get("kernel_shape") or constants[node.input[1]].dims[2:]
    return (int(kernel[axis]) - 1) * of("dilations", (1, 1)), of("strides", (1, 1)), of("pads", (0, 0))
