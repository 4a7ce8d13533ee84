"""Graphs of so many operators that not every place is tried as a cut."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from i2i.artifact import INPUT, OUTPUT
from i2i.runtime.model.onnxgraph import Graph
from i2i.runtime.tiles.stages import Plan

DEPTH = 120
WIDTHS = [8] + [4 if number % 5 == 4 else 64 for number in range(DEPTH)]  # of what each convolution sees and makes


@pytest.fixture(scope="module")
def plan():
    """120 convolutions, each with an activation, every fifth of which makes few channels."""
    nodes, tensors = [], []

    def add(kind, *inputs, out, **attributes):
        nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    value = add("Cast", INPUT, out="float", to=TensorProto.FLOAT)
    value = add("Transpose", value, out="planes", perm=[0, 3, 1, 2])
    for number in range(DEPTH):
        weight = np.zeros((WIDTHS[number + 1], 3 if number == 0 else WIDTHS[number], 3, 3), np.float32)
        tensors.append(numpy_helper.from_array(weight, f"w{number}"))
        value = add("Conv", value, f"w{number}", out=f"c{number}", pads=[1, 1, 1, 1])
        value = add("LeakyRelu", value, out=f"r{number}")
    value = add("Transpose", value, out="pixels", perm=[0, 2, 3, 1])
    add("Cast", value, out=OUTPUT, to=TensorProto.UINT8)
    image, made = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, [None, None, None, channels])
        for name, channels in ((INPUT, 3), (OUTPUT, WIDTHS[-1]))
    )
    graph = helper.make_graph(nodes, "deep", [image], [made], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return Plan(Graph.read(model.SerializeToString()), 3)


def overlapping(stage, shape, side):
    """How many times a stage computes each pixel, on average."""
    return np.prod([1 if side + 2 * stage.halo >= length else (side + 2 * stage.halo) / side for length in shape])


def test_it_is_cut_into_stages_where_little_must_be_kept(plan):
    assert plan.radius == DEPTH
    shape, side = (2000, 3000), 128
    stages = list(plan.stages(shape, 1e12, side))
    assert len(stages) > 4
    assert sum(stage.halo for stage in stages) == DEPTH
    kept = [plan.seen[name].channels for stage in stages for name in stage.keeps]
    assert set(kept) == {4}
    work = sum(
        overlapping(stage, shape, side) * plan.seen[name].multiplications
        for stage in stages
        for node in stage.nodes
        for name in node.outputs
    )
    assert work < 2 * plan.multiplications  # as one stage, more than eight times


def test_without_room_it_is_one_stage(plan):
    (stage,) = plan.stages((2000, 3000), 0, 128)
    assert stage.halo == plan.radius


def test_what_fits_into_one_piece_is_one_stage(plan):
    (stage,) = plan.stages((100, 120), 1e12, 128)
    assert stage.outputs == (plan.graph.output,)
