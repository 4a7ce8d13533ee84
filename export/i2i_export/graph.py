"""Who makes and who reads what in an ONNX graph, and a graph with other nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, helper

# What is done to each value, or each pixel, for itself: the scaling and rounding around a network consists of it.
OF_EACH_VALUE = frozenset({"Transpose", "Cast", "Clip", "Round", "Mul", "Div", "Add", "Sub", "Tanh", "Sigmoid"})


class Graph:
    """makers: the node that makes a tensor. readers: those that read it. constants: the weights, all by name."""

    def __init__(self, model: ModelProto) -> None:
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for name in node.input:
                self.readers[name].append(node)

    def next(self, tensor: str) -> NodeProto | None:
        """The node that reads the tensor, where only one does."""
        readers = self.readers[tensor]
        return readers[0] if len(readers) == 1 else None


def replace(model: ModelProto, nodes: Iterable[NodeProto], constants: Iterable[TensorProto]) -> ModelProto:
    """A copy of `model` with other nodes and more constants, without those that nothing reads."""
    wanted = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    tensors = [tensor for tensor in (*model.graph.initializer, *constants) if tensor.name in wanted]
    for field, values in ((graph.node, reversed(kept)), (graph.initializer, tensors)):
        del field[:]
        field.extend(values)
    return made


def products(model: ModelProto) -> list[NodeProto]:
    """The layers that multiply by weights, where nearly all of the time goes."""
    return [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")]


def attributes(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node by name; strings are bytes."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def moves(node: NodeProto) -> bool:
    """Whether the node only moves values, so that it does the same with their codes."""
    mode = attributes(node).get("mode")
    match node.op_type:
        case "DepthToSpace" | "Slice":
            return True
        case "Pad":  # with zeros, it would have to know their code
            return mode in (b"reflect", b"edge")
        case "Resize":
            return mode in (None, b"nearest")
    return False
