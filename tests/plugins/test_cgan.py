"""The conditional GAN as a plugin: the class goes to both networks, and the exported one takes its number."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.errors import ConfigError
from i2i.games.objectives import OBJECTIVES
from i2i.games.penalties import PENALTIES
from i2i.training.trainer import Trainer
from i2i_export.onnx import to_onnx

CLASSES = ("one", "three", "two")
TINY = {"noise": 5, "filters": 4, "discriminator_filters": 4, "discriminator_norm": "none", "dropout": 0}


def settings(*, size=32, game=None, classes=CLASSES, **sections):
    data = {"size": size, "target_channels": 1, "classes": classes}
    tree = {"plugin": "cgan", "data": data, "game": TINY | (game or {}), **sections}
    return resolve(plugins.load("cgan").config, [Layer("test", tree)])


def build(**given):
    torch.manual_seed(0)
    return plugins.load("cgan").build(settings(**given))


def batch(size=32, length=4):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(length, 1, size, size, generator=generator) * 2 - 1
    noise = torch.randn(length, 5, generator=generator)
    return {"target": images, "noise": noise, "label": torch.tensor([0, 2, 1, 2])[:length]}


def trained(**given):
    config = settings(**given)
    torch.manual_seed(0)
    trainer = Trainer(plugins.load("cgan").build(config), config.objective, config.trainer, torch.device("cpu"))
    for _ in range(2):
        losses = trainer.play([batch(config.data.size)])
    return trainer, losses


def test_the_manifest_imports_no_torch():
    code = "import sys; from i2i import plugin; plugin.load('cgan'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_presets_are_valid(device):
    manifest = plugins.load("cgan")
    assert resolve(manifest.config, [Layer("preset", manifest.presets[device])]).data.size == 32


def test_without_classes_there_is_no_game():
    with pytest.raises(ConfigError, match=r"data\.classes"):
        build(classes=None)


def test_a_size_that_the_convolutions_cannot_make_is_refused():
    with pytest.raises(ConfigError, match=r"data.size 28: .* choose 32, or game.architecture mlp"):
        settings(size=28)


@pytest.mark.parametrize(("size", "architecture"), [(32, "conv"), (64, "conv"), (128, "conv"), (28, "mlp")])
def test_both_networks_are_shown_the_one_hot_label(size, architecture):
    game = build(size=size, game={"architecture": architecture})
    data = batch(size)
    outputs = game.generate(data)
    (match,) = game.matches(data, outputs)
    expected = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(match.condition, expected)
    torch.testing.assert_close(game.generators["G"](data["noise"], expected), outputs["fake"])
    assert match.fake.shape == match.real.shape == (4, 1, size, size)
    assert match.discriminator(match.real, match.condition).shape == (4, 1)
    assert game.previews(data)["output"].shape == (4, 1, size, size)


@pytest.mark.parametrize("architecture", ["conv", "mlp"])
def test_the_label_changes_what_is_made_and_what_is_thought_of_it(architecture):
    game = build(game={"architecture": architecture})
    data = batch(length=1)
    other = data | {"label": torch.tensor([1])}
    game.generators.eval()  # batch norm of a single image in training would have no spread
    assert not torch.equal(game.generate(data)["fake"], game.generate(other)["fake"])
    (match,), (unlike,) = (list(game.matches(shown, {"fake": data["target"]})) for shown in (data, other))
    first, second = (each.discriminator(each.real, each.condition) for each in (match, unlike))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("architecture", ["conv", "mlp"])
def test_the_exported_network_takes_the_number_of_the_class(architecture):
    trainer, _ = trained(game={"architecture": architecture})
    game = trainer.average.game
    (export,) = game.exports().values()
    assert (export.channels_out, export.size, export.noise, export.classes) == (1, 32, 5, CLASSES)
    data = batch()
    expected = game.generate(data)["fake"]
    torch.testing.assert_close(export.network(data["noise"], data["label"]), expected)
    session = onnxruntime.InferenceSession(to_onnx(export).SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {name: data[name].numpy() for name in ("noise", "label")})
    pixels = ((expected + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert made.shape == (4, 32, 32, 1)
    assert np.abs(made - pixels).max() < 1


@pytest.mark.parametrize("penalty", [None, *PENALTIES])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_trains_under_every_objective_and_penalty(objective, penalty):
    penalties = {penalty: {"weight": 1.0}} if penalty else {}
    _, losses = trained(objective={"name": objective, **penalties})
    assert all(loss.isfinite() for loss in losses.values())
    assert (penalty in losses) == bool(penalty)


def test_earlier_fakes_are_shown_with_their_own_class():
    trainer, losses = trained(trainer={"pool": 3})
    assert all(loss.isfinite() for loss in losses.values())
    kept = trainer.pool(0).kept
    assert {tuple(each["condition"].tolist()) for each in kept} <= {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    assert len(kept) == 3
