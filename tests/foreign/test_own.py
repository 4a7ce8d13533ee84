"""Our own weights: state dicts that say nothing of themselves, and checkpoints of runs, which say everything."""

from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from i2i import plugin as plugins
from i2i.config import Layer, dump, resolve
from i2i.errors import CheckpointError
from i2i.foreign.layout import Asked
from i2i.foreign.matching import recognise
from i2i.foreign.reading import read
from i2i.nn.deploy import deployed
from i2i.nn.msrresnet import MSRResNet
from i2i.nn.resnet import ResNet
from i2i.nn.rrdbnet import RRDBNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet
from i2i.training import checkpoint as checkpoints
from i2i.training.average import Average
from i2i.training.checkpoint import Best
from i2i.training.run import Run
from i2i.training.start import save_start

NOTHING = Asked()
FILE = Path("some.pth")
NORMS = ["batch", "instance", "affine", "none"]


def drawn(network, seed=0):
    """The network with weights, and averages of its norms, unlike those of any other."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=random) / max(1, tensor[0].numel()) ** 0.5 + 0.01)
    return network


def built(plugin, settings):
    manifest = plugins.load(plugin)
    config = resolve(manifest.config, [Layer("test", settings), Layer("test", {"device": "cpu"})])
    return manifest.build(config), config


def adopted(tensors, asked=NOTHING, path=FILE):
    """The network that a plugin of ours builds for what was recognised, with its weights, and the layout."""
    found = recognise(tensors, asked, path)
    game, _ = built(found.layout.plugin, found.layout.settings)
    network = next(iter(game.exports().values())).network
    network.load_state_dict(dict(found.weights))
    return deployed(network, game.statistics), found.layout


def same(network, expected, side):
    shown = torch.rand((1, 3, side, side), generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(network(shown), expected(shown))


@pytest.mark.parametrize("norm", ["batch", "instance", "affine"])
@pytest.mark.parametrize("depth", [2, 6])
def test_the_state_of_a_unet_is_recognised(norm, depth):
    network = drawn(UNet(3, 3, depth=depth, filters=6, norm=norm))
    ours, layout = adopted(network.state_dict())
    assert layout.plugin == "pix2pix"
    same(ours, deployed(network, "image"), 2**depth)
    assert any("assumed: instance norm" in note for note in layout.notes) == (norm == "instance")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("plugin", [None, "pix2pix", "cut"])
def test_the_state_of_a_resnet_is_recognised(norm, plugin):
    network = drawn(ResNet(3, 3, blocks=3, filters=6, norm=norm))
    ours, layout = adopted(network.state_dict(), Asked(plugin=plugin))
    assert layout.plugin == (plugin or "cyclegan")
    same(ours, deployed(network, "image"), 16)


@pytest.mark.parametrize(
    ("down", "up", "plugin"),
    [("strided", "nearest", "cyclegan"), ("blurred", "bilinear", "cut"), ("blurred", "transposed", "cut")],
)
def test_how_a_resnet_halves_and_doubles_is_recognised(down, up, plugin):
    for norm in NORMS:
        network = drawn(ResNet(3, 3, blocks=2, filters=4, norm=norm, downsampling=down, upsampling=up))
        ours, layout = adopted(network.state_dict())
        assert layout.plugin == plugin
        same(ours, deployed(network, "image"), 16)


def test_what_the_tensors_of_a_resnet_do_not_tell_is_said():
    _, layout = adopted(drawn(ResNet(3, 3, blocks=2, filters=4, upsampling="nearest")).state_dict())
    assert any("game.skip" in note for note in layout.notes)
    assert any("nearest" in note for note in layout.notes)


@pytest.mark.parametrize("statistics", ["image", "running"])
def test_batch_norm_takes_the_statistics_that_are_asked_for(statistics):
    network = drawn(ResNet(3, 3, blocks=2, filters=4, norm="batch"))
    ours, _ = adopted(network.state_dict(), Asked(statistics=statistics))
    same(ours, deployed(network, statistics), 16)


def test_the_deployed_form_of_batch_norm_is_recognised_unless_averages_are_asked_for_that_it_has_not():
    network = drawn(ResNet(3, 3, blocks=2, filters=4, norm="batch"))
    tensors = deployed(network, "image").state_dict()
    ours, _ = adopted(tensors)
    same(ours, deployed(network, "image"), 16)
    with pytest.raises(CheckpointError, match="missing"):
        recognise(tensors, Asked(statistics="running"), FILE)


@pytest.mark.parametrize(
    ("network", "settings"),
    [
        *[(SRResNet, {"scale": scale, "filters": 8}) for scale in (2, 4, 8)],
        *[(MSRResNet, {"scale": scale, "filters": 6}) for scale in (2, 3, 4)],
        *[
            (RRDBNet, {"scale": scale, "filters": 6, "growth": 3, "unshuffle": unshuffle})
            for scale, unshuffle in [(4, 1), (2, 1), (2, 2), (1, 4), (8, 1)]
        ],
    ],
)
def test_the_state_of_a_network_of_super_resolution_is_recognised(network, settings):
    network = drawn(network(3, 3, blocks=2, **settings))
    ours, layout = adopted(network.state_dict())
    assert layout.plugin == "srgan"
    assert layout.settings["data"]["scale"] == network.scale
    same(ours, deployed(network, "running"), 16)


def test_an_rrdbnet_that_triples_has_the_tensors_of_one_that_doubles():
    network = drawn(RRDBNet(3, 3, scale=3, filters=6, blocks=1, growth=3))
    ours, layout = adopted(network.state_dict(), Asked(scale=3))
    assert layout.settings["data"]["scale"] == 3
    same(ours, network.eval(), 8)


SMALL = {"data": {"size": 32}, "game": {"filters": 4, "discriminator_filters": 2, "discriminator_layers": 2}}


def with_game(**settings):
    return {**SMALL, "game": {**SMALL["game"], **settings}}


def a_run(path, plugin, settings):
    """A run with one checkpoint, as training leaves them, of drawn weights; its game too."""
    game, config = built(plugin, settings)
    for number, network in enumerate(game.generators.values()):
        drawn(network, number)
    run = Run.create(path, plugin)
    run.config.write_text(dump(config))
    average = Average(game, 0).game.generators.state_dict()
    checkpoint = checkpoints.save_averaged(average, Best(7, "l1", 0.0), run.checkpoints)
    return checkpoint.path / "weights.safetensors", game


@pytest.mark.parametrize(
    ("plugin", "settings"),
    [
        ("pix2pix", with_game(norm="batch", statistics="image")),
        ("pix2pix", with_game(norm="batch", statistics="running")),
        ("pix2pix", with_game(norm="none", network="resnet", blocks=2)),
        ("cyclegan", with_game(norm="none", upsampling="nearest", skip=True, blocks=2)),
        ("cyclegan", with_game(blocks=2)),
        ("cut", with_game(blocks=5)),
        ("srgan", {"data": {"scale": 2, "size": 16}, "game": {"filters": 8, "blocks": 2}, "stage": "content"}),
    ],
)
def test_the_configuration_beside_a_checkpoint_says_what_its_tensors_do_not(plugin, settings, tmp_path):
    path, game = a_run(tmp_path / "run", plugin, settings)
    ours, layout = adopted(read(path), NOTHING, path)
    assert layout.plugin == plugin
    same(ours, deployed(next(iter(game.exports().values())).network, game.statistics), 32)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("trained", ["AtoB", "BtoA"])
def test_of_two_generators_it_is_the_one_of_the_direction_asked_for(direction, trained, tmp_path):
    settings = with_game(blocks=1, upsampling="nearest", skip=True)
    settings["data"] = {"size": 32, "direction": trained}
    path, game = a_run(tmp_path / "run", "cyclegan", settings)
    found = recognise(read(path), Asked(direction=direction), path)
    expected = game.generators[direction].state_dict()
    assert found.weights.keys() == expected.keys()
    assert all(torch.equal(found.weights[name], expected[name]) for name in expected)


def test_a_checkpoint_away_from_its_run_is_recognised_by_its_tensors(tmp_path):
    path, game = a_run(tmp_path / "run", "cyclegan", with_game(blocks=3))
    alone = path.rename(tmp_path / "alone.safetensors")
    for direction in ("AtoB", "BtoA"):
        ours, layout = adopted(read(alone), Asked(direction=direction), alone)
        assert layout.settings["game"]["blocks"] == 3
        same(ours, game.generators[direction], 32)


def test_a_checkpoint_of_a_training_holds_more_than_the_averaged_generators(finished):
    path = max(finished.checkpoints.glob("step-*")) / "weights.safetensors"
    tensors = load_file(path)
    found = recognise(read(path), NOTHING, path)
    assert found.layout.plugin == "pix2pix"
    for name, tensor in found.weights.items():
        averaged = tensors.get(f"average.G.{name}", tensors[f"generators.G.{name}"])  # some norms keep no averages
        assert torch.equal(tensor, averaged)


def test_a_file_that_was_imported_before_says_of_which_plugin_it_is(tmp_path):
    settings = with_game(norm="none", skip=True, upsampling="nearest", blocks=2)
    game, _ = built("cyclegan", settings)
    network = drawn(game.generators["AtoB"])
    tensors = {f"AtoB.{name}": tensor for name, tensor in network.state_dict().items()}
    save_start(tmp_path / "start.safetensors", "cyclegan", settings, tensors)
    ours, layout = adopted(read(tmp_path / "start.safetensors"), NOTHING, tmp_path / "start.safetensors")
    assert layout.settings["game"]["skip"] is True
    same(ours, network, 32)


def test_images_of_noise_translate_nothing(tmp_path):
    settings = {"data": {"size": 32}, "game": {"filters": 2, "discriminator_filters": 2}}
    path, _ = a_run(tmp_path / "run", "dcgan", settings)
    with pytest.raises(CheckpointError, match="dcgan makes images of noise"):
        recognise(read(path), NOTHING, path)


def test_a_checkpoint_of_other_networks_than_its_configuration_says_is_refused(tmp_path):
    path, _ = a_run(tmp_path / "run", "pix2pix", with_game(filters=4))
    tensors = load_file(path)
    del tensors[next(name for name in tensors if name.startswith("average.G.downs"))]
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=r"nearest to UNet of i2i's pix2pix, but different:\n  1 missing: downs"):
        recognise(read(path), NOTHING, path)


def test_the_weights_of_every_norm_are_complete():
    for norm, statistics in product(NORMS, ("image", "running")):
        own = UNet(3, 3, depth=3, filters=2, norm=norm).state_dict()
        assert recognise(own, Asked(statistics=statistics), FILE).weights.keys() == own.keys()
