"""Colours by a network of lightness, against kornia and scikit-image."""

import kornia
import numpy as np
import pytest
import torch
from skimage import color
from torch import nn

from i2i.games.game import Export
from i2i.nn.lab import Colouring
from i2i_export.onnx import to_onnx
from i2i_export.parity import check
from i2i_export.receptive import view


class Same(nn.Module):
    """Gives a fixed colour, whatever it is shown, and keeps that."""

    def __init__(self, a, b):
        super().__init__()
        self.colour = torch.tensor([a, b]).view(1, 2, 1, 1) / 110

    def forward(self, lightness):
        self.shown = lightness
        return self.colour.expand(len(lightness), 2, *lightness.shape[2:])


@pytest.fixture
def image():
    torch.manual_seed(0)
    return torch.cat([torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8) / 30]) * 2 - 1


def test_the_network_sees_lightness_as_two_libraries_compute_it(image):
    network = Same(0.0, 0.0)
    Colouring(network)(image)
    rgb = (image + 1) / 2
    for lightness in (
        kornia.color.rgb_to_lab(rgb)[:, :1],
        torch.from_numpy(color.rgb2lab(rgb.double().numpy(), channel_axis=1))[:, :1].float(),
    ):
        assert torch.allclose(network.shown, lightness / 50 - 1, atol=2e-3)


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (30.0, -20.0), (-50.0, 60.0), (-120.0, 90.0)])
def test_what_it_makes_is_laid_on_the_lightness(image, a, b):
    made = Colouring(Same(a, b))(image)
    lab = color.rgb2lab(((image + 1) / 2).double().numpy(), channel_axis=1)
    lab[:, 1], lab[:, 2] = a, b
    expected = color.lab2rgb(lab, channel_axis=1) * 255
    assert np.abs((made.numpy() + 1) * 127.5 - expected).max() < 0.6


def test_it_is_exported_with_its_colours_and_still_sees_one_window():
    torch.manual_seed(0)
    network = Colouring(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh()))
    export = Export(network, 3, 3, multiple=1)
    model = to_onnx(export).SerializeToString()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    assert check(model, export, [pixels]).largest <= 1
    assert (view(model, 3, 1).view, view(model, 3, 1).receptive_radius) == ("window", 1)
