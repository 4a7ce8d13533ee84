"""Images in pieces, against the same model on the whole image at once."""

import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from i2i.errors import ArtifactError, I2IError, OutOfMemoryError
from i2i.games.game import Export
from i2i.nn.deploy import deployed
from i2i.nn.init import he_, normal_
from i2i.nn.resnet import ResNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet
from i2i.runtime.graph import Graph
from i2i.runtime.session import Session
from i2i.runtime.tiles import anysize, store
from i2i.runtime.translator import Translator
from i2i_export.onnx import to_onnx
from i2i_export.receptive import view


def picture(height, width, channels=3):
    """Large shapes and small ones, brighter to one side: its statistics differ from place to place."""
    rows, columns = np.mgrid[:height, :width]
    waves = 60 * np.sin(rows[..., None] / 17 + np.arange(channels)) + 40 * np.sin(columns[..., None] / 9)
    slope = 100 * (rows + columns)[..., None] / (height + width)
    return np.clip(waves + slope + 70 + np.random.default_rng(0).normal(0, 15, waves.shape), 0, 255).astype(np.uint8)


def lively(norm):
    """Running averages as after a training: those of a batch norm that has seen nothing would do nothing."""
    for part in norm.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)


def generator(kind):
    """A generator of each built-in kind with random weights; the weights that make it look far and differ most."""
    torch.manual_seed(3)
    statistics = "running" if kind.endswith("running") else "image"
    match kind.split()[0]:
        case "unet":
            network, multiple, scale = UNet(3, 3, depth=5, filters=4), 32, 1
            normal_(network, 0.2)
        case "resnet":
            network, multiple, scale = ResNet(3, 3, blocks=4, filters=4, norm="instance"), 4, 1
            normal_(network, 0.2)
        case "bare":
            network, multiple, scale = (
                ResNet(3, 3, blocks=4, filters=4, norm="none", upsampling="nearest", skip=True),
                4,
                1,
            )
            he_(network)
        case "srresnet":
            network, multiple, scale = SRResNet(3, 3, filters=4, blocks=2), 1, 4
            normal_(network, 0.2)
    lively(network)
    return Export(deployed(network, statistics), 3, 3, multiple, scale)


KINDS = ["unet image", "unet running", "resnet", "bare", "srresnet running"]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory, models):
    """Writes a network, or an Export, as an artifact, and says where."""
    made = {}

    def write(kind):
        if kind not in made:
            export = generator(kind) if isinstance(kind, str) else kind
            graph = to_onnx(export)
            said = models.describe(
                multiple=export.multiple,
                minimum=export.multiple,
                scale=export.scale,
                **asdict(view(graph.SerializeToString(), export.channels_in, export.multiple)),
            )
            path = tmp_path_factory.mktemp("artifact") / "model.onnx"
            made[kind] = models.save(path, graph, said.properties())
        return made[kind]

    return write


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [32, 50])
def test_pieces_give_the_pixels_of_the_whole(artifact, kind, tile):
    path = artifact(kind)
    image = picture(131, 190) if "sr" not in kind else picture(70, 90)
    whole = Translator.load(path, "cpu", tile="off")(image).astype(int)
    pieces = Translator.load(path, "cpu", tile=tile)(image)
    assert whole.std() > 10
    assert np.abs(whole - pieces).max() <= 1


def test_statistics_of_each_piece_alone_would_show(artifact):
    """That the test above could fail: what a model with instance norm makes of a piece is another image."""
    translate = Translator.load(artifact("resnet"), "cpu", tile="off")
    image = picture(128, 192)
    alone = translate(image[:, :96])
    assert np.abs(translate(image)[:, :40].astype(int) - alone[:, :40]).max() > 20


@pytest.mark.parametrize("kind", ["unet image", "resnet"])
def test_pieces_need_no_store_where_there_is_no_room(artifact, kind, monkeypatch):
    """Everything is then computed anew from the image for each norm."""
    monkeypatch.setattr(store, "room", lambda lanes: 0.0)
    image = picture(96, 128)
    path = artifact(kind)
    whole = Translator.load(path, "cpu", tile="off")(image).astype(int)
    assert np.abs(whole - Translator.load(path, "cpu", tile=32)(image)).max() <= 1


def test_the_store_may_lie_on_the_disk(artifact, monkeypatch, tmp_path):
    path = artifact("resnet")
    monkeypatch.setattr(store, "_IN_MEMORY", 0)
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path))
    image = picture(96, 128)
    whole = Translator.load(path, "cpu", tile="off")(image).astype(int)
    assert np.abs(whole - Translator.load(path, "cpu", tile=32)(image)).max() <= 1
    assert not list(tmp_path.iterdir())  # no file outlives its use


def test_a_disk_without_room_is_named(artifact, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "_IN_MEMORY", 0)
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(store.os, "posix_fallocate", full)
    with pytest.raises(I2IError, match="No space left") as caught:
        Translator.load(artifact("resnet"), "cpu", tile=32)(picture(96, 128))
    assert str(tmp_path) in str(caught.value)
    assert "TMPDIR" in str(caught.value)


def test_rows_come_from_top_to_bottom_and_in_strips(artifact):
    image = picture(331, 270)

    class Counting:
        height, width, channels = image.shape
        largest = 0

        def read(self, top, bottom, left, right):
            self.largest = max(self.largest, (bottom - top) * (right - left))
            return image[top:bottom, left:right].copy()

    source = Counting()
    translate = Translator.load(artifact("bare"), "cpu", tile=32)
    strips = list(translate.rows(source))
    assert len(strips) > 1
    assert np.array_equal(np.concatenate(strips), translate(image))
    assert source.largest < image.shape[0] * image.shape[1] / 2


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_halved_where_memory_does_not_suffice(artifact, kind, monkeypatch):
    run = Graph.run
    refused = []

    def small(self, outputs, inputs, work=None):
        sides = [max(value.shape[1:3]) for name, value in inputs.items() if name == "image"]
        if sides and max(sides) > 240:
            refused.append(max(sides))
            raise OutOfMemoryError("too large")
        return run(self, outputs, inputs, work)

    image = picture(256, 320)
    path = artifact(kind)
    whole = Translator.load(path, "cpu", tile="off")(image).astype(int)
    monkeypatch.setattr(Graph, "run", small)
    assert np.abs(whole - Translator.load(path, "cpu")(image)).max() <= 1
    assert refused
    with pytest.raises(OutOfMemoryError):
        Translator.load(path, "cpu", tile="off")(image)


def test_a_batch_of_large_images_is_translated_one_by_one(artifact):
    images = np.stack([picture(70, 90), picture(70, 90)])
    translate = Translator.load(artifact("resnet"), "cpu", tile=32)
    assert all(np.array_equal(made, translate(image)) for made, image in zip(translate(images), images, strict=True))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 200), (200, 1), (33, 40), (7, 65)])
def test_thin_and_tiny_images_are_padded_as_the_whole_is(artifact, height, width):
    path = artifact("unet running")
    image = picture(height, width)
    whole = Translator.load(path, "cpu", tile="off")(image).astype(int)
    assert np.abs(whole - Translator.load(path, "cpu", tile=32)(image)).max() <= 1


class Attention(nn.Module):
    """Every place looks at every other."""

    def forward(self, image):
        flat = image.flatten(2)
        weights = (flat.transpose(1, 2) @ flat).softmax(-1)
        return image + 0.1 * (flat @ weights.transpose(1, 2)).reshape(image.shape)


class Squeeze(nn.Module):
    def forward(self, image):
        return image * image.mean((2, 3), keepdim=True).sigmoid()


WIDE = {"attention": Attention(), "squeeze": Squeeze(), "groups": nn.GroupNorm(1, 3)}


@pytest.mark.parametrize("name", WIDE)
def test_what_sees_the_whole_image_is_said_to_be_an_approximation(artifact, name):
    path = artifact(Export(WIDE[name], 3, 3, 4))
    image = picture(80, 96)
    translate = Translator.load(path, "cpu", tile=48)
    assert translate.description.view == "whole"
    assert "approximation" in translate.approximate(96, 80)
    assert translate.approximate(40, 48) is None
    whole = Translator.load(path, "cpu", tile="off")(image).astype(int)
    assert translate(image).shape == whole.shape


@pytest.mark.parametrize("name", WIDE)
def test_it_is_cut_and_said_where_memory_is_short(artifact, name, monkeypatch):
    monkeypatch.setattr(Session, "free_memory", lambda _: 2**24)
    monkeypatch.setattr(anysize, "_SMALL", 40 * 40)
    translate = Translator.load(artifact(Export(WIDE[name], 3, 3, 4)), "cpu")
    image = picture(200, 150)
    assert "approximation" in translate.approximate(150, 200)
    assert translate(image).shape == image.shape
    assert translate.approximate(30, 40) is None


def test_pieces_of_integers_with_norms_are_said_to_differ(artifact, tmp_path):
    model = onnx.load(artifact("resnet"))
    for held in model.metadata_props:
        if held.key == "i2i.precision":
            held.value = '"int8"'
    onnx.save(model, tmp_path / "model.int8.onnx")
    translate = Translator.load(tmp_path / "model.int8.onnx", "cpu", tile=32)
    assert "int8" in translate.approximate(64, 64)
    assert translate.approximate(32, 32) is None


def test_two_threads_may_cut_at_once(artifact):
    translate = Translator.load(artifact("resnet"), "cpu", tile=32)
    image = picture(131, 190)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(translate, [image, image])
    assert np.array_equal(first, second)


def test_a_model_that_was_exchanged_is_not_mixed_with_the_old_one(artifact, tmp_path, models):
    path = tmp_path / "model.onnx"
    path.write_bytes(artifact("bare").read_bytes())
    translate = Translator.load(path, "cpu", tile=32)
    models.build(path, digest="another")
    with pytest.raises(ArtifactError, match="another model"):
        translate(picture(96, 96))


def test_windows_that_fade_into_each_other_change_nothing_where_windows_agree(artifact):
    """1x1 convolutions after a mean over the channels' whole planes: of a plain image each window has the same."""
    path = artifact(Export(WIDE["squeeze"], 3, 3, 4))
    plain = np.full((90, 130, 3), (200, 30, 90), np.uint8)
    whole = Translator.load(path, "cpu", tile="off")(plain).astype(int)
    assert np.abs(whole - Translator.load(path, "cpu", tile=32)(plain)).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_exact_where_the_metadata_says_a_window_suffices(artifact, kind):
    translate = Translator.load(artifact(kind), "cpu", tile=32)
    said = translate.description
    assert said.view == "window"
    assert said.stride == {"u": 32, "r": 4, "b": 4, "s": 1}[kind[0]]
    assert translate.approximate(1000, 1000) is None


def multiplications(path):
    """Of each output pixel's dot products, by the shapes that onnx infers for an image of 64 x 64."""
    model = onnx.load(path)
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 64, 64, 3), strict=True):
        dimension.dim_value = size
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in inferred.value_info}
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            places = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
            total += int(np.prod(weights[node.input[1]])) * places[2] * places[3]
    return total / 64**2


@pytest.mark.parametrize("kind", ["unet running", "bare", "srresnet running"])
def test_the_multiplications_are_those_of_the_shapes(artifact, kind):
    path = artifact(kind)
    said = Translator.load(path, "cpu").description.operations
    assert said == pytest.approx(multiplications(path), rel=1e-9)


def test_a_part_of_a_graph_is_a_valid_model(artifact):
    from i2i.runtime.model.onnxgraph import Graph as OnnxGraph

    path = artifact("resnet")
    graph = OnnxGraph.read(path.read_bytes())
    whole = onnx.load(path)
    assert [node.kind for node in graph.nodes] == [node.op_type for node in whole.graph.node]
    for name, constant in graph.constants.items():
        (tensor,) = (it for it in whole.graph.initializer if it.name == name)
        assert np.array_equal(constant.values(), onnx.numpy_helper.to_array(tensor))
    middle = next(node for node in graph.nodes if node.kind == "InstanceNormalization")
    nodes = graph.needed([middle.outputs[0]], graph.inputs)
    part = onnx.load_from_string(graph.part(nodes, {"image": (np.dtype(np.uint8), 4)}, [middle.outputs[0]]))
    assert [node.name for node in part.graph.node] == [node.name for node in whole.graph.node[: len(nodes)]]
