"""How far each value of a graph looks, on which grid it lies, and what it costs, read off the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from i2i.runtime.model.onnxgraph import Constant, Graph, Node

NORM: Final = "InstanceNormalization"
# fmt: off
_POINTWISE: Final = frozenset(
    [
        "Abs", "Add", "BatchNormalization", "Cast", "Ceil", "Clip", "DequantizeLinear", "Div", "Dropout", "Elu",
        "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity",
        "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min",
        "Mish", "Mul", "Neg", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
        "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "Where",
    ]
)
# fmt: on
_OF_CHANNELS: Final = ("BatchNormalization", "QuantizeLinear", "DequantizeLinear")  # whose constants have one axis
_DOMAINS: Final = ("", "ai.onnx")
_PADS: Final = (b"constant", b"reflect", b"edge")  # by what is near, unlike wrap
_RESIZES: Final = {  # how places are found, independent of the length of the image
    "coordinate_transformation_mode": (b"half_pixel", b"pytorch_half_pixel", b"asymmetric"),
    "nearest_mode": (b"floor", b"round_prefer_floor"),
}
_TO_PLANES: Final = (0, 3, 1, 2)
_TO_PIXELS: Final = (0, 2, 3, 1)


class NotLocalError(Exception):
    """An operator by which a value may depend on the whole image, or of which that is not known."""


@dataclass(frozen=True)
class Reach:
    """Along an axis, element i of a value sees the image's pixels from i*step + low to i*step + high.

    extra: how many elements more there are than the length of the image over step.
    """

    step: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    extra: int = 0

    @property
    def radius(self) -> int:
        """Pixels, in the direction in which it sees further."""
        return math.ceil(max(-self.low, self.high))


@dataclass(frozen=True)
class Seen:
    """A value that depends on the image: `[N, H, W, C]` where `pixels`, else `[N, C, H, W]`.

    rows, columns: its reach along both axes. multiplications: by which it is made, for each pixel of the image.
    """

    rows: Reach
    columns: Reach
    channels: int
    pixels: bool = False
    multiplications: float = 0.0

    @property
    def bytes(self) -> float:
        """In float32, for each pixel of the image."""
        return float(4 * self.channels / (self.rows.step * self.columns.step))

    @property
    def on_grid(self) -> bool:
        """Whether it has as many elements as its step asks for, so that pieces of it can be put together."""
        return self.rows.extra == 0 and self.columns.extra == 0


def trace(graph: Graph, nodes: Sequence[Node], start: Mapping[str, Seen]) -> dict[str, Seen]:
    """What all values see that `nodes` make of those in `start`, these included; raises NotLocalError.

    Norms by statistics of the image count as pointwise. A value is taken to see at least its own place.
    """
    seen = dict(start)
    for node in nodes:
        read = [seen[name] for name in node.inputs if name in seen]
        if node.nested or (read and (any(node.outputs[1:]) or node.domain not in _DOMAINS)):
            raise NotLocalError(f"{node.domain} {node.kind}")
        if read:
            if node.inputs[0] not in seen and node.kind not in _POINTWISE:
                raise NotLocalError(node.kind)
            seen[node.outputs[0]] = _through(graph, node, read)
    return seen


def alone(value: Seen) -> Seen:
    """The value as one from which a trace starts: on its grid, and seeing its own place."""
    return replace(value, rows=Reach(value.rows.step), columns=Reach(value.columns.step), multiplications=0.0)


def _through(graph: Graph, node: Node, read: Sequence[Seen]) -> Seen:
    first = read[0]
    if any(other.pixels != first.pixels for other in read):
        raise NotLocalError(node.kind)
    joined = replace(
        first,
        rows=_join([value.rows for value in read], node),
        columns=_join([value.columns for value in read], node),
        channels=max(value.channels for value in read),
        multiplications=0.0,
    )
    match node.kind:
        case "InstanceNormalization":
            return joined
        case kind if kind in _POINTWISE:
            for name in node.inputs:
                _check_constant(graph.constants.get(name), node, pixels=first.pixels)
            return replace(joined, channels=max(joined.channels, *(_spread(graph, name, node) for name in node.inputs)))
        case "ReduceMin" | "ReduceMax" if not first.pixels and _listed(graph, node, 1) == [1]:
            if node.integer("keepdims", 1) == 0:
                raise NotLocalError(f"{node.kind} that leaves no channel")
            return replace(joined, channels=1)
        case "Concat" if node.integer("axis", 0) == (3 if first.pixels else 1):
            if len(read) < len(node.inputs):
                raise NotLocalError("Concat with a constant")
            return replace(joined, channels=sum(value.channels for value in read))
        case "Transpose" if node.integers("perm", ()) == (_TO_PLANES if first.pixels else _TO_PIXELS):
            return replace(joined, pixels=not first.pixels)
    if first.pixels or len(read) > 1:
        raise NotLocalError(node.kind)
    rows, columns = (_along(graph, node, axis, (joined.rows, joined.columns)[axis]) for axis in (0, 1))
    return _weighed(graph, node, replace(joined, rows=_own(rows), columns=_own(columns)), first)


def _own(reach: Reach) -> Reach:
    """With its own place, where that is element i*step: what lies beyond a piece must not look as if it lay inside."""
    if reach.extra:
        return reach
    return replace(reach, low=min(reach.low, Fraction(0)), high=max(reach.high, Fraction(0)))


def _join(reaches: Sequence[Reach], node: Node) -> Reach:
    first = reaches[0]
    if any((other.step, other.extra) != (first.step, first.extra) for other in reaches):
        raise NotLocalError(f"{node.kind} of values on different grids")
    return replace(first, low=min(reach.low for reach in reaches), high=max(reach.high for reach in reaches))


def _check_constant(constant: Constant | None, node: Node, *, pixels: bool) -> None:
    """A constant with a height or a width would be laid on every piece alike."""
    if constant is None or node.kind in _OF_CHANNELS:
        return
    shape = (1,) * (4 - len(constant.shape)) + constant.shape
    if any(side > 1 for side in (shape[1:3] if pixels else shape[2:])):
        raise NotLocalError(f"{node.kind} with a constant image")


def _spread(graph: Graph, name: str, node: Node) -> int:
    """To how many channels a constant spreads a plane that it is reckoned with."""
    constant = graph.constants.get(name)
    if constant is None or node.kind in _OF_CHANNELS or len(constant.shape) < 3:
        return 1
    return constant.shape[-3]


def _along(graph: Graph, node: Node, axis: int, seen: Reach) -> Reach:
    """What the output of an operator that looks around sees along an axis, 0 the rows and 1 the columns."""
    step = seen.step
    match node.kind:
        case "Conv" | "MaxPool" | "AveragePool":
            span, stride, before, after = _window(graph, node, axis)
            extra = (seen.extra + before + after - span - 1) // stride + 1
            return Reach(step * stride, seen.low - before * step, seen.high + (span - before) * step, extra)
        case "ConvTranspose":
            span, stride, before, after = _window(graph, node, axis)
            finer = step / stride
            extra = (seen.extra - 1) * stride + span + 1 - before - after
            extra += node.integers("output_padding", (0, 0))[axis]
            return Reach(finer, seen.low - (span - before) * finer, seen.high + before * finer, extra)
        case "Pad":
            if node.attributes.get("mode", b"constant") not in _PADS or any(node.inputs[3:]):
                raise NotLocalError("Pad")
            widths = _listed(graph, node, 1)
            before, after = widths[len(widths) // 2 - 2 + axis], widths[len(widths) - 2 + axis]
            shift = before * step
            return Reach(step, seen.low - shift, seen.high - shift, seen.extra + before + after)
        case "Slice":
            before, after = _sliced(graph, node, axis)
            shift = before * step
            return Reach(step, seen.low + shift, seen.high + shift, seen.extra - before - after)
        case "Resize":
            return _resized(graph, node, axis, seen)
        case "DepthToSpace":
            block = node.integer("blocksize", 1)
            finer = step / block
            return Reach(finer, seen.low - (block - 1) * finer, seen.high, seen.extra * block)
        case "SpaceToDepth":
            block = node.integer("blocksize", 1)
            return Reach(step * block, seen.low, seen.high + (block - 1) * step, seen.extra // block)
        case _:
            raise NotLocalError(node.kind)


def _window(graph: Graph, node: Node, axis: int) -> tuple[int, int, int, int]:
    """(kernel - 1) * dilation, the stride, and the padding before and after."""
    if node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or node.integer("ceil_mode", 0):
        raise NotLocalError(f"{node.kind} that pads by itself")
    kernel = node.integers("kernel_shape", _weights(graph, node)[2:] if len(node.inputs) > 1 else ())
    pads = node.integers("pads", (0, 0, 0, 0))
    span = (kernel[axis] - 1) * node.integers("dilations", (1, 1))[axis]
    return span, node.integers("strides", (1, 1))[axis], pads[axis], pads[2 + axis]


def _weights(graph: Graph, node: Node) -> tuple[int, ...]:
    """The shape of a convolution's weights."""
    shape = graph.shape(node.inputs[1])
    if shape is None:
        raise NotLocalError(f"{node.kind} by weights that are computed")
    return shape


def _sliced(graph: Graph, node: Node, axis: int) -> tuple[int, int]:
    """How many elements a Slice cuts off before and after."""
    if len(node.inputs) < 4:
        raise NotLocalError("Slice of all axes")
    starts, ends, axes = (_listed(graph, node, number) for number in (1, 2, 3))
    steps = _listed(graph, node, 4) if len(node.inputs) > 4 else [1] * len(axes)
    for start, end, along, by in zip(starts, ends, axes, steps, strict=True):
        if along == 1 and by == 1:
            continue
        if along not in (2, 3) or by != 1 or start < 0 or (0 <= end < 1 << 31):
            raise NotLocalError("Slice that depends on the size")
        if along == 2 + axis:
            return start, -end if end < 0 else 0
    return 0, 0


def _resized(graph: Graph, node: Node, axis: int, seen: Reach) -> Reach:
    if len(node.inputs) < 3 or not node.inputs[2]:
        raise NotLocalError("Resize to a size")
    if any(node.attributes.get(name, known[0]) not in known for name, known in _RESIZES.items()):
        raise NotLocalError("Resize by the size")
    scales = _read(graph, node, 2)
    if len(scales) != 4 or not all(scale > 0 for scale in scales):
        raise NotLocalError("Resize")
    times = Fraction(float(scales[2 + axis])).limit_denominator(64)
    mode = node.attributes.get("mode", b"nearest")
    around = {b"nearest": 0, b"linear": 1, b"cubic": 2}.get(mode if isinstance(mode, bytes) else b"")
    whole = (times if times >= 1 else 1 / times).denominator == 1
    if around is None or not whole or node.integer("antialias", 0):
        raise NotLocalError("Resize")
    step = seen.step / times
    extra = seen.extra * times
    if extra.denominator != 1:
        raise NotLocalError("Resize")
    if around == 0 and times >= 1:
        return Reach(step, seen.low - (1 - 1 / times) * seen.step, seen.high, int(extra))
    reach = (around + 1) * seen.step  # one more for where half a pixel begins
    return Reach(step, seen.low - reach, seen.high + reach + max(step - seen.step, Fraction(0)), int(extra))


def _weighed(graph: Graph, node: Node, made: Seen, first: Seen) -> Seen:
    """With its channels, and the multiplications that it takes."""
    block = node.integer("blocksize", 1) ** 2
    if node.kind == "DepthToSpace":
        return replace(made, channels=first.channels // block)
    if node.kind == "SpaceToDepth":
        return replace(made, channels=first.channels * block)
    if node.kind == "Slice":
        starts, ends, axes = (_listed(graph, node, number) for number in (1, 2, 3))
        cut = {along: slice(start, end) for start, end, along in zip(starts, ends, axes, strict=True)}
        return replace(made, channels=len(range(first.channels)[cut.get(1, slice(None))]))
    if node.kind not in ("Conv", "ConvTranspose"):
        return made
    weights = _weights(graph, node)
    group = node.integer("group", 1)
    transposed = node.kind == "ConvTranspose"
    places = (first if transposed else made).rows.step * (first if transposed else made).columns.step
    channels = weights[1] * group if transposed else weights[0]
    return replace(made, channels=channels, multiplications=float(math.prod(weights) / places))


def _read(graph: Graph, node: Node, number: int) -> Sequence[float]:
    constant = graph.constants.get(node.inputs[number])
    values = None if constant is None else constant.values()
    if values is None:
        raise NotLocalError(f"{node.kind} by values that are computed")
    return [float(value) for value in np.asarray(values, np.float64).ravel()]


def _listed(graph: Graph, node: Node, number: int) -> list[int]:
    return [int(value) for value in _read(graph, node, number)]
