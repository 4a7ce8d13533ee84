"""Training that begins with imported weights: their network, and all else as the plugin's preset has it."""

from pathlib import Path

import pytest
import torch

from i2i import api
from i2i import plugin as plugins
from i2i.config import Layer
from i2i.nn.deploy import deployed
from i2i.nn.msrresnet import MSRResNet
from i2i.nn.resnet import ResNet
from i2i.nn.rrdbnet import RRDBNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet

NETWORKS = {  # not as the presets for the CPU have them, most of which change widths, norms and layers
    "pix2pix unet": lambda: ("pix2pix", UNet(3, 3, depth=5, filters=5, norm="batch")),
    "pix2pix resnet": lambda: ("pix2pix", ResNet(3, 3, blocks=2, filters=5, norm="batch")),
    "cyclegan": lambda: ("cyclegan", ResNet(3, 3, blocks=2, filters=5, norm="instance")),
    "cyclegan nearest": lambda: ("cyclegan", ResNet(3, 3, blocks=2, filters=5, norm="batch", upsampling="nearest")),
    "cut": lambda: ("cut", ResNet(3, 3, blocks=5, filters=5, downsampling="blurred", upsampling="bilinear")),
    "cut strided": lambda: ("cut", ResNet(3, 3, blocks=5, filters=5)),
    "srresnet": lambda: ("srgan", SRResNet(3, 3, scale=2, filters=5, blocks=2)),
    "msrresnet": lambda: ("srgan", MSRResNet(3, 3, scale=2, filters=5, blocks=2)),
    "rrdbnet": lambda: ("srgan", RRDBNet(3, 3, scale=2, filters=5, blocks=2, growth=3, unshuffle=2)),
}


def begun(plugin, path):
    """The deployed generator of a run that begins with `path`, and its configuration, the preset's."""
    manifest = plugins.load(plugin)
    config = api.configure(manifest, [Layer("", {"init": str(path), "device": "cpu"})])
    game = manifest.build(config)
    network = next(iter(game.exports().values())).network
    return game, network, config


def imported(tensors, folder, **asked):
    torch.save(dict(tensors), folder / "G.pth")
    made = api.import_checkpoint(folder / "G.pth", folder / "start.safetensors", **asked)
    return made.plugin, made.weights


@torch.no_grad()
def assert_same(game, network, path, expected, side):
    from i2i.training.start import Start, start_from

    start_from(game, Start.open(Path(path)))
    shown = torch.rand((1, 3, side, side), generator=torch.Generator().manual_seed(1)) * 2 - 1
    made = deployed(network, game.statistics)(shown)
    torch.testing.assert_close(made.double(), expected(shown).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_generator_is_the_imported_one_and_the_losses_are_the_presets(name, tmp_path):
    torch.manual_seed(0)
    plugin, network = NETWORKS[name]()
    _, path = imported(network.state_dict(), tmp_path, plugin=plugin)
    game, ours, config = begun(plugin, path)
    assert repr(deployed(ours, "running")) == repr(deployed(network, "running"))
    assert_same(game, ours, path, deployed(network, game.statistics), 32)
    preset = plugins.load(plugin).presets["cpu"]["game"]
    kept = {key: value for key, value in preset.items() if key.startswith(("lambda_", "discriminator_", "perceptual"))}
    assert kept
    assert {key: getattr(config.game, key) for key in kept} == kept


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("kind", ["unet", "resnet", "cut", "resnet as pix2pix"])
def test_that_of_another_project_too(reference, kind, norm, tmp_path):
    if kind == "unet":
        tensors, asked, evaluated = reference.unet(norm, depth=5), {}, "unet"
    else:
        how = {"blurred": True, "smooth": True} if kind == "cut" else {}
        tensors, evaluated = reference.resnet(norm, blocks=2, **how), "resnet"
        asked = {"plugin": "pix2pix"} if kind.endswith("pix2pix") else {}
    plugin, path = imported(tensors, tmp_path, **asked)
    game, ours, _ = begun(plugin, path)
    assert_same(game, ours, path, getattr(reference.Evaluation(tensors), evaluated), 32)
