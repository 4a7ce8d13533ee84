"""Models of other projects' generators: against their own tensors by torch.nn.functional alone, in levels of 255."""

import os
from itertools import cycle, product

import numpy as np
import pytest
import torch

import i2i
from i2i import api

SLOW = pytest.mark.skipif(os.environ.get("I2I_SLOW") != "1", reason="takes five minutes: set I2I_SLOW=1")
NETWORKS = [("unet", 7), ("unet", 8), ("resnet", 6), ("resnet", 9)]  # halvings of the one, blocks of the other
# As there, and instance norm with scale and shift, with biases before it and without.
NORMS = [("batch", None), ("instance", None), ("none", None), ("affine", True), ("affine", False)]
DROPOUT = [False, True]
SHAPES = list(product([4, 7], [(3, 3), (1, 3), (3, 1)]))  # filters; channels in and out


def difference(reference, folder, tensors, kind, side, **asked):
    """By how many levels of 255 the pixels of the model are off those of the tensors, not rounded, at most."""
    torch.save(dict(tensors), folder / "G.pth")
    api.import_checkpoint(folder / "G.pth", folder / "G.onnx", **asked)
    translate = i2i.load(folder / "G.onnx", device="cpu")
    first = "model.model.0.weight" if kind == "unet" else "model.1.weight"
    channels = tensors[first].shape[1]
    shown = np.random.default_rng(0).integers(0, 256, (side, side, channels), dtype=np.uint8)
    values = torch.from_numpy(shown).permute(2, 0, 1)[None].double() / 127.5 - 1
    evaluated = reference.Evaluation(tensors, asked.get("statistics", "image"), legacy="legacy_unet" in asked)
    expected = reference.pixels(getattr(evaluated, kind)(values))
    translated = np.asarray(translate(shown)).reshape(expected.shape)
    assert expected.std() > 1  # it is an image
    return float(np.abs(translated - expected).max())


def drawn(reference, network, norm, dropout, shape):
    """Tensors of a network of `NETWORKS`, and the side of the images that it is shown."""
    (kind, number), (name, biased), (filters, channels) = network, norm, shape
    how = {"filters": filters, "channels": channels, "biased": biased, "seed": 3}
    if kind == "unet":
        return reference.unet(name, depth=number, **how), 2**number
    return reference.resnet(name, blocks=number, dropout=dropout, **how), 32


def named(values):
    return "-".join(str(value) for value in values) if isinstance(values, tuple) else None


EVERY = [
    (network, *rest)
    for network, *rest in product(NETWORKS, NORMS, DROPOUT, SHAPES)
    if network[0] == "resnet" or not rest[1]  # a U-Net's dropout is nowhere in the file
]
# Each network with each norm, the others in turn.
FEW = [
    (*both, *rest) for both, rest in zip(product(NETWORKS, NORMS[:-1]), cycle(product(DROPOUT, SHAPES)), strict=False)
]


@pytest.mark.parametrize(("network", "norm", "dropout", "shape"), FEW, ids=named)
def test_the_model_of_a_generator_is_within_one_level_of_its_tensors(
    reference, tmp_path, network, norm, dropout, shape
):
    tensors, side = drawn(reference, network, norm, dropout, shape)
    assert difference(reference, tmp_path, tensors, network[0], side) <= 1


@SLOW
@pytest.mark.parametrize(("network", "norm", "dropout", "shape"), EVERY, ids=named)
def test_every_combination_is(reference, tmp_path, network, norm, dropout, shape):
    tensors, side = drawn(reference, network, norm, dropout, shape)
    assert difference(reference, tmp_path, tensors, network[0], side) <= 1


def test_the_model_of_a_legacy_unet_is_too(reference, tmp_path):
    tensors = reference.unet("instance", depth=7, seed=3)
    assert difference(reference, tmp_path, tensors, "unet", 128, legacy_unet=True) <= 1


def test_the_model_with_running_averages_is_too(reference, tmp_path):
    tensors = reference.resnet("batch", blocks=2, seed=3)
    assert difference(reference, tmp_path, tensors, "resnet", 32, statistics="running", direction="BtoA") <= 1
