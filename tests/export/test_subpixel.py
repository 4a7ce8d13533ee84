"""Convolutions in blocks of pixels are the same sums."""

import itertools

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from i2i_export.subpixel import blocked, subpixel

CHANNELS_IN, CHANNELS_OUT = 3, 2


def of_one_layer(op_type, weight, bias, **said):
    """A graph of one layer, float32 `[N, C, H, W]` in and out."""
    constants = [numpy_helper.from_array(weight, "w")]
    if bias:
        constants.append(numpy_helper.from_array(np.linspace(-1, 1, CHANNELS_OUT, dtype=np.float32), "b"))
    node = helper.make_node(op_type, ["x", *(tensor.name for tensor in constants)], ["y"], "layer", **said)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "H" + name, "W" + name])
        for name, channels in (("x", CHANNELS_IN), ("y", CHANNELS_OUT))
    ]
    graph = helper.make_graph([node], "layer", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def types(model):
    return [node.op_type for node in model.graph.node]


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


COMBINATIONS = [
    (kernel, stride, pad, extra)
    for kernel, stride, pad, extra in itertools.product((2, 3, 4, 5, 7), (2, 3), (0, 1, 2), (0, 1))
    if pad < kernel
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "pad", "extra"), COMBINATIONS)
def test_a_transposed_convolution_in_blocks_is_the_same(kernel, stride, pad, extra, bias):
    weight = random(CHANNELS_IN, CHANNELS_OUT, kernel, kernel)
    said = {"strides": [stride] * 2, "pads": [pad] * 4, "output_padding": [extra] * 2}
    model = of_one_layer("ConvTranspose", weight, bias, **said)
    made = subpixel(model)
    assert "ConvTranspose" not in types(made)
    x = random(2, CHANNELS_IN, 5, 7)
    wanted = run(model, x)
    got = run(made, x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=2e-5)


def test_unequal_sides_are_kept_apart():
    weight = random(CHANNELS_IN, CHANNELS_OUT, 3, 4)
    said = {"strides": [2, 2], "pads": [1, 0, 0, 2], "output_padding": [0, 1]}
    model = of_one_layer("ConvTranspose", weight, True, **said)
    x = random(1, CHANNELS_IN, 6, 5)
    np.testing.assert_allclose(run(subpixel(model), x), run(model, x), atol=2e-5)


def test_a_doubling_of_four_by_four_weights_wastes_none():
    model = of_one_layer("ConvTranspose", random(CHANNELS_IN, CHANNELS_OUT, 4, 4), False, strides=[2, 2], pads=[1] * 4)
    made = subpixel(model)
    assert types(made) == ["Conv", "DepthToSpace", "Slice"]
    (weight,) = (tensor for tensor in made.graph.initializer if len(tensor.dims) == 4)
    assert list(weight.dims) == [4 * CHANNELS_OUT, CHANNELS_IN, 2, 2]
    assert np.count_nonzero(numpy_helper.to_array(weight)) == CHANNELS_IN * CHANNELS_OUT * 16


@pytest.mark.parametrize(
    "said",
    [{}, {"strides": [2, 3]}, {"strides": [2, 2], "dilations": [2, 2]}, {"strides": [2, 2], "auto_pad": "VALID"}],
)
def test_what_has_no_blocks_stays(said):
    model = of_one_layer("ConvTranspose", random(CHANNELS_IN, CHANNELS_OUT, 3, 3), False, **said)
    assert types(subpixel(model)) == ["ConvTranspose"]


@pytest.mark.parametrize(("multiple", "block"), [(4, 4), (12, 4), (2, 2), (6, 2)])
@pytest.mark.parametrize(("kernel", "pad"), [(3, 1), (7, 3), (9, 4), (7, 0)])
def test_a_last_convolution_in_blocks_is_the_same(kernel, pad, multiple, block):
    model = of_one_layer("Conv", random(CHANNELS_OUT, CHANNELS_IN, kernel, kernel), True, pads=[pad] * 4)
    made = blocked(model, multiple)
    assert types(made) == ["Conv", "DepthToSpace"]
    assert made.graph.node[1].attribute[0].i == block
    around = kernel - 1 - 2 * pad
    x = random(2, CHANNELS_IN, multiple + around, 3 * multiple + around)
    np.testing.assert_allclose(run(made, x), run(model, x), atol=2e-5)


@pytest.mark.parametrize(
    ("kernel", "multiple", "said"), [(7, 1, {}), (7, 3, {}), (1, 4, {}), (7, 4, {"strides": [2, 2]})]
)
def test_blocks_that_do_not_fit_or_pay_are_not_made(kernel, multiple, said):
    model = of_one_layer("Conv", random(CHANNELS_OUT, CHANNELS_IN, kernel, kernel), False, **said)
    assert types(blocked(model, multiple)) == ["Conv"]
