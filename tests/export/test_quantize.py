"""Graphs in integers: what they compute, and that a runtime has integer kernels for it."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from i2i.artifact import INPUT
from i2i.games.game import Export
from i2i.nn.deploy import deployed
from i2i.nn.resnet import ResNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet
from i2i.runtime.devices.saturation import EXACT, saturates
from i2i_export.calibrate import observe
from i2i_export.onnx import to_onnx
from i2i_export.quantize import Codes, convolutions, quantized, watched
from i2i_export.subpixel import blocked, subpixel


def images(count, side, seed=0):
    """Smooth pictures, uint8 `[1, side, side, 3]` each."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side
    made = []
    for _ in range(count):
        a, b, c = rng.uniform(2, 9, (3, 3))
        made.append(np.uint8(127.5 + 120 * np.sin(rows[..., None] * a + columns[..., None] * b + c))[None])
    return [{INPUT: image} for image in made]


def prepared(network, multiple, scale=1):
    export = Export(deployed(network, "image"), 3, 3, multiple, scale=scale)
    return blocked(subpixel(to_onnx(export)), multiple * scale)


NETWORKS = {
    "resnet": lambda: (ResNet(3, 3, blocks=1, filters=8), 4, 1),
    "resnet, nearest, no norm": lambda: (ResNet(3, 3, blocks=1, filters=8, norm="none", upsampling="nearest"), 4, 1),
    "unet": lambda: (UNet(3, 3, depth=3, filters=8), 8, 1),
    "srresnet": lambda: (SRResNet(3, 3, scale=2, filters=8, blocks=1), 1, 2),
}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    torch.manual_seed(0)
    model = prepared(*NETWORKS[request.param]())
    seen = observe(model, watched(model), images(4, 32))
    return request.param, model, quantized(model, seen, convolutions(model))


def run(model, inputs, options=None):
    options = onnxruntime.SessionOptions() if options is None else options
    if saturates():
        options.add_session_config_entry(EXACT, "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(inputs))[0].astype(int)


def test_it_makes_nearly_the_same_images(case):
    _, model, integers = case
    for inputs in images(2, 48, seed=1):  # neither the pictures nor the size that it was fitted to
        difference = run(model, inputs) - run(integers, inputs)
        assert 10 * np.log10(255**2 / np.mean(difference**2)) > 28
        assert (difference != 0).any()


def test_every_convolution_but_the_first_has_an_integer_kernel(case, tmp_path):
    _, _, integers = case
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4  # it warns that the file suits this processor alone
    run(integers, images(1, 32)[0], options)
    types = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    whole = sum(node.op_type == "Conv" for node in integers.graph.node)
    assert types.count("QLinearConv") == whole - 1
    assert sum(name in ("Conv", "FusedConv", "NhwcFusedConv") for name in types) == 1


def test_fused_or_not_it_computes_the_same(case):
    """The graph says by itself what it computes, in whatever runtime."""
    _, _, integers = case
    (inputs,) = images(1, 16, seed=2)
    newer = onnx.ModelProto()
    newer.CopyFrom(integers)
    newer.opset_import[0].version = 19  # the same to these graphs; the reference has no older dequantisation
    (literal,) = ReferenceEvaluator(newer).run(None, dict(inputs))
    difference = np.abs(run(integers, inputs) - literal.astype(int))
    assert np.mean(difference > 2) < 0.02  # values on the edge of two codes may fall either way, and spread


def test_what_only_moves_values_moves_codes(case):
    name, _, integers = case
    inferred = onnx.shape_inference.infer_shapes(integers).graph
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
    moved = {node.op_type for node in inferred.node if types.get(node.output[0]) == onnx.TensorProto.UINT8}
    wanted = {
        "resnet": {"Pad", "DepthToSpace"},
        "resnet, nearest, no norm": {"Pad", "Resize", "DepthToSpace"},
        "unet": {"Concat", "DepthToSpace", "Slice"},
        "srresnet": {"DepthToSpace"},
    }
    assert wanted[name] <= moved


def test_sizes_stay_free_and_the_file_one(case):
    _, _, integers = case
    for value in (integers.graph.input[0], integers.graph.output[0]):
        assert [d.dim_param != "" for d in value.type.tensor_type.shape.dim] == [True, True, True, False]
    assert [(o.domain, o.version) for o in integers.opset_import] == [("", 18)]
    assert not any(tensor.external_data for tensor in integers.graph.initializer)


def test_only_the_chosen_ones_are_quantised():
    torch.manual_seed(0)
    model = prepared(ResNet(3, 3, blocks=1, filters=8), 4)
    seen = observe(model, watched(model), images(1, 32))
    chosen = convolutions(model)[1:3]
    made = quantized(model, seen, chosen)
    makers = {output: node for node in made.graph.node for output in node.output}
    decoded = [
        node
        for node in made.graph.node
        if node.op_type == "Conv"
        and "DequantizeLinear" in (makers[name].op_type for name in node.input if name in makers)
    ]
    assert len(decoded) == 2


def test_a_bias_far_beyond_its_weights_is_kept():
    weight = np.random.default_rng(0).normal(size=(4, 8, 1, 1)).astype(np.float32)
    weight[1] *= 1e-10
    weight[2] = 0
    weight[3] = 1e-42  # its step times that of the input is 0 in float32
    bias = np.array([0.5, 1.0, 0.9, 0.0], np.float32)
    sides = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, 4, 4])
        for name, channels in (("x", 8), ("y", 4))
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in (("w", weight), ("b", bias))]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w", "b"], ["y"])], "g", sides[:1], sides[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    inputs = {"x": np.random.default_rng(1).uniform(0, 1, (1, 8, 4, 4)).astype(np.float32)}
    made = quantized(model, observe(model, ["x", "y"], [inputs]), ["y"])
    whole, integers = (
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, inputs)[0]
        for each in (model, made)
    )
    step = (whole.max() - min(whole.min(), 0)) / 255
    assert np.abs(integers - whole)[:, 1:].max() <= 0.51 * step
    assert np.abs(integers - whole).max() <= 4 * step


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (2.0, 6.0), (-5.0, -1.0), (0.0, 0.0), (-1e-3, 1e4)])
def test_codes_hold_zero_exactly_and_every_value_to_half_a_step(low, high):
    codes = Codes.spanning(low, high)
    assert 0 <= codes.zero <= 255
    values = np.linspace(min(low, 0), max(high, 0), 1001)
    read = codes.scale * (np.clip(np.rint(values / codes.scale) + codes.zero, 0, 255) - codes.zero)
    assert np.abs(read - values).max() <= codes.scale * 1.001 / 2 + codes.scale / 2 * (low < 0 < high)
    assert read[np.argmin(np.abs(values))] == 0


def test_a_layer_whose_weights_are_computed_is_left_alone():
    class Modulated(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))
            self.last = nn.Conv2d(8, 3, 3, padding=1)

        def forward(self, image):
            strength = image.abs().mean((0, 1, 2, 3))
            return self.last(torch.conv2d(image, self.weight * strength, padding=1)).tanh()

    model = prepared(Modulated().eval(), 1)
    (only,) = convolutions(model)
    made = quantized(model, observe(model, watched(model), images(1, 16)), [only])
    assert run(made, images(1, 16)[0]).shape == (1, 16, 16, 3)
