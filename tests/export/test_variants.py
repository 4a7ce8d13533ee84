"""Variants of a run's models: accepted only where they make the same images, nearly."""

import shutil

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from i2i import api, cli, images
from i2i.artifact import INPUT, describe
from i2i.config import read_yaml, resolve
from i2i.data import open_splits
from i2i.errors import ArtifactError, ExportError
from i2i.games.game import Export, NoiseExport
from i2i.runtime.model.find import find_model
from i2i.training.run import Run
from i2i_export import run as exporting
from i2i_export import variants
from i2i_export.cases import Cases, of_images, of_noise
from i2i_export.onnx import to_onnx
from i2i_export.variants import psnr, variant
from i2i_pix2pix.config import Pix2PixConfig


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    """A copy of the run, to be added to."""
    return Run(shutil.copytree(finished.path, tmp_path_factory.mktemp("variants") / "run"))


@pytest.fixture(scope="module")
def described(run):
    """What each variant says, by its file."""
    return api.export(run.path, "fp16") | api.export(run.path, "int8")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_variant_is_written_beside_the_model_and_says_what_it_loses(finished, run, described, precision):
    path = run.path / f"model.{precision}.onnx"
    said = describe({p.key: p.value for p in onnx.load(path).metadata_props}, "model")
    assert said == described[path]
    assert said.precision == precision
    assert said.loss.bound == {"fp16": 40, "int8": 32}[precision]
    assert path.stat().st_size < 0.6 * run.model.stat().st_size
    assert run.model.read_bytes() == finished.model.read_bytes()
    whole = describe({p.key: p.value for p in onnx.load(run.model).metadata_props}, "model")
    assert said.model_copy(update={"precision": "fp32", "loss": None}) == whole
    # The loss is what a person finds who translates the images that it was judged on.
    samples = open_splits(resolve(Pix2PixConfig, [read_yaml(run.config)]).data).validation
    judged = [samples.evaluating(index)["input"] for index in range(len(samples))][1::2]
    assert said.loss.images == len(judged)
    one, other = api.load(run.path), api.load(path)
    differences = np.stack([other(picture).astype(float) - one(picture) for picture in judged])
    assert said.loss.psnr == pytest.approx(10 * np.log10(255**2 / np.mean(differences**2)), abs=0.02)


def test_the_command_makes_the_same_again_and_prints_what_is_lost(run, described):
    path = run.path / "model.int8.onnx"
    assert path in described
    before = onnx.load(path).graph
    result = CliRunner().invoke(cli.cli, ["export", str(run.path), "--precision", "int8"])
    assert result.exit_code == 0, result.output
    assert onnx.load(path).graph == before
    assert "dB against fp32 on" in result.output
    assert "at least 32 needed; 9 of 10 layers with weights" in result.output
    assert f"i2i translate PICTURE -m {path}" in result.output
    picture, made = next(iter(images.find(run.examples))), run.path / "made.png"
    done = CliRunner().invoke(cli.cli, ["translate", str(picture), "-m", str(path), "-o", str(made)])
    assert done.exit_code == 0, done.output
    assert made.is_file()


def test_a_variant_that_loses_too_much_is_not_written(run, described, monkeypatch):
    path = run.path / "model.fp16.onnx"
    assert path in described
    before = path.read_bytes()
    monkeypatch.setitem(variants.BOUNDS, "fp16", 99.0)
    monkeypatch.setattr(exporting, "to_onnx", lambda _: onnx.load(run.model))
    with pytest.raises(ExportError, match=r"fp16 makes images of [\d.]+ dB against fp32[\s\S]*Nothing was written"):
        api.export(run.path, "fp16")
    assert path.read_bytes() == before
    assert not list(run.path.glob(".*.tmp"))


def test_both_directions_get_variants_that_find_each_other(pairs, tmp_path):
    settings = {
        "device": "cpu",
        "data": {"source": str(pairs), "size": 32, "validation": 0.3},
        "game": {"filters": 4, "blocks": 1, "discriminator_filters": 4, "discriminator_layers": 2},
        "trainer": {"steps": 2, "batch": 2, "validate_every": 2, "log_every": 1, "pool": 3},
    }
    run = api.train("cyclegan", settings, out=tmp_path / "run")
    api.export(run.path, "fp16")
    there, back = run.path / "model.fp16.onnx", run.path / "model.BtoA.fp16.onnx"
    assert there.is_file()
    assert find_model(there, "BtoA") == back
    assert find_model(back, "AtoB") == there
    assert find_model(run.path, "BtoA") == run.path / "model.BtoA.onnx"
    back.unlink()
    with pytest.raises(ArtifactError, match=r"direction 'BtoA' of fp16: not there"):
        find_model(there, "BtoA")


class Mixed(nn.Module):
    """Its middle holds what it draws with and, a thousand times larger, what the end takes no notice of."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 3, 1))
        for layer in self.net:
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.net[0].weight[7] = 300

    def forward(self, image):
        return self.net(image)


def of(pictures):
    return [{INPUT: picture[None]} for picture in pictures]


def test_convolutions_that_integers_would_spoil_stay_in_float32():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    model = to_onnx(Export(Mixed().eval(), 3, 3, 1))
    with pytest.raises(ExportError, match="whichever layers compute in it"):
        variant(model, "int8", Cases(of(pictures), of(pictures)), 1)

    class Helped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = Mixed(), nn.Conv2d(8, 3, 3, padding=1)
            self.widen = nn.Conv2d(3, 8, 1)
            for layer in (self.widen, self.last):
                nn.init.dirac_(layer.weight)

        def forward(self, image):
            return self.last(self.widen(self.first(image)))

    torch.manual_seed(0)
    model = to_onnx(Export(Helped().eval(), 3, 3, 1))
    made, loss = variant(model, "int8", Cases(of(pictures), of(pictures)), 1)
    assert loss.psnr >= 32
    assert loss.layers == "1 of 5 layers with weights"
    assert sum(node.op_type == "QuantizeLinear" for node in made.graph.node) == 2


def test_activations_that_half_precision_cannot_hold_are_named():
    network = Mixed().eval()
    with torch.no_grad():
        network.net[0].weight[7] = 30_000
    pictures = np.full((1, 8, 8, 3), 255, np.uint8)
    with pytest.raises(ExportError, match=r"the layer \S+ reaches [\d.e+]+; half precision ends at 65504"):
        variant(to_onnx(Export(network, 3, 3, 1)), "fp16", Cases(of(pictures), of(pictures)), 1)


def test_integers_need_ranges_that_end():
    network = Mixed().eval()
    with torch.no_grad():
        network.net[0].weight[0] = torch.inf
        network.net[0].weight[1] = -torch.inf
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    with pytest.raises(ExportError, match=r"the layer conv2d\S* reaches (nan|inf)"):
        variant(to_onnx(Export(network, 3, 3, 1)), "int8", Cases(of(pictures), of(pictures)), 1)


def test_variants_of_older_weights_are_named_with_what_makes_them_anew(run, described, tmp_path, monkeypatch):
    for path in run.path.glob("model*.onnx"):
        shutil.copy(path, tmp_path)
    (tmp_path / "model.broken.onnx").write_bytes(b"x")
    whole = tmp_path / "model.onnx"
    assert api.outdated(tmp_path) == {}
    model = onnx.load(whole)
    newer = describe({p.key: p.value for p in model.metadata_props}, "m").model_copy(update={"digest": "f" * 64})
    onnx.helper.set_model_props(model, newer.properties())
    onnx.save(model, whole)
    assert api.outdated(tmp_path) == {tmp_path / f"model.{each}.onnx": each for each in ("fp16", "int8")}
    monkeypatch.setattr(api, "export", lambda *_: {whole: newer})
    said = CliRunner().invoke(cli.cli, ["export", str(tmp_path)]).stderr
    for precision in ("fp16", "int8"):
        assert f"{tmp_path / f'model.{precision}.onnx'}: is of older weights" in said
        assert f"i2i export {tmp_path} --precision {precision}\n" in said


def test_a_network_that_branches_has_no_variant():
    model = to_onnx(Export(Mixed().eval(), 3, 3, 1))
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", body))
    with pytest.raises(ExportError, match="branches on values"):
        variant(model, "fp16", Cases([], []), 1)


def test_a_network_without_convolutions_has_no_variant_in_integers():
    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 48)

        def forward(self, noise):
            return self.layer(noise).tanh().view(-1, 3, 4, 4)

    export = NoiseExport(Dense().eval(), 3, 4, 6)
    with pytest.raises(ExportError, match="no convolutions that integers would make faster"):
        variant(to_onnx(export), "int8", of_noise(export), 4)
    _, loss = variant(to_onnx(export), "fp16", of_noise(export), 4)
    assert loss.psnr >= 50
    assert loss.images == 32


def test_a_generator_of_images_from_noise_has_one():
    class Doubling(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.ConvTranspose2d(8, 16, 4, 1, 0), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh()
            )

        def forward(self, noise, label):
            return self.net((noise + label[:, None])[:, :, None, None])

    torch.manual_seed(0)
    export = NoiseExport(Doubling().eval(), 3, 8, 8, ("a", "b"))
    cases = of_noise(export)
    assert [int(case["label"][0]) for case in cases.judging[:3]] == [0, 1, 0]
    assert not np.array_equal(cases.fitting[0]["noise"], cases.judging[0]["noise"])
    _, loss = variant(to_onnx(export), "int8", cases, 8)
    assert loss.psnr >= 32
    assert loss.layers == "1 of 2 layers with weights"


class Pictures:
    """Samples of given sizes."""

    uniform = False

    def __init__(self, *shapes):
        self.shapes = shapes

    def __len__(self):
        return len(self.shapes)

    def spread(self, count):
        return Pictures(*self.shapes[:count])

    def evaluating(self, index):
        return {"input": np.full((*self.shapes[index], 3), index, np.uint8)}


def test_images_are_cut_to_what_the_network_takes_and_shared_out():
    export = Export(nn.Identity(), 3, 3, 4, minimum=8)
    cases = of_images(Pictures((30, 21), (500, 300), (2, 5), (1, 9)), export)
    assert [case[INPUT].shape for case in cases.fitting] == [(1, 28, 20, 3), (1, 8, 8, 3)]
    assert [case[INPUT].shape for case in cases.judging] == [(1, 256, 256, 3), (1, 8, 8, 3)]
    alone = of_images(Pictures((16, 16)), export)
    assert len(alone.fitting) == len(alone.judging) == 1
    with pytest.raises(ExportError, match="no validation images"):
        of_images(Pictures(), export)
    (large,) = of_images(Pictures((500, 500)), Export(nn.Identity(), 3, 3, 1, scale=4)).judging
    assert large[INPUT].shape == (1, 64, 64, 3)


def test_psnr_is_of_all_values_together():
    black = np.zeros((1, 2, 2, 3), np.uint8)
    one, far = black + np.uint8(1), black + np.uint8(255)
    assert psnr([one], [black]) == pytest.approx(20 * np.log10(255))
    assert psnr([far], [black]) == pytest.approx(0)
    assert psnr([far, black], [black, black]) == pytest.approx(10 * np.log10(2))
    assert psnr([black], [black]) == 100


@pytest.mark.parametrize(
    ("options", "answer"),
    [(["--precision", "int4"], "'fp32', 'fp16', 'int8'"), (["--name", "x"], "--name: of --target triton")],
)
def test_mistakes_on_the_command_line_are_answered(run, options, answer):
    result = CliRunner().invoke(cli.cli, ["export", str(run.path), *options])
    assert result.exit_code == 2
    assert answer in result.output
