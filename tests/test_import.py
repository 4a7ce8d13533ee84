"""What `i2i import` makes of a checkpoint: a model, a run, and weights to start from."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage import color
from torch import nn

import i2i
from i2i import api
from i2i import plugin as plugins
from i2i.cli import main
from i2i.config import Layer
from i2i.errors import CheckpointError, ConfigError, I2IError, RunError
from i2i.runtime.model.find import read_description
from i2i.training.run import Run


class TheirBlock(nn.Module):
    """A residual block, its layers numbered as in pytorch-CycleGAN-and-pix2pix."""

    def __init__(self, width):
        super().__init__()
        layers = []
        for last in (False, True):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
            layers += [] if last else [nn.ReLU()]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv_block(x)


class TheirResNet(nn.Module):
    """A generator of two halvings and one block, likewise."""

    def __init__(self, width=4, given=3, made=3):
        super().__init__()

        def normed(layer, channels):
            return [layer, nn.InstanceNorm2d(channels), nn.ReLU()]

        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            *normed(nn.Conv2d(given, width, 7), width),
            *normed(nn.Conv2d(width, 2 * width, 3, 2, 1), 2 * width),
            *normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), 4 * width),
            TheirBlock(4 * width),
            *normed(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, 1), 2 * width),
            *normed(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, made, 7),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.model(x)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Two generators and their files."""
    folder = tmp_path_factory.mktemp("checkpoints")
    networks = {}
    for seed, name in enumerate(("latest_net_G_A", "latest_net_G_B")):
        torch.manual_seed(seed)
        networks[name] = TheirResNet()
        torch.save(networks[name].state_dict(), folder / f"{name}.pth")
    return folder, networks


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 36)).save(folder / f"{number}.png")
    return folder


def expected(network, pixels):
    with torch.no_grad():
        made = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1)
    return ((made + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()


def made_by(model, pixels):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"image": pixels})[0]


def test_the_model_computes_what_their_network_computes_and_says_where_it_is_from(theirs, tmp_path):
    folder, networks = theirs
    made = api.import_checkpoint(folder / "latest_net_G_A.pth", tmp_path / "zebra.onnx", direction="AtoB", size=64)
    assert list(made.models) == [tmp_path / "zebra.onnx"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 40, 3), dtype=np.uint8)
    wanted = expected(networks["latest_net_G_A"], pixels)
    assert np.abs(made_by(tmp_path / "zebra.onnx", pixels).astype(int) - wanted).max() <= 1
    description = read_description(tmp_path / "zebra.onnx")
    assert (description.plugin, description.direction, description.trained_size) == ("cyclegan", "AtoB", 64)
    assert "latest_net_G_A.pth" in description.training
    assert "pytorch-CycleGAN-and-pix2pix" in description.training
    assert (description.view, description.multiple) == ("window", 4)
    assert description.parity.largest <= 1


def test_it_is_translated_with_like_any_other(theirs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = api.import_checkpoint(theirs[0] / "latest_net_G_A.pth")
    assert list(made.models) == [type(tmp_path)("latest_net_G_A.onnx")]
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8))
    whole = np.asarray(i2i.load("latest_net_G_A.onnx")(picture)).astype(int)
    pieces = np.asarray(i2i.load("latest_net_G_A.onnx", tile=32)(picture)).astype(int)
    assert whole.shape == (37, 61, 3)
    assert np.abs(whole - pieces).max() <= 1


def test_a_run_of_both_directions_exports_again_and_in_eight_bits(theirs, photos, tmp_path):
    folder, networks = theirs
    made = api.import_checkpoint(
        folder / "latest_net_G_A.pth", run=tmp_path / "run", back=folder / "latest_net_G_B.pth", examples=photos
    )
    assert {path.name for path in made.models} == {"model.onnx", "model.BtoA.onnx"}
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    for model, name in (("model.onnx", "latest_net_G_A"), ("model.BtoA.onnx", "latest_net_G_B")):
        before = made_by(tmp_path / "run" / model, pixels)
        assert np.abs(before.astype(int) - expected(networks[name], pixels)).max() <= 1
    run = Run.open(tmp_path / "run")
    assert (run.facts()["state"], run.facts()["plugin"]) == ("finished", "cyclegan")
    again = api.export(run.path)
    assert [each.digest for each in again.values()] == [each.digest for each in made.models.values()]
    assert {path.name for path in api.export(run.path, "int8")} == {"model.int8.onnx", "model.BtoA.int8.onnx"}
    with pytest.raises(RunError, match=r"imported, not trained[\s\S]*--init"):
        api.resume(run.path)


def test_eight_bits_are_not_fitted_to_drawn_pictures(theirs, tmp_path):
    api.import_checkpoint(theirs[0] / "latest_net_G_A.pth", run=tmp_path / "run")
    with pytest.raises(RunError, match=r"without images[\s\S]*--examples"):
        api.export(tmp_path / "run", "int8")


@pytest.fixture
def tiny(pairs):
    """Settings that say nothing of the generators."""
    return {
        "device": "cpu",
        "data": {"source": str(pairs)},
        "game": {"discriminator_filters": 4, "discriminator_layers": 2},
        "trainer": {"steps": 1, "batch": 2, "lr": 1e-12, "schedule": {"name": "constant"}},
    }


@pytest.mark.parametrize("form", ["run", "run/imported.safetensors"])
def test_a_training_starts_from_it_with_the_settings_of_its_networks(theirs, tiny, tmp_path, form):
    folder, networks = theirs
    start = tmp_path / form
    place = {"run": start} if form == "run" else {"out": start}
    api.import_checkpoint(folder / "latest_net_G_A.pth", **place, size=32)
    run = api.train("cyclegan", {**tiny, "init": str(start)}, out=tmp_path / "tuned")
    weights = load_file(run.checkpoints / "step-0000001" / "weights.safetensors")
    first = networks["latest_net_G_A"].model[1].weight
    learned = next(v for k, v in weights.items() if k.startswith("generators.AtoB.") and v.shape == first.shape)
    assert torch.allclose(learned, first, atol=1e-6)
    assert any(str(start) in note and "BtoA" in note for note in run.facts()["notes"])
    assert "size: 32" in run.config.read_text()


def test_the_direction_and_the_presets_losses_stay_what_they_are(theirs, tmp_path):
    api.import_checkpoint(theirs[0] / "latest_net_G_A.pth", tmp_path / "a.safetensors", direction="BtoA", size=64)
    manifest = plugins.load("cyclegan")

    def configured(init, *layers):
        return api.configure(manifest, [Layer("", {"device": "cpu", "init": init}), *layers])

    plain, begun = (configured(init) for init in (None, str(tmp_path / "a.safetensors")))
    assert (begun.data.direction, plain.data.direction) == ("BtoA", "AtoB")
    assert (begun.game.filters, begun.blocks, begun.game.norm, begun.game.skip) == (4, 1, "instance", False)
    for same in ("discriminator_filters", "discriminator_layers", "lambda_cycle", "lambda_identity"):
        assert getattr(begun.game, same) == getattr(plain.game, same)
    assert configured(str(tmp_path / "a.safetensors"), Layer("", {"init": None})) == plain


def test_a_run_to_start_from_may_lie_in_the_home_folder(theirs, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    api.import_checkpoint(theirs[0] / "latest_net_G_A.pth", tmp_path / "a.safetensors", size=64)
    config = api.configure(plugins.load("cyclegan"), [Layer("", {"device": "cpu", "init": "~/a.safetensors"})])
    assert config.game.filters == 4


@pytest.mark.parametrize(
    "settings",
    ["[]", "3", "{", "[" * 100_000, '{"trainer": {"steps": 7}}', '{"data": {"source": "/etc"}}', '{"game": 1}'],
)
def test_a_file_decides_networks_and_nothing_else(tiny, tmp_path, settings):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"i2i.plugin": "cyclegan", "i2i.settings": settings})
    with pytest.raises(RunError, match="does not say of which networks"):
        api.train("cyclegan", {**tiny, "init": str(tmp_path / "a.safetensors")}, out=tmp_path / "run")


def test_what_the_user_says_of_the_networks_goes_before_and_is_refused_where_it_does_not_fit(theirs, tiny, tmp_path):
    api.import_checkpoint(theirs[0] / "latest_net_G_A.pth", tmp_path / "a.safetensors", size=32)
    tiny["game"]["filters"] = 8
    with pytest.raises(RunError, match=r"other networks[\s\S]*of cyclegan"):
        api.train("cyclegan", {**tiny, "init": str(tmp_path / "a.safetensors")}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_of_weights_that_nobody_imported_says_what_to_do(theirs, tiny, tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\0\0")
    for name, message in (
        ("foreign", r"does not say of which networks[\s\S]*i2i import"),
        ("cut", "cannot be read"),
        ("missing", "no such file"),
    ):
        with pytest.raises(RunError, match=message):
            api.train("cyclegan", {**tiny, "init": str(tmp_path / f"{name}.safetensors")}, out=tmp_path / "run")


def test_wrong_words_are_refused_and_leave_nothing(theirs, pairs, tmp_path):
    file = theirs[0] / "latest_net_G_A.pth"
    taken = tmp_path / "taken"
    shutil.copytree(pairs, taken)
    for words, message in (
        ({"out": tmp_path / "model.pb"}, "neither a model nor weights"),
        ({"run": taken}, "is there already"),
        ({"run": tmp_path / "run", "examples": tmp_path / "nowhere"}, "no folder with images"),
        ({"out": tmp_path / "m.onnx", "plugin": "dcgan"}, "dcgan"),
        ({"out": tmp_path / "m.onnx", "size": 30}, "size 30"),
        ({"out": tmp_path / "run" / "m.onnx", "run": tmp_path / "run"}, "Leave out -o"),
    ):
        with pytest.raises(I2IError, match=message):
            api.import_checkpoint(file, **words)
    assert {path.name for path in tmp_path.iterdir()} == {"taken"}


def test_two_files_of_different_networks_are_no_cyclegan(theirs, tmp_path):
    torch.save(TheirResNet(width=8).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match="another network"):
        api.import_checkpoint(theirs[0] / "latest_net_G_A.pth", run=tmp_path / "run", back=tmp_path / "wide.pth")
    with pytest.raises((CheckpointError, ConfigError)):
        api.import_checkpoint(tmp_path / "wide.pth", run=tmp_path / "run", back=tmp_path / "nowhere.pth")
    assert not (tmp_path / "run").exists()


def test_a_colorization_model_takes_and_gives_rgb(tmp_path):
    torch.manual_seed(0)
    network = TheirResNet(given=1, made=2)
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    made = api.import_checkpoint(tmp_path / "latest_net_G.pth", tmp_path / "m.onnx")
    assert any("CIELAB" in note for note in made.notes)
    description = made.models[tmp_path / "m.onnx"]
    assert (description.channels_in, description.channels_out, description.view) == (3, 3, "window")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 16, 24, 3), dtype=np.uint8)
    lab = color.rgb2lab(pixels)
    with torch.no_grad():
        chroma = network(torch.from_numpy(lab[..., :1]).permute(0, 3, 1, 2).float() / 50 - 1) * 110
    lab[..., 1:] = chroma.permute(0, 2, 3, 1).numpy()
    wanted = np.round(color.lab2rgb(lab) * 255)
    assert np.abs(made_by(tmp_path / "m.onnx", pixels).astype(int) - wanted).max() <= 1
    with pytest.raises(CheckpointError, match="not gone on with"):
        api.import_checkpoint(tmp_path / "latest_net_G.pth", run=tmp_path / "run")


def test_the_command_tells_what_it_took_and_what_to_do_next(theirs, tmp_path, capsys):
    words = [str(theirs[0] / "latest_net_G_A.pth"), "-o", str(tmp_path / "m.onnx")]
    with pytest.raises(SystemExit) as end:
        main(["import", *words, "--run", str(tmp_path / "run")])
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert "pytorch-CycleGAN-and-pix2pix" in said
    assert f"i2i translate PICTURE -m {tmp_path / 'm.onnx'}" in said
    assert f"i2i train cyclegan --init {tmp_path / 'run'}" in said
    with pytest.raises(SystemExit) as end:
        main(["import", *words, "--json"])
    assert json.loads(capsys.readouterr().out)["models"][str(tmp_path / "m.onnx")]["plugin"] == "cyclegan"
    with pytest.raises(SystemExit) as end:
        main(["import", str(tmp_path / "nothing.pth")])
    assert end.value.code == 1
    assert "nothing.pth" in capsys.readouterr().err
