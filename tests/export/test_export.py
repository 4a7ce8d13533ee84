"""What leaves the door is what was trained, or nothing leaves it."""

import errno
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from i2i import api, artifact, images
from i2i.errors import ExportError, RunError
from i2i.files import DiskFullError
from i2i.games.game import Export
from i2i.nn.deploy import deployed
from i2i.nn.init import normal_
from i2i.nn.resnet import ResNet
from i2i.nn.unet import UNet
from i2i.training.run import Run
from i2i_export import run as exporting
from i2i_export.onnx import to_onnx
from i2i_export.parity import check
from i2i_export.receptive import view


def unet(channels_in=3, channels_out=3, depth=3, statistics="image"):
    torch.manual_seed(0)
    network = UNet(channels_in, channels_out, depth=depth, filters=4)
    normal_(network, 0.3)
    return Export(deployed(network, statistics), channels_in, channels_out, 2**depth)


def pictures(channels, side=32):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side, channels), np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def model():
    return to_onnx(unet())


def test_the_graph_takes_and_gives_bytes_of_any_size(model):
    for value in (model.graph.input[0], model.graph.output[0]):
        tensor = value.type.tensor_type
        assert tensor.elem_type == onnx.TensorProto.UINT8
        assert [d.dim_param or d.dim_value for d in tensor.shape.dim] == ["N", "H", "W", 3]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 3), (4, 4), (5, 2)])
@pytest.mark.parametrize("statistics", ["image", "running"])
def test_artifact_and_network_agree_whatever_the_channels(channels_in, channels_out, statistics):
    export = unet(channels_in, channels_out, depth=2, statistics=statistics)
    made = to_onnx(export).SerializeToString()
    rng = np.random.default_rng(1)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    for shape in ((1, 4, 4), (3, 8, 20), (2, 36, 12)):
        batch = rng.integers(0, 256, (*shape, channels_in), np.uint8)
        # Written out from the definition of the artifact, not from the exporter's own wrapper.
        scaled = torch.from_numpy(batch).permute(0, 3, 1, 2).double() / 127.5 - 1
        with torch.no_grad():
            expected = ((export.network.double()(scaled) + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1)
        export.network.float()
        (got,) = session.run(None, {artifact.INPUT: batch})
        assert got.dtype == np.uint8
        assert np.abs(got.astype(int) - expected.numpy().astype(int)).max() <= 1


def test_one_image_of_a_batch_does_not_change_another(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = np.stack(pictures(3))
    (together,) = session.run(None, {artifact.INPUT: batch})
    alone = np.concatenate([session.run(None, {artifact.INPUT: image[None]})[0] for image in batch])
    assert np.abs(together.astype(int) - alone.astype(int)).max() <= 1


def test_a_graph_that_differs_is_refused(model):
    wrong = onnx.ModelProto()
    wrong.CopyFrom(model)
    (last,) = [tensor for tensor in wrong.graph.initializer if list(tensor.dims) == [8, 3, 4, 4]]
    weights = onnx.numpy_helper.to_array(last)
    last.CopyFrom(onnx.numpy_helper.from_array(weights * np.float32(1.05), last.name))
    with pytest.raises(ExportError, match="differs from the network by"):
        check(wrong.SerializeToString(), unet(), pictures(3))
    assert check(model.SerializeToString(), unet(), pictures(3)).largest <= 1


def test_a_network_that_is_random_is_refused():
    class Noisy(nn.Module):
        def forward(self, image):
            return image + 0.2 * torch.rand_like(image)

    export = Export(Noisy(), 3, 3, 1)
    with pytest.raises(ExportError, match="differs from the network by"):
        check(to_onnx(export).SerializeToString(), export, pictures(3))


def test_a_network_that_cannot_be_traced_is_named():
    class Looking(nn.Module):
        def forward(self, image):
            return image if image.sum() > 0 else -image

    with pytest.raises(ExportError, match="torch could not export Looking"):
        to_onnx(Export(Looking(), 3, 3, 1))


def seen_from_the_middle(network, side):
    """How far the input can be from an output pixel and still change it, by differentiation."""
    image = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    made = network.double()(image)
    middle = side // 2
    reach = 0
    for row in range(middle, middle + 8):  # every phase of the strides
        (gradient,) = torch.autograd.grad(made[0, 0, row, middle], image, retain_graph=True)
        rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
        reach = max(reach, int(rows.max()) - row, row - int(rows.min()))
    return reach


class Positive(nn.Module):
    """Convolutions whose weights are all positive, so that no influence cancels."""

    def __init__(self, *layers):
        super().__init__()
        self.net = nn.Sequential(*layers)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.1)

    def forward(self, image):
        return self.net(image)


@pytest.mark.parametrize(
    "network",
    [
        Positive(nn.Conv2d(1, 1, 5, padding=2)),
        Positive(nn.Conv2d(1, 2, 3, padding=2, dilation=2), nn.Conv2d(2, 1, 7, padding=3)),
        Positive(
            nn.Conv2d(1, 2, 4, 2, 1), nn.Conv2d(2, 2, 4, 2, 1), *[nn.ConvTranspose2d(2, 2, 4, 2, 1) for _ in "ab"]
        ),
        Positive(nn.ReflectionPad2d(3), nn.Conv2d(1, 1, 7)),
        Positive(
            nn.Conv2d(1, 2, 3, 2, 1), nn.Conv2d(2, 2, 3, padding=1), nn.ConvTranspose2d(2, 1, 3, 2, 1, output_padding=1)
        ),
        Positive(nn.Conv2d(1, 4, 4, 2, 1), nn.PixelShuffle(2)),
        Positive(nn.Conv2d(1, 2, 3, 2, 1), nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 3, padding=1)),
    ],
    ids=["conv", "dilated", "hourglass", "reflection", "resnet-like", "shuffle", "repeated"],
)
def test_the_receptive_radius_is_what_differentiation_finds(network):
    model = to_onnx(Export(network, 1, network.net(torch.zeros(1, 1, 8, 8)).shape[1], 4))
    seen = view(model.SerializeToString(), 1, 4)
    assert seen.receptive_radius == seen_from_the_middle(network, 64)
    assert seen.statistics == "none"


def test_image_statistics_are_reported(model):
    assert view(model.SerializeToString(), 3, 32).statistics == "image"
    assert view(to_onnx(unet(statistics="running")).SerializeToString(), 3, 32).statistics == "none"


def test_a_run_exports_its_best_weights_and_says_what_it_is(finished):
    described = artifact.describe({p.key: p.value for p in onnx.load(finished.model).metadata_props}, "model")
    facts = finished.facts()
    assert (described.plugin, described.multiple, described.trained_size) == ("pix2pix", 32, 32)
    assert "instance norm" in described.batch_statistics
    assert "removed (3 layers)" in described.dropout
    assert f"step {facts['best']['step']} of 12" in described.training
    assert described.parity.largest <= 1
    assert described.parity.cases >= 7
    assert json.loads(finished.parity.read_text())["model.onnx"]["largest"] == described.parity.largest
    # The artifact's own score is the one that the run reports.
    translate = api.load(finished.path)
    assert facts["scores"]["split"] == "validation"
    inputs = [images.read(path) for path in images.find(finished.examples)]
    assert all(translate(image).size == image.size for image in inputs)


def test_exporting_again_gives_the_same_file(finished):
    before = finished.model.read_bytes()
    (described,) = api.export(finished.path).values()
    assert onnx.load_from_string(before).graph == onnx.load(finished.model).graph
    assert (
        described.digest
        == artifact.describe({p.key: p.value for p in onnx.load_from_string(before).metadata_props}, "model").digest
    )


def test_a_failed_export_leaves_the_model_that_was_there(finished, monkeypatch):
    def differs(*_):
        raise ExportError("differs")

    before = finished.model.read_bytes()
    monkeypatch.setattr(exporting, "check", differs)
    monkeypatch.setattr(exporting, "to_onnx", lambda _: onnx.load(finished.model))
    with pytest.raises(ExportError):
        api.export(finished.path)
    assert finished.model.read_bytes() == before


def test_a_full_disk_leaves_all_directions_as_they_were(finished, model, tmp_path, monkeypatch):
    run = Run(tmp_path)
    said = artifact.describe({p.key: p.value for p in onnx.load(finished.model).metadata_props}, "model")
    both = [exporting.Artifact(key, model, said, unet()) for key in ("", "BtoA")]
    for each in both:
        run.model_for(each.key).write_bytes(b"older")
    monkeypatch.setattr(exporting, "artifacts", lambda *_: both)
    write = type(tmp_path).write_bytes

    def full(path, data):
        if "BtoA" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    with pytest.raises(DiskFullError, match=r"model\.BtoA\.onnx"):
        exporting.export_run(run, None, None, "0")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "model.onnx": b"older",
        "model.BtoA.onnx": b"older",
    }


def test_a_run_without_checkpoints_says_how_to_go_on(tmp_path, finished):
    run = Run.create(tmp_path / "run", "pix2pix")
    run.config.write_text(finished.config.read_text())
    with pytest.raises(RunError, match=r"no validated checkpoint yet[\s\S]*--resume"):
        api.export(run.path)


def test_a_picture_of_one_colour_is_left_out_of_the_check():
    """An instance norm divides what rounding leaves of it by nearly nothing: both make noise of it, of their own."""
    torch.manual_seed(0)
    export = Export(ResNet(3, 3, blocks=2, filters=8), 3, 3, 4)
    model = to_onnx(export).SerializeToString()
    flat = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(ExportError, match="differs from the network"):
        check(model, export, [flat])
    assert check(model, export, [flat, *pictures(3)]).largest <= 1
