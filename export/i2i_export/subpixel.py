"""Convolutions that make all pixels of a block as channels, then rearrange them: the same sums, in faster kernels.

As in Shi et al. 2016, arXiv:1609.05158, section 3.2, which computes a transposed convolution so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from i2i_export.graph import OF_EACH_VALUE, Graph, attributes, replace

_TO_THE_END = np.iinfo(np.int64).max
_NARROW = 4  # output channels; a kernel of matrix products makes 16 at once and more
_BLOCKS = (4, 2)  # pixels along the side of a block


def subpixel(model: ModelProto) -> ModelProto:
    """A copy of `model` without transposed convolutions of a stride, which have no int8 kernel.

    A transposed convolution of stride s gives out[o] = sum_i x[i] w[o + pad - s i]: the outputs with one remainder of
    o modulo s are a convolution of their own, with every s-th weight. What has groups, dilations, unequal strides or
    a stride of 1 stays as it is.
    """
    graph = Graph(model)

    def changed(node: NodeProto) -> _Rewritten | None:
        axes = _axes(node, graph) if node.op_type == "ConvTranspose" else None
        return None if axes is None else _as_convolution(node, graph, axes)

    return _rewrite(model, changed)


def blocked(model: ModelProto, multiple: int) -> ModelProto:
    """A copy of `model` whose last convolution, where it makes few channels of many pixels, makes blocks of pixels.

    A block's pixels share nearly all that they see, so the kernel grows little: at 7x7 weights, 3 channels and blocks
    of 4x4, twice the products take an eighth of the time. multiple: of which height and width of the result are.
    """
    graph = Graph(model)
    last = _last_convolution(model, graph)

    def changed(node: NodeProto) -> _Rewritten | None:
        block = _block(node, graph, multiple) if node is last else 1
        return None if block == 1 else _in_blocks(node, graph, block)

    return _rewrite(model, changed)


_Rewritten = tuple[list[NodeProto], list[onnx.TensorProto]]  # the nodes instead, and their constants


def _rewrite(model: ModelProto, changed: Callable[[NodeProto], _Rewritten | None]) -> ModelProto:
    nodes: list[NodeProto] = []
    tensors: list[onnx.TensorProto] = []
    for node in model.graph.node:
        made, added = changed(node) or ([node], [])
        nodes += made
        tensors += added
    rewritten = replace(model, nodes, tensors)
    onnx.checker.check_model(rewritten)
    return rewritten


class _Axis(NamedTuple):
    """The convolution along one axis that gives the `stride` outputs of each block.

    first, taps: block m sees the inputs m - first - taps + 1 to m - first. origin: the weight of the block's first
    output at tap 0. pads: zeros around the input. crop: outputs too many at both ends.
    """

    stride: int
    first: int
    taps: int
    origin: int
    pads: tuple[int, int]
    crop: tuple[int, int]


def _axis(kernel: int, stride: int, before: int, after: int, extra: int) -> _Axis | None:
    """The cheapest alignment of the blocks: each output too many at the beginning shifts which weights share a tap."""
    found = []
    for crop in range(stride):
        origin = before - crop
        first, last = -((stride - 1 + origin) // stride), (kernel - 1 - origin) // stride
        surplus = kernel - before - after + extra + crop - stride  # outputs beyond one block for each input
        more = -(-surplus // stride)  # blocks
        ends = (crop, more * stride - surplus)
        axis = _Axis(stride, first, last - first + 1, origin, (last, more - first), ends)
        if min(axis.pads) >= 0:
            found.append(axis)
    return min(found, key=lambda axis: (axis.taps, sum(axis.crop)), default=None)


def _axes(node: NodeProto, graph: Graph) -> tuple[_Axis, _Axis] | None:
    """How a transposed convolution is rewritten along height and width; None where it is not."""
    said = attributes(node)
    strides = said.get("strides", [1, 1])
    placed = "output_shape" not in said and said.get("auto_pad", b"NOTSET") == b"NOTSET"
    if not _plain(node, graph) or not placed or len(set(strides)) > 1 or strides[0] == 1:
        return None
    kernel = graph.constants[node.input[1]].dims[2:]
    pads, extra = said.get("pads", [0] * 4), said.get("output_padding", [0, 0])
    tall, wide = (_axis(kernel[axis], strides[axis], pads[axis], pads[2 + axis], extra[axis]) for axis in (0, 1))
    return None if tall is None or wide is None else (tall, wide)


def _plain(node: NodeProto, graph: Graph) -> bool:
    """Whether it is of two dimensions, without groups or dilations, and its weights are in the file."""
    said = attributes(node)
    return (
        all(name in graph.constants for name in node.input[1:])
        and len(graph.constants[node.input[1]].dims) == 4
        and said.get("group", 1) == 1
        and set(said.get("dilations", [1])) == {1}
    )


def _as_convolution(node: NodeProto, graph: Graph, axes: tuple[_Axis, _Axis]) -> _Rewritten:
    """`[C_in, C_out, k, k]` of a transposed convolution as `[C_out * s * s, C_in, taps, taps]` of a convolution."""
    weight = numpy_helper.to_array(graph.constants[node.input[1]])
    channels_in, channels_out, *kernel = weight.shape
    tall, wide = axes
    made = np.zeros((channels_out, tall.stride, tall.stride, channels_in, tall.taps, wide.taps), weight.dtype)
    for row, (place_row, tap_row) in _places(tall, kernel[0]).items():
        for column, (place_column, tap_column) in _places(wide, kernel[1]).items():
            made[:, place_row, place_column, :, tap_row, tap_column] = weight[:, :, row, column].T
    pads = [tall.pads[0], wide.pads[0], tall.pads[1], wide.pads[1]]
    nodes, tensors = _rearranged(node, graph, made, {"pads": pads})
    if any((*tall.crop, *wide.crop)):
        (output,), whole = node.output, f"{node.output[0]}.whole"
        nodes[-1].output[:] = [whole]
        bounds = {
            "starts": [tall.crop[0], wide.crop[0]],
            "ends": [-axis.crop[1] or _TO_THE_END for axis in axes],
            "axes": [2, 3],
        }
        tensors += [numpy_helper.from_array(np.array(value), f"{output}.{key}") for key, value in bounds.items()]
        inputs = [whole, *(f"{output}.{key}" for key in bounds)]
        nodes.append(helper.make_node("Slice", inputs, [output], f"{output}.cropped"))
    return nodes, tensors


def _places(axis: _Axis, kernel: int) -> dict[int, tuple[int, int]]:
    """For each weight of the kernel, its output within the block, and its tap; taps count along the input."""
    found = {}
    for index in range(kernel):
        back, place = divmod(index - axis.origin, axis.stride)  # the input m - back gives to the output s m + place
        found[index] = place, axis.taps - 1 - (back - axis.first)
    return found


def _last_convolution(model: ModelProto, graph: Graph) -> NodeProto | None:
    """The convolution after which each value is for itself."""
    node = graph.makers[model.graph.output[0].name]
    while node.op_type in OF_EACH_VALUE:
        before = [graph.makers[name] for name in node.input if name in graph.makers]
        convolutions = [maker for maker in before if maker.op_type == "Conv"]
        if len(before) != 1 and len(convolutions) != 1:
            return None
        node = convolutions[0] if convolutions else before[0]
    return node if node.op_type == "Conv" else None


def _block(node: NodeProto, graph: Graph, multiple: int) -> int:
    """Pixels along the side of the blocks that pay; 1: none do."""
    said = attributes(node)
    if not _plain(node, graph) or set(said.get("strides", [1])) != {1} or said.get("auto_pad", b"NOTSET") != b"NOTSET":
        return 1
    channels, _, *kernel = graph.constants[node.input[1]].dims
    pays = channels <= _NARROW and min(kernel) >= 3
    return next((block for block in _BLOCKS if multiple % block == 0), 1) if pays else 1


def _in_blocks(node: NodeProto, graph: Graph, block: int) -> _Rewritten:
    """`[C_out, C_in, k, k]` of a convolution as `[C_out * s * s, C_in, k + s - 1, k + s - 1]` of one of stride s."""
    weight = numpy_helper.to_array(graph.constants[node.input[1]])
    channels_out, channels_in, tall, wide = weight.shape
    shape = (channels_out, block, block, channels_in, tall + block - 1, wide + block - 1)
    made = np.zeros(shape, weight.dtype)
    for row, column in np.ndindex(block, block):
        made[:, row, column, :, row : row + tall, column : column + wide] = weight
    pads = attributes(node).get("pads", [0] * 4)
    return _rearranged(node, graph, made, {"pads": pads, "strides": [block, block]})


def _rearranged(node: NodeProto, graph: Graph, weight: NDArray[Any], said: Mapping[str, Any]) -> _Rewritten:
    """A convolution of weights `[C_out, s, s, C_in, k, k]` that makes blocks of s x s pixels, laid out as pixels."""
    (output,) = node.output
    _, block, _, _, *kernel = weight.shape
    tensors = [numpy_helper.from_array(weight.reshape(-1, *weight.shape[3:]), f"{output}.weight")]
    if len(node.input) > 2:
        bias = numpy_helper.to_array(graph.constants[node.input[2]])
        tensors.append(numpy_helper.from_array(np.repeat(bias, block**2), f"{output}.bias"))
    inputs = [node.input[0], *(tensor.name for tensor in tensors)]
    blocks = f"{output}.blocks"
    conv = helper.make_node("Conv", inputs, [blocks], blocks, kernel_shape=kernel, **said)
    laid = helper.make_node("DepthToSpace", [blocks], [output], f"{output}.laid", blocksize=block, mode="CRD")
    return [conv, laid], tensors
