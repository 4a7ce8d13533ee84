"""Models that make images of noise, exported and compared."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.errors import ExportError
from i2i.games.game import NoiseExport
from i2i_export.onnx import to_onnx
from i2i_export.parity import check


class Painter(nn.Module):
    def __init__(self, classes=0):
        super().__init__()
        self.classes = classes
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6 + classes, 3 * 16), nn.BatchNorm1d(3 * 16), nn.Tanh())

    def forward(self, noise, label=None):
        known = noise if label is None else torch.cat([noise, F.one_hot(label, self.classes).float()], 1)
        return self.net(known).view(-1, 3, 4, 4)


def run(model, **inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


@pytest.mark.parametrize("classes", [0, 3])
def test_a_noise_model_takes_any_number_and_gives_bytes(classes):
    network = Painter(classes).eval()
    export = NoiseExport(network, 3, 4, 6, tuple("abc"[:classes]))
    model = to_onnx(export)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"noise": ["N", 6], **({"label": ["N"]} if classes else {}), "output": ["N", 4, 4, 3]}
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    rng = np.random.default_rng(0)
    for count in (1, 7):
        noise, label = rng.normal(size=(count, 6)).astype(np.float32), rng.integers(0, 3, count)
        inputs = {"noise": noise, **({"label": label} if classes else {})}
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).permute(0, 2, 3, 1).double().numpy()
        expected = np.clip(np.round((expected + 1) * 127.5), 0, 255)
        made = run(model, **inputs)
        assert made.shape == (count, 4, 4, 3)
        assert np.abs(made - expected).max() <= 1


def test_the_check_compares_every_class():
    network = Painter(10).eval()
    export = NoiseExport(network, 3, 4, 6, tuple("0123456789"))
    made = to_onnx(export).SerializeToString()
    assert check(made, export, []).largest <= 1
    with torch.no_grad():
        network.net[0].weight[:, 6 + 9] += 3  # only images of the last class change
    with pytest.raises(ExportError, match="differs from the network"):
        check(made, export, [])
