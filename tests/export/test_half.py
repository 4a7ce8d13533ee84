"""Graphs in half precision: what is computed in it, and what is not."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from torch import nn

from i2i.artifact import INPUT
from i2i.errors import ExportError
from i2i.games.game import Export
from i2i.nn.deploy import deployed
from i2i.nn.resnet import ResNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet
from i2i_export.cases import Cases
from i2i_export.half import halved
from i2i_export.onnx import to_onnx
from i2i_export.variants import variant


def run(model, image):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {INPUT: image})[0].astype(int)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def element_types(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.input, *inferred.output)}
    return values | {tensor.name: tensor.data_type for tensor in inferred.initializer}


NETWORKS = {
    "resnet": lambda: (ResNet(3, 3, blocks=1, filters=8), 4, 1),
    "resnet that changes the image": lambda: (ResNet(3, 3, blocks=1, filters=8, norm="none", skip=True), 4, 1),
    "unet": lambda: (UNet(3, 3, depth=3, filters=8), 8, 1),
    "srresnet": lambda: (SRResNet(3, 3, scale=2, filters=8, blocks=1), 1, 2),
}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    torch.manual_seed(0)
    network, multiple, scale = NETWORKS[request.param]()
    model = to_onnx(Export(deployed(network, "image"), 3, 3, multiple, scale=scale))
    return model, halved(model)


def test_it_is_valid_of_half_the_size_and_makes_the_same_images(case):
    model, half = case
    onnx.checker.check_model(half, full_check=True)
    weights = [sum(len(tensor.raw_data) for tensor in each.graph.initializer) for each in case]
    assert 0.5 <= weights[1] / weights[0] < 0.53
    for shape in ((1, 24, 32, 3), (2, 16, 16, 3)):
        assert np.abs(run(half, noise(*shape)) - run(model, noise(*shape))).max() <= 1


def test_it_makes_them_where_every_value_really_is_rounded_to_half_precision(case):
    """A processor may compute float16 in float32; the reference does not."""
    model, half = case
    (made,) = ReferenceEvaluator(half).run(None, {INPUT: noise(1, 16, 16, 3)})
    difference = made.astype(int) - run(model, noise(1, 16, 16, 3))
    assert np.mean(difference**2) < 0.2  # 55 dB


def test_products_are_in_half_and_statistics_and_pixels_are_not(case):
    _, half = case
    types = element_types(half)
    for node in half.graph.node:
        inputs = {types[name] for name in node.input if name}
        if node.op_type in ("Conv", "ConvTranspose"):
            assert inputs == {TensorProto.FLOAT16}
        elif node.op_type in ("InstanceNormalization", "Round", "BatchNormalization"):
            assert inputs == {TensorProto.FLOAT}
    for value in (half.graph.input[0], half.graph.output[0]):
        assert value.type.tensor_type.elem_type == TensorProto.UINT8


class Scaled(nn.Module):
    """A norm after values of deviation `scale`."""

    def __init__(self, scale):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.InstanceNorm2d(3), nn.Conv2d(3, 3, 1))
        nn.init.dirac_(self.net[0].weight)
        nn.init.dirac_(self.net[2].weight)
        self.net[0].weight.data *= scale
        self.net[2].weight.data /= 4

    def forward(self, image):
        return self.net(image)


@pytest.mark.parametrize("deviation", [10, 1000])
def test_statistics_that_half_precision_cannot_hold(deviation):
    image = noise(1, 256, 256, 3)
    network = Scaled(deviation / (image.std() / 127.5))
    values = ((image.astype(np.float64) / 127.5 - 1) * deviation / (image.std() / 127.5)).astype(np.float16)
    with np.errstate(over="ignore"):
        assert np.isinf(np.add.reduce(values.astype(np.float64) ** 2, axis=None).astype(np.float16))
    half = halved(to_onnx(Export(network.eval(), 3, 3, 1)))
    with torch.no_grad():
        wanted = network.double()(torch.from_numpy(image).permute(0, 3, 1, 2).double() / 127.5 - 1)
    wanted = ((wanted + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
    assert np.abs(run(half, image) - wanted).max() <= 1


def test_a_weight_that_half_precision_cannot_hold_is_named():
    network = Scaled(1).eval()
    network.net[2].weight.data[1, 1] = 70_000
    with pytest.raises(ExportError, match=r"^net\.2\.weight: a weight of 7e\+04 is beyond half precision"):
        halved(to_onnx(Export(network, 3, 3, 1)))


class Residual(nn.Module):
    """A sum that is twice as large as what its layers make."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 3, 1, bias=False)
        for layer, scale in ((self.first, 10_000), (self.last, 1 / 20_000)):
            nn.init.dirac_(layer.weight)
            layer.weight.data *= scale

    def forward(self, image):
        made = self.first(image)
        return self.last(made + made)


def test_a_sum_that_half_precision_cannot_hold_is_named():
    cases = Cases([{INPUT: np.full((1, 8, 8, 3), 255, np.uint8)}], [])
    model = to_onnx(Export(Residual().eval(), 3, 3, 1))
    with pytest.raises(ExportError, match=r"the layer add\S* reaches 2e\+04; half precision ends at 65504"):
        variant(model, "fp16", cases, 1)


def test_what_is_not_known_to_do_well_in_half_precision_stays():
    class Own(nn.Module):
        """A norm that is written out, by its root of a mean of squares."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, image):
            made = 2000 * self.conv(image)
            return made / (made.square().mean((2, 3), keepdim=True) + 1e-5).sqrt() / 4

    torch.manual_seed(0)
    model = to_onnx(Export(Own().eval(), 3, 3, 1))
    half = halved(model)
    assert np.abs(run(half, noise(1, 32, 32, 3)) - run(model, noise(1, 32, 32, 3))).max() <= 1
