"""Generators of pytorch-CycleGAN-and-pix2pix become ours: against their own tensors by torch.nn.functional alone."""

from itertools import product
from pathlib import Path

import pytest
import torch

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.errors import CheckpointError
from i2i.foreign.layout import Asked
from i2i.foreign.matching import recognise
from i2i.nn.deploy import deployed

NOTHING = Asked()
FILE = Path("latest_net_G.pth")
CHANNELS = [(3, 3), (1, 3), (4, 2)]
WIDTHS = [3, 8]
# batch, instance and none as there, and instance norm with scale and shift, with biases before it and without
NORMS = [("batch", None), ("instance", None), ("none", None), ("affine", True), ("affine", False)]


def adopted(tensors, asked=NOTHING):
    """The network of ours that `recognise` makes of tensors, as it is deployed, and what it says of it."""
    found = recognise(tensors, asked, FILE)
    layout = found.layout
    manifest = plugins.load(layout.plugin)
    quick = Layer("quick", {"device": "cpu", "game": {"discriminator_filters": 1}})
    config = resolve(manifest.config, [Layer("layout", layout.settings), quick])
    game = manifest.build(config)
    export = next(iter(game.exports().values()))
    export.network.load_state_dict(dict(found.weights))
    assert (export.channels_in, export.channels_out) == (config.data.input_channels, config.data.target_channels)
    return deployed(export.network, game.statistics), layout


def image(channels, height, width, seed=0):
    return torch.rand((1, channels, height, width), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def error(network, expected, shown):
    with torch.no_grad():
        return float((network(shown).double() - expected(shown)).abs().max())


@pytest.mark.parametrize(("norm", "biased"), NORMS)
@pytest.mark.parametrize("depth", [5, 7, 8])
def test_a_unet_computes_what_it_did(reference, depth, norm, biased):
    for filters, channels in product(WIDTHS, CHANNELS):
        tensors = reference.unet(norm, depth=depth, filters=filters, channels=channels, biased=biased)
        network, layout = adopted(tensors)
        expected = reference.Evaluation(tensors).unet
        assert error(network, expected, image(channels[0], 2**depth, 2**depth)) < 1e-4
        assert layout.name == f"unet_{2**depth}"
        assert layout.plugin == "pix2pix"
        assert layout.settings["game"]["norm"] == norm


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize(("norm", "biased"), NORMS)
@pytest.mark.parametrize("blocks", [6, 9])
def test_a_resnet_computes_what_it_did(reference, blocks, norm, biased, dropout):
    for filters, channels in product(WIDTHS, CHANNELS):
        tensors = reference.resnet(
            norm, blocks=blocks, filters=filters, channels=channels, dropout=dropout, biased=biased
        )
        network, layout = adopted(tensors)
        expected = reference.Evaluation(tensors).resnet
        assert error(network, expected, image(channels[0], 24, 16)) < 1e-4
        assert layout.name == f"resnet_{blocks}blocks"
        assert layout.plugin == "cyclegan"
        assert layout.settings["game"]["norm"] == norm
        assert any("dropout" in note for note in layout.notes) == dropout


@pytest.mark.parametrize(("kind", "size"), [("unet", 32), ("resnet", 24)])
@pytest.mark.parametrize("statistics", ["image", "running"])
def test_batch_norm_takes_the_statistics_that_are_asked_for(reference, kind, size, statistics):
    tensors = small(reference, kind, "batch")
    network, layout = adopted(tensors, Asked(statistics=statistics))
    expected = getattr(reference.Evaluation(tensors, statistics), kind)
    other = getattr(reference.Evaluation(tensors, "running" if statistics == "image" else "image"), kind)
    assert error(network, expected, image(3, size, size)) < 1e-4
    assert error(network, other, image(3, size, size)) > 0.01
    assert layout.settings["game"]["statistics"] == statistics


@pytest.mark.parametrize("kind", ["unet", "resnet"])
def test_without_a_word_it_is_each_images_statistics_and_that_is_said(reference, kind):
    _, layout = adopted(small(reference, kind, "batch"))
    assert layout.settings["game"]["statistics"] == "image"
    assert any("statistics of each image" in note for note in layout.notes)


def small(reference, kind, norm, **settings):
    sized = {"depth": 5} if kind == "unet" else {"blocks": 2}
    return getattr(reference, kind)(norm, **sized, **settings)


@pytest.mark.parametrize("depth", [2, 6, 8])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_a_unet_before_2017_09_22_has_its_halves_swapped(reference, depth, norm):
    tensors = reference.unet(norm, depth=depth)
    network, layout = adopted(tensors, Asked(legacy_unet=True))
    shown = image(3, 2**depth, 2**depth)
    assert error(network, reference.Evaluation(tensors, legacy=True).unet, shown) < 1e-4
    assert error(network, reference.Evaluation(tensors).unet, shown) > 0.01
    assert any("2017-09-22" in note for note in layout.notes)


@pytest.mark.parametrize("kind", ["unet", "resnet"])
@pytest.mark.parametrize("norm", ["instance", "affine"])
def test_averages_that_an_instance_norm_once_kept_are_left_out(reference, kind, norm):
    tensors = small(reference, kind, norm, biased=True)
    network, before = adopted(tensors)
    for name in norms_of(small(reference, kind, "batch")):
        tensors.averages(name, len(small(reference, kind, "batch")[f"{name}.weight"]))
    with_averages, layout = adopted(tensors)
    shown = image(3, 32, 32)
    assert layout.settings["game"]["norm"] == norm
    assert torch.equal(network(shown), with_averages(shown))
    (note,) = [note for note in layout.notes if note not in before.notes]
    assert "left out" in note
    assert ("assumed" in note) == (norm == "affine")
    with pytest.raises(CheckpointError, match="its norm is taken as instance norm"):
        recognise(tensors, Asked(statistics="running"), FILE)


@pytest.mark.parametrize("kind", ["unet", "resnet"])
def test_batch_norm_of_torch_before_0_4_1_counts_no_batches(reference, kind):
    tensors = small(reference, kind, "batch")
    expected = getattr(reference.Evaluation(tensors), kind)
    for name in [name for name in tensors if name.endswith("num_batches_tracked")]:
        del tensors[name]
    network, _ = adopted(tensors)
    assert error(network, expected, image(3, 32, 32)) < 1e-4


@pytest.mark.parametrize("plugin", ["cyclegan", "pix2pix", "cut"])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_a_resnet_is_a_generator_of_the_plugin_asked_for(reference, plugin, norm):
    tensors = reference.resnet(norm, blocks=3)
    network, layout = adopted(tensors, Asked(plugin=plugin))
    assert layout.plugin == plugin
    assert error(network, reference.Evaluation(tensors).resnet, image(3, 24, 24)) < 1e-4


@pytest.mark.parametrize(("blurred", "smooth"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("dropout", [False, True])
def test_the_antialiased_resnet_of_cut_computes_what_it_did(reference, norm, dropout, blurred, smooth):
    tensors = reference.resnet(norm, blocks=3, dropout=dropout, blurred=blurred, smooth=smooth)
    network, layout = adopted(tensors)
    assert error(network, reference.Evaluation(tensors).resnet, image(3, 24, 32)) < 1e-4
    assert (layout.plugin, layout.project) == ("cut", "contrastive-unpaired-translation")


@pytest.mark.parametrize(("depth", "size"), [(5, 256), (7, 128), (8, 256), (9, 512)])
def test_what_size_it_was_trained_on_is_assumed_and_said_or_as_asked(reference, depth, size):
    tensors = reference.unet("instance", depth=depth, filters=1)
    assumed, told = (recognise(tensors, asked, FILE).layout for asked in (Asked(), Asked(size=1024)))
    assert assumed.settings["data"]["size"] == size
    assert any(f"assumed: it was trained on images of {size} pixels" in note for note in assumed.notes)
    assert told.settings["data"]["size"] == 1024
    assert not any("assumed" in note for note in told.notes)


@pytest.mark.parametrize(
    ("kind", "how", "tensors"),
    [
        ("unet", {"depth": 8}, {"batch": 82, "instance": 32, "none": 17}),
        ("unet", {"depth": 7}, {"batch": 70, "instance": 28, "none": 15}),
        ("resnet", {"blocks": 9}, {"batch": 140, "instance": 48, "none": 25}),
        ("resnet", {"blocks": 6}, {"batch": 104, "instance": 36, "none": 19}),
    ],
)
def test_there_are_as_many_tensors_as_in_that_projects_files(reference, kind, how, tensors):
    for norm, count in tensors.items():
        made = getattr(reference, kind)(norm, **how, filters=1)
        assert len(made) == count
        assert recognise(made, NOTHING, FILE).layout.slots.keys() >= made.keys()


@pytest.mark.parametrize("ways", [{"blurred": True}, {"smooth": True}])
def test_another_filter_than_that_of_cut_is_refused(reference, ways):
    tensors = reference.resnet("instance", blocks=1, **ways)
    name = next(name for name in tensors if name.endswith(".filt"))
    tensors[name] = tensors[name] * 1.00001
    recognise(tensors, NOTHING, FILE)
    tensors[name] = tensors[name].flip(0) * 1.01
    with pytest.raises(CheckpointError, match=f"{name} is another filter than resnet_1blocks of contrastive"):
        recognise(tensors, NOTHING, FILE)


def norms_of(tensors):
    return [name.removesuffix(".running_mean") for name in tensors if name.endswith(".running_mean")]
