"""DCGAN as a plugin: its settings, its game, and training under every objective."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.errors import ConfigError
from i2i.games.objectives import OBJECTIVES
from i2i.games.penalties import PENALTIES
from i2i.training.trainer import Trainer

TINY = {"noise": 5, "filters": 2, "discriminator_filters": 2}
CPU = torch.device("cpu")


def settings(*, size=32, channels=1, game=None, **sections):
    tree = {"data": {"size": size, "target_channels": channels}, "game": TINY | (game or {}), **sections}
    return resolve(plugins.load("dcgan").config, [Layer("test", {"plugin": "dcgan", **tree})])


def build(**given):
    torch.manual_seed(0)
    return plugins.load("dcgan").build(settings(**given))


def batch(size=32, channels=1, length=4, noise=5):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(length, channels, size, size, generator=generator) * 2 - 1
    return {"target": images, "noise": torch.randn(length, noise, generator=generator)}


def trained(steps=2, **given):
    config = settings(**given)
    torch.manual_seed(0)
    trainer = Trainer(plugins.load("dcgan").build(config), config.objective, config.trainer, CPU)
    data = config.data
    for _ in range(steps):
        losses = trainer.play([batch(data.size, data.target_channels)] * config.trainer.k)
    return trainer, losses


def test_the_manifest_imports_no_torch():
    code = "import sys; from i2i import plugin; plugin.load('dcgan'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_defaults_are_the_published_ones():
    config = resolve(plugins.load("dcgan").config, [])
    assert config.data.size == 64
    assert (config.trainer.batch, config.trainer.lr, config.trainer.betas) == (128, 2e-4, (0.5, 0.999))
    assert (config.game.noise, config.game.filters, config.game.discriminator_norm) == (100, 128, "batch")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_presets_are_valid(device):
    manifest = plugins.load("dcgan")
    assert resolve(manifest.config, [Layer("preset", manifest.presets[device])]).data.size == 32


@pytest.mark.parametrize("size", [16, 48, 256])
def test_a_size_that_the_convolutions_cannot_make_is_refused(size):
    with pytest.raises(ConfigError, match=rf"data.size {size}: .* choose \d+, or game.architecture mlp"):
        settings(size=size)
    assert settings(size=size, game={"architecture": "mlp"}).data.size == size


def test_an_unknown_norm_is_refused():
    with pytest.raises(ConfigError, match=r"discriminator_norm"):
        settings(game={"discriminator_norm": "layer"})


@pytest.mark.parametrize(
    ("game", "objective", "noted"),
    [
        ({}, {}, False),
        ({}, {"r1": {"weight": 1}}, True),
        ({}, {"gradient_penalty": {"weight": 10}}, True),
        ({"discriminator_norm": "instance"}, {"gradient_penalty": {"weight": 10}}, False),
        ({"architecture": "mlp"}, {"r1": {"weight": 1}}, False),
    ],
)
def test_a_penalty_beside_batch_norm_is_remarked_upon(game, objective, noted):
    notes = build(game=game, objective=objective).notes()
    assert bool(notes) == noted
    assert all("game.discriminator_norm" in note for note in notes)


@pytest.mark.parametrize("architecture", ["conv", "mlp"])
@pytest.mark.parametrize(("size", "channels"), [(32, 1), (64, 3)])
def test_the_game_makes_judges_shows_and_exports(size, channels, architecture):
    game = build(size=size, channels=channels, game={"architecture": architecture})
    data = batch(size, channels)
    outputs = game.generate(data)
    (match,) = game.matches(data, outputs)
    assert match.condition is None
    assert match.fake.shape == match.real.shape == (4, channels, size, size)
    assert match.discriminator(match.fake, None).shape == (4, 1)
    assert {name: shown.shape for name, shown in game.previews(data).items()} == {
        "output": match.fake.shape,
        "target": match.real.shape,
    }
    (export,) = game.exports().values()
    assert (export.channels_out, export.size, export.noise, export.classes) == (channels, size, 5, ())


def test_what_is_deployed_makes_each_image_by_itself():
    trainer, _ = trained()
    (export,) = trainer.average.game.exports().values()
    noise = torch.randn(6, 5)
    made = export.network(noise)
    torch.testing.assert_close(torch.cat([export.network(one[None]) for one in noise]), made)
    assert not torch.equal(made[0], made[1])


def test_spectral_norm_bounds_every_layer_of_the_discriminator():
    game = build(game={"discriminator_norm": "spectral", "discriminator_filters": 8})
    for _ in range(50):  # of power iteration
        game.discriminators["D"](torch.randn(2, 1, 32, 32), None)
    layers = [part for part in game.discriminators["D"].modules() if isinstance(part, nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("penalty", [None, *PENALTIES])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_trains_under_every_objective_and_penalty(objective, penalty):
    penalties = {penalty: {"weight": 1.0}} if penalty else {}
    trainer, losses = trained(
        game={"discriminator_norm": "instance"}, objective={"name": objective, **penalties}, trainer={"lr": 1e-3}
    )
    assert all(loss.isfinite() for loss in losses.values())
    assert (penalty in losses) == bool(penalty)
    fresh = build(game={"discriminator_norm": "instance"})
    for player in ("generators", "discriminators"):
        before, after = getattr(fresh, player).state_dict(), getattr(trainer.game, player).state_dict()
        assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("norm", ["batch", "instance", "spectral", "none"])
def test_it_trains_with_every_norm_under_wgan_gp(norm):
    critic = {"name": "wasserstein", "gradient_penalty": {"weight": 10}}
    _, losses = trained(game={"discriminator_norm": norm}, objective=critic, trainer={"k": 2})
    assert all(loss.isfinite() for loss in losses.values())
