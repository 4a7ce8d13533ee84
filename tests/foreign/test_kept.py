"""What a file or the run around it says of its networks: followed where it is true, and a mistake where it is not."""

import json
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import save_file

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.errors import CheckpointError
from i2i.foreign.layout import Asked
from i2i.foreign.matching import recognise
from i2i.foreign.reading import read
from i2i.nn.resnet import ResNet
from i2i.nn.unet import UNet
from i2i.training.start import save_start
from i2i_pix2pix.game import Pix2Pix

SMALL = {"discriminator_filters": 2, "discriminator_layers": 2}


def said_by(folder, settings, tensors=None, plugin="cyclegan"):
    """A file that says this of itself; settings: as they are, or as text that is no JSON of any."""
    made = ResNet(3, 3, blocks=1, filters=2).state_dict() if tensors is None else tensors
    text = settings if isinstance(settings, str) else json.dumps(settings)
    path = folder / "said.safetensors"
    save_file(
        {f"AtoB.{name}": tensor for name, tensor in made.items()}, path, {"i2i.plugin": plugin, "i2i.settings": text}
    )
    return path


def in_a_run(folder, plugin, tree, tensors, generator="G"):
    """A checkpoint in a run with this configuration, a tree or text."""
    checkpoint = folder / "run" / "checkpoints" / "step-0000001"
    checkpoint.mkdir(parents=True)
    (folder / "run" / "config.yaml").write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    path = checkpoint / "weights.safetensors"
    save_file({f"average.{generator}.{name}": tensor for name, tensor in tensors.items()}, path)
    return path


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        recognise(read(path), Asked(), path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.hint
    return caught.value.message


GAME = {"blocks": 1, "filters": 2}


@pytest.mark.parametrize(
    "settings",
    [
        "[]",
        "3",
        "{}",
        "null",
        "[" * 100_000,
        "{",
        {"game": None, "data": {}},
        {"game": [], "data": {}},
        {"game": GAME, "data": {"source": "/"}},
        {"game": GAME, "data": {}, "trainer": {"steps": 1}},
        {"game": GAME | {"filters": "many"}, "data": {}},
        {"game": GAME | {"filters": 1_000_000}, "data": {}},
        {"game": GAME | {"filters": 10**30}, "data": {}},
        {"game": GAME | {"blocks": 10**9}, "data": {}},
        {"game": GAME | {"discriminator_filters": 1_000_000}, "data": {}},
        {"game": GAME, "data": {"size": None}},
    ],
    ids=lambda settings: str(settings)[:60],
)
def test_settings_that_make_no_such_network_are_a_mistake(settings, tmp_path):
    refused(said_by(tmp_path, settings))


@pytest.mark.parametrize("plugin", ["srgan", "pix2pix", "nobodys", "dcgan", ""])
def test_a_plugin_that_has_no_such_network_is_a_mistake(plugin, tmp_path):
    refused(said_by(tmp_path, {"game": {}, "data": {}}, plugin=plugin))


def test_blocks_beyond_the_tensors_are_not_built(tmp_path):
    settings = {"game": {"network": "rrdbnet", "blocks": 10**7}, "data": {}}
    assert "10000000 blocks deep" in refused(said_by(tmp_path, settings, plugin="srgan"))


@pytest.mark.parametrize(
    "tree",
    [
        "data:\ngame:\nplugin: cyclegan\n",
        "game: {blocks: 1}\nplugin: cyclegan\n",
        "data: {}\ngame: {}\n",
        "- 1\n",
        "data: [\n",
        "data: {}\ngame: {blocks: many}\nplugin: cyclegan\n",
    ],
)
def test_a_configuration_that_was_spoiled_by_hand_is_a_mistake(tree, tmp_path):
    path = in_a_run(tmp_path, "cyclegan", tree, ResNet(3, 3, blocks=1, filters=2).state_dict(), "AtoB")
    refused(path)


def test_a_plugin_whose_model_is_more_than_its_generator_is_told(tmp_path, monkeypatch):
    tree = {"plugin": "pix2pix", "data": {"size": 32}, "game": {"depth": 3, "filters": 2, **SMALL}}
    path = in_a_run(tmp_path, "pix2pix", tree, UNet(3, 3, depth=3, filters=2).state_dict())
    plain = Pix2Pix.exports

    def wrapped(self):
        return {name: replace(each, network=torch.nn.Sequential(each.network)) for name, each in plain(self).items()}

    recognise(read(path), Asked(), path)
    monkeypatch.setattr(Pix2Pix, "exports", wrapped)
    assert "the model of pix2pix is more than its generator" in refused(path)


@pytest.mark.parametrize("left", [None, 4])
def test_a_size_that_is_asked_for_changes_what_is_said_and_no_network(left, tmp_path):
    """Neither the depth of a U-Net nor the number of blocks, which follow from the size where they are left open."""
    tensors = UNet(3, 3, depth=4 if left else 5, filters=2, norm="instance").state_dict()
    game = {"depth": left, "filters": 2, "norm": "instance", **SMALL}
    path = in_a_run(tmp_path, "pix2pix", {"plugin": "pix2pix", "data": {"size": 32}, "game": game}, tensors)
    found = recognise(read(path), Asked(size=64), path)
    assert found.layout.settings["data"]["size"] == 64
    config = resolve(plugins.load("pix2pix").config, [Layer("", found.layout.settings), Layer("", {"device": "cpu"})])
    assert config.data.size == 64
    assert config.depth == (left or 5)


def test_the_blocks_of_an_imported_cyclegan_do_not_change_with_the_size(tmp_path):
    tensors = ResNet(3, 3, blocks=6, filters=2).state_dict()
    save_start(
        tmp_path / "start.safetensors",
        "cyclegan",
        {"data": {"size": 128}, "game": {"filters": 2, **SMALL}},
        {f"AtoB.{name}": tensor for name, tensor in tensors.items()},
    )
    path = tmp_path / "start.safetensors"
    found = recognise(read(path), Asked(size=256, statistics="image"), path)
    assert (found.layout.settings["data"]["size"], found.layout.settings["game"]["blocks"]) == (256, 6)
    assert [note for note in found.layout.notes if "meaning" in note] == [
        "statistics image has no meaning: it has no batch norm"
    ]
