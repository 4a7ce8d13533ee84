"""A graph that computes in half precision, but for what would overflow or lose in it."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from i2i.errors import ExportError
from i2i_export.graph import OF_EACH_VALUE, Graph, replace

LARGEST = float(np.finfo(np.float16).max)  # 65504
# What is computed in half precision: products, and what is of each value. Statistics are not: a sum of squares of
# deviation 10 over 256 x 256 pixels is a hundred times what half precision can hold.
_HALF = frozenset(
    {
        *("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip"),
        *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
        *("Concat", "Split", "Slice", "Gather", "Where", "Pad", "Resize", "DepthToSpace", "SpaceToDepth", "Identity"),
        *("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "MaxPool", "AveragePool"),
    }
)
_STAY: dict[str, set[int]] = {"Resize": {1, 2}}  # inputs that are float32 in any precision


def halved(model: ModelProto) -> ModelProto:
    """A copy of `model` with weights and activations in float16, and its inputs and outputs as they were.

    Pixels are scaled and rounded in float32, and norms take and keep their statistics in it; whatever is not known to
    do well in half precision stays in float32 too. Raises ExportError for weights that half precision cannot hold.
    """
    return _Halving(model).result()


def held(made: ModelProto) -> list[str]:
    """The tensors of a model that a graph made by `halved` holds in half precision, but for its constants."""
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True).graph
    halves = {value.name for value in inferred.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT16}
    nodes = [node for node in made.graph.node if halves.intersection(node.output)]
    names = [name for node in nodes for name in (node.input if node.op_type == "Cast" else node.output)]
    given = {value.name for value in made.graph.input}
    return [name for name in dict.fromkeys(names) if name not in given]


class _Halving:
    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self._graph = Graph(model)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
        self._floats = {
            value.name
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
            if value.type.tensor_type.elem_type == TensorProto.FLOAT
        } | {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
        self._halves: set[str] = set()  # the tensors that are made in half precision
        self._nodes: list[NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}
        self._cast: set[str] = set()

    def result(self) -> ModelProto:
        exact = self._before() | self._after()
        for node in self._model.graph.node:
            half = node.op_type in _HALF and node.output[0] in self._floats and node.output[0] not in exact
            stay = _STAY.get(node.op_type, set())
            copied = NodeProto()
            copied.CopyFrom(node)
            copied.input[:] = [self._as(name, half=half and place not in stay) for place, name in enumerate(node.input)]
            self._nodes.append(copied)
            if half:
                self._halves.update(node.output)
        made = replace(self._model, self._nodes, self._tensors.values())
        onnx.checker.check_model(made, full_check=True)
        return made

    def _before(self) -> set[str]:
        """What is made of pixels alone, before the network."""
        found = {value.name for value in self._model.graph.input}
        for node in self._model.graph.node:
            made = [name for name in node.input if name not in self._graph.constants]
            if node.op_type in OF_EACH_VALUE and made and found.issuperset(made):
                found.update(node.output)
        return found

    def _after(self) -> set[str]:
        """What is made of the network's last layer alone, value by value."""
        found: set[str] = set()
        name = self._model.graph.output[0].name
        while name in self._graph.makers and self._graph.makers[name].op_type in OF_EACH_VALUE:
            found.add(name)
            before = [other for other in self._graph.makers[name].input if other not in self._graph.constants]
            if len(before) != 1:
                break
            (name,) = before
        return found

    def _as(self, name: str, *, half: bool) -> str:
        """The tensor in the precision in which it is read."""
        if name not in self._floats or half == (name in self._halves):
            return name
        changed = f"{name}.{'half' if half else 'float'}"
        if name in self._graph.constants:
            value = numpy_helper.to_array(self._graph.constants[name])
            self._tensors[changed] = numpy_helper.from_array(_half(name, value), changed)
        elif changed not in self._cast:
            self._cast.add(changed)
            to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
            self._nodes.append(helper.make_node("Cast", [name], [changed], changed, to=to))
        return changed


def _half(name: str, value: NDArray[np.float32]) -> NDArray[np.float16]:
    largest = float(np.abs(value).max(initial=0))
    if not largest <= LARGEST:
        raise ExportError(
            f"{name.removeprefix('network.')}: a weight of {largest:.3g} is beyond half precision, "
            f"which ends at {LARGEST:.0f}",
            "Use int8 or fp32; or train with a norm, which keeps weights small.",
        )
    return value.astype(np.float16)
