"""Generators of BasicSR and ESRGAN: recognised, and computing what the same tensors do by torch's functions alone."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from i2i import api
from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.errors import CheckpointError
from i2i.foreign import superresolution
from i2i.foreign.layout import Asked
from i2i.foreign.matching import recognise

FILE = Path("file.pth")


class Weights(dict):
    """Tensors by name, drawn so that what goes in is not lost on the way, and most of what comes out is in [0, 1]."""

    def __init__(self, seed=0):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def add(self, name, made, seen):
        self[f"{name}.weight"] = torch.randn(made, seen, 3, 3, generator=self.generator) * (2 / (9 * seen)) ** 0.5
        self[f"{name}.bias"] = torch.randn(made, generator=self.generator) * 0.05

    def end(self, name, made, seen, bias):
        self.add(name, made, seen)
        self[f"{name}.weight"] *= 0.15
        self[f"{name}.bias"] += bias


def msrresnet(scale=4, filters=8, blocks=2, channels=3, old=False):
    """A file of MSRResNet: `scale` 4 enlarges twice. old: names before 2020."""
    weights = Weights()
    weights.add("conv_first", filters, channels)
    for block in range(blocks):
        for conv in (1, 2):
            weights.add(f"{'recon_trunk' if old else 'body'}.{block}.conv{conv}", filters, filters)
    weights.add("upconv1", filters * (9 if scale == 3 else 4), filters)
    if scale == 4:
        weights.add("upconv2", filters * 4, filters)
    weights.add("HRconv" if old else "conv_hr", filters, filters)
    weights.end("conv_last", channels, filters, 0)
    return weights


NAMES = {  # of the convolutions of an RRDBNet, by numbers that begin with 1, but for blocks
    "BasicSR": ("conv_first", "body.{}.rdb{}.conv{}", "conv_body", "conv_up{}", "conv_hr", "conv_last"),
    "ESRGAN": ("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", "upconv{}", "HRconv", "conv_last"),
}


def rrdbnet(ups=2, unshuffle=1, filters=8, blocks=2, growth=4, channels=3, names="BasicSR"):
    """A file of RRDBNet, and the names of its convolutions at the ends."""
    if names == "oldest":  # every module of a sequence counts, LeakyReLUs and repeated pixels too
        up = [f"model.{3 * number}" for number in range(1, ups + 1)]
        inner, trunk = "model.1.sub.{}.RDB{}.conv{}.0", f"model.1.sub.{blocks}"
        first, before_last, last = "model.0", f"model.{2 + 3 * ups}", f"model.{4 + 3 * ups}"
    else:
        first, inner, trunk, plain, before_last, last = NAMES[names]
        up = [plain.format(number) for number in range(1, ups + 1)]
    weights = Weights()
    weights.add(first, filters, channels * unshuffle**2)
    for block in range(blocks):
        for part in (1, 2, 3):
            for conv in range(5):
                name = inner.format(block, part, conv + 1)
                weights.add(name, filters if conv == 4 else growth, filters + conv * growth)
    weights.add(trunk, filters, filters)
    for name in up:
        weights.add(name, filters, filters)
    weights.add(before_last, filters, filters)
    weights.end(last, channels, filters, 0.5)
    return weights, (first, inner, trunk, up, before_last, last)


def convolved(weights, name, features):
    return F.conv2d(features, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)


def by_msrresnet(weights, image, scale, old=False):
    """The network in torch's functions alone, `[N, C, H, W]` in [0, 1]."""
    body, before_last = ("recon_trunk", "HRconv") if old else ("body", "conv_hr")
    features = F.leaky_relu(convolved(weights, "conv_first", image), 0.1)
    block = 0
    while f"{body}.{block}.conv1.weight" in weights:
        changed = F.relu(convolved(weights, f"{body}.{block}.conv1", features))
        features = features + convolved(weights, f"{body}.{block}.conv2", changed)
        block += 1
    for name, times in {2: [("upconv1", 2)], 3: [("upconv1", 3)], 4: [("upconv1", 2), ("upconv2", 2)]}[scale]:
        features = F.leaky_relu(F.pixel_shuffle(convolved(weights, name, features), times), 0.1)
    made = convolved(weights, "conv_last", F.leaky_relu(convolved(weights, before_last, features), 0.1))
    return made + F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)


def by_rrdbnet(weights, names, image, unshuffle=1, times=2):
    """Likewise; times: by what each of its steps enlarges."""
    first, inner, trunk, ups, before_last, last = names
    features = convolved(weights, first, F.pixel_unshuffle(image, unshuffle))
    body, block = features, 0
    while inner.format(block, 1, 1) + ".weight" in weights:
        whole = body
        for part in (1, 2, 3):
            seen = [body]
            for conv in range(1, 5):
                name = inner.format(block, part, conv)
                seen.append(F.leaky_relu(convolved(weights, name, torch.cat(seen, 1)), 0.2))
            body = body + 0.2 * convolved(weights, inner.format(block, part, 5), torch.cat(seen, 1))
        body = whole + 0.2 * body
        block += 1
    features = features + convolved(weights, trunk, body)
    for name in ups:
        repeated = F.interpolate(features, scale_factor=times, mode="nearest")
        features = F.leaky_relu(convolved(weights, name, repeated), 0.2)
    return convolved(weights, last, F.leaky_relu(convolved(weights, before_last, features), 0.2))


def network_of(weights, asked=None):
    """What is recognised, and the generator of the plugin's game with these weights."""
    found = recognise(weights, asked or Asked(), FILE)
    manifest = plugins.load(found.layout.plugin)
    config = resolve(
        manifest.config,
        [Layer("file.pth", found.layout.settings), Layer("test", {"device": "cpu", "stage": "content"})],
    )
    game = manifest.build(config)
    export = game.exports()["G"]
    export.network.load_state_dict(found.weights)
    return found.layout, export


def images(channels=3, height=12, width=20):
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def assert_same(export, image, expected):
    assert 0.02 < expected.std() < 1  # an image came of it
    made = (export.network(2 * image - 1) + 1) / 2
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("filters", "blocks", "channels", "old"), [(8, 2, 3, False), (12, 1, 1, True), (7, 3, 3, True)]
)
def test_every_msrresnet_is_recognised(scale, filters, blocks, channels, old):
    weights = msrresnet(scale, filters, blocks, channels, old)
    layout, export = network_of(weights)
    assert (layout.name, layout.project, layout.plugin) == (f"MSRResNet x{scale}", "BasicSR", "srgan")
    assert layout.settings["data"] == {"scale": scale, "input_channels": channels, "target_channels": channels}
    assert layout.settings["game"] == {"network": "msrresnet", "filters": filters, "blocks": blocks}
    assert (export.scale, export.multiple) == (scale, 1)
    assert_same(export, images(channels), by_msrresnet(weights, images(channels), scale, old))


RRDBNETS = [  # names, steps, unshuffle, filters, blocks, growth, channels
    ("BasicSR", 2, 1, 8, 2, 4, 3),
    ("BasicSR", 2, 2, 8, 1, 5, 3),
    ("BasicSR", 2, 4, 9, 1, 4, 3),
    ("BasicSR", 2, 2, 8, 1, 4, 1),
    ("BasicSR", 3, 1, 6, 1, 4, 3),
    ("ESRGAN", 2, 1, 8, 3, 4, 1),
    ("ESRGAN", 1, 1, 8, 1, 4, 3),
    ("ESRGAN", 2, 4, 8, 1, 4, 3),
    ("oldest", 2, 1, 8, 2, 4, 3),
    ("oldest", 0, 1, 8, 1, 4, 3),
    ("oldest", 1, 1, 8, 1, 4, 3),
    ("oldest", 3, 1, 8, 1, 6, 1),
    ("oldest", 2, 2, 10, 12, 3, 3),
]


@pytest.mark.parametrize(("names", "ups", "unshuffle", "filters", "blocks", "growth", "channels"), RRDBNETS)
def test_every_rrdbnet_is_recognised(names, ups, unshuffle, filters, blocks, growth, channels):
    weights, named = rrdbnet(ups, unshuffle, filters, blocks, growth, channels, names)
    layout, export = network_of(weights)
    scale = 2**ups // unshuffle
    assert layout.settings["data"] == {"scale": scale, "input_channels": channels, "target_channels": channels}
    assert layout.settings["game"] == {
        "network": "rrdbnet",
        "filters": filters,
        "blocks": blocks,
        "growth": growth,
        "unshuffle": unshuffle,
    }
    assert layout.name.startswith(f"RRDBNet x{scale}")
    assert (export.scale, export.multiple) == (scale, unshuffle)
    assert_same(export, images(channels), by_rrdbnet(weights, named, images(channels), unshuffle))


@pytest.mark.parametrize(("ups", "unshuffle"), [(0, 2), (0, 4), (1, 4)])
@pytest.mark.parametrize("names", ["BasicSR", "ESRGAN", "oldest"])
def test_fewer_doublings_than_the_unshuffle_needs_are_missing_ones(ups, unshuffle, names):
    weights, _ = rrdbnet(ups=1, unshuffle=unshuffle, blocks=1, names=names)
    weights |= rrdbnet(ups=0, unshuffle=unshuffle, blocks=1, names=names)[0] if ups == 0 else {}
    lost = [name for name in weights if ups == 0 and re.match(r"(conv_up|upconv)|model\.([3579]|1\d)\.", name)]
    kept = {name: value for name, value in weights.items() if name not in lost}
    with pytest.raises(CheckpointError, match=rf"nearest to RRDBNet x\d, pixel-unshuffle {unshuffle}.*\n.* missing: "):
        recognise(kept, Asked(), FILE)


def test_a_scale_that_the_file_leaves_open_is_asked():
    weights, named = rrdbnet(ups=1, names="oldest")
    layout, export = network_of(weights)
    assert export.scale == 2
    assert "taken as 2" in " ".join(layout.notes)
    layout, export = network_of(weights, Asked(scale=3))
    assert export.scale == 3
    assert "taken as 3" in " ".join(layout.notes)
    assert_same(export, images(), by_rrdbnet(weights, named, images(), times=3))
    assert not superresolution.rrdbnet(rrdbnet()[0], Asked()).notes


def test_the_published_networks_are_of_the_published_size():
    """74 tensors of 1,517,571 weights, and 702 of 16,697,987."""
    for weights, tensors, numbers in (
        (msrresnet(filters=64, blocks=16), 74, 1_517_571),
        (rrdbnet(filters=64, blocks=23, growth=32)[0], 702, 16_697_987),
    ):
        assert (len(weights), sum(value.numel() for value in weights.values())) == (tensors, numbers)
        found = recognise(weights, Asked(), FILE)
        assert found.layout.slots.keys() == weights.keys()
        assert sum(value.numel() for value in found.weights.values()) == numbers


def test_what_is_asked_of_the_size_is_kept():
    settings = superresolution.msrresnet(msrresnet(), Asked(size=128)).settings
    assert settings["data"]["size"] == 128


@pytest.mark.parametrize(
    ("file", "dropped", "nearest"),
    [
        (msrresnet(), "body.0.conv2.weight", "MSRResNet x4"),
        (msrresnet(scale=3), "conv_first.weight", "MSRResNet x3"),
        (rrdbnet()[0], "body.1.rdb2.conv3.bias", "RRDBNet x4"),
        (rrdbnet(names="ESRGAN")[0], "conv_first.weight", "RRDBNet x4"),
        (rrdbnet(names="oldest")[0], "model.1.sub.2.weight", "RRDBNet x4"),
    ],
)
def test_a_file_that_lacks_a_tensor_is_told_from_others(file, dropped, nearest):
    kept = {name: value for name, value in file.items() if name != dropped}
    with pytest.raises(CheckpointError) as caught:
        recognise(kept, Asked(), FILE)
    assert nearest in str(caught.value)
    assert re.search(rf"1 missing: {re.escape(dropped)}", str(caught.value))
    shaped = {**file, dropped: torch.zeros(2, 2)}
    with pytest.raises(CheckpointError, match=re.escape(dropped) + r" \[2, 2\]"):
        recognise(shaped, Asked(), FILE)


@pytest.mark.parametrize("family", [superresolution.msrresnet, superresolution.rrdbnet])
@pytest.mark.parametrize("name", ["model.model.0.weight", "model.1.weight", "features.0.weight", "net.0.weight"])
def test_files_of_other_families_are_left_to_them(family, name):
    assert family({name: torch.zeros(8, 3, 3, 3)}, Asked()) is None


ARTIFACTS = {
    "MSRResNet x4": (msrresnet(4), lambda weights, image: by_msrresnet(weights, image, 4)),
    "MSRResNet x3": (msrresnet(3), lambda weights, image: by_msrresnet(weights, image, 3)),
    "RRDBNet x4": (rrdbnet(), lambda weights, image: by_rrdbnet(weights[0], weights[1], image)),
    "RRDBNet x2, unshuffled": (
        rrdbnet(unshuffle=2, blocks=1),
        lambda weights, image: by_rrdbnet(weights[0], weights[1], image, 2),
    ),
}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_the_model_computes_what_the_tensors_do(tmp_path, name):
    """To the next level of 255; whole, and in pieces, which are the same pixels."""
    given, compute = ARTIFACTS[name]
    weights = given if isinstance(given, dict) else given[0]
    torch.save({"params_ema": dict(weights)}, tmp_path / "net_g.pth")
    imported = api.import_checkpoint(tmp_path / "net_g.pth", tmp_path / "model.onnx")
    (described,) = imported.models.values()
    assert described.view == "window"
    assert described.parity.largest <= 1
    rng = np.random.default_rng(2)
    pixels = np.clip(rng.normal(128, 60, (84, 100, 3)), 0, 255).astype(np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = (compute(given, image) * 255).round().clamp(0, 255)[0].permute(1, 2, 0).numpy()
    assert expected.std() > 10
    assert np.mean((expected > 0) & (expected < 255)) > 0.8
    whole = np.asarray(api.load(tmp_path / "model.onnx", "cpu", tile="off")(pixels))
    assert np.abs(whole.astype(int) - expected).max() <= 1
    pieces = np.asarray(api.load(tmp_path / "model.onnx", "cpu", tile=48)(pixels))
    assert np.abs(pieces.astype(int) - whole).max() <= 1
    assert np.mean(pieces != whole) < 1e-3  # on the edge between two levels
