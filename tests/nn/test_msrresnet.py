"""BasicSR's MSRResNet: its published shapes, bilinear interpolation as Pillow computes it, and that it can learn."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from i2i.nn.msrresnet import MSRResNet, begin_as_bilinear_


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("scale", "ups"), [(2, 4), (3, 9), (4, 8)])
def test_it_is_as_published(scale, ups):
    """By hand: a 3x3 convolution of 64 filters and its biases; of those that enlarge, so many as they make pixels."""
    inner = 64 * 64 * 9 + 64
    network = MSRResNet(3, 3, scale=scale)
    assert count(network) == 3 * 64 * 9 + 64 + 16 * 2 * inner + ups * inner + inner + 64 * 3 * 9 + 3
    assert scale != 4 or count(network) == 1_517_571


@pytest.mark.parametrize(("scale", "channels"), [(2, 1), (3, 3), (4, 3), (4, 4)])
def test_it_adds_to_the_bilinear_interpolation(scale, channels):
    torch.manual_seed(0)
    network = MSRResNet(channels, channels, scale=scale, filters=8, blocks=1)
    nn.init.zeros_(network.tail[2].weight)
    nn.init.constant_(network.tail[2].bias, 0.25)  # of a range of [0, 1], so half as much again of one of [-1, 1]
    image = np.random.default_rng(0).uniform(-1, 1, (channels, 7, 11)).astype(np.float32)
    made = network(torch.from_numpy(image)[None])[0].detach().numpy()
    assert made.shape == (channels, 7 * scale, 11 * scale)
    size = 11 * scale, 7 * scale
    expected = np.stack([np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)) for plane in image])
    np.testing.assert_allclose(made, expected + 0.5, atol=1e-5)


def test_it_begins_next_to_it():
    torch.manual_seed(0)
    network = MSRResNet(3, 3, filters=16, blocks=4)
    begin_as_bilinear_(network)
    image = torch.rand(2, 3, 9, 12) * 2 - 1
    smooth = nn.functional.interpolate(image, scale_factor=4, mode="bilinear")
    away = (network(image) - smooth).abs().max().item()
    assert 0 < away < 0.05


def test_there_is_black_around_the_image():
    """A black image is the same within itself as at its border."""
    torch.manual_seed(0)
    network = MSRResNet(1, 1, scale=2, filters=8, blocks=1)
    nn.init.zeros_(network.head.bias)  # or what the head makes of black is no zero
    for part in network.body.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.zeros_(part.bias)
    nn.init.zeros_(network.up[0].bias)
    nn.init.zeros_(network.tail[0].bias)
    made = network(torch.full((1, 1, 6, 6), -1.0))
    assert made.max() - made.min() < 1e-6


def test_every_weight_can_learn():
    torch.manual_seed(0)
    network = MSRResNet(3, 3, scale=3, filters=8, blocks=2)
    begin_as_bilinear_(network)
    nn.functional.mse_loss(network(torch.randn(2, 3, 6, 6)), torch.randn(2, 3, 18, 18)).backward()
    assert [name for name, parameter in network.named_parameters() if not parameter.grad.any()] == []


@pytest.mark.parametrize(("channels", "scale", "said"), [((3, 1), 4, "3 channels cannot become 1"), ((3, 3), 8, "8")])
def test_what_it_cannot_be_is_refused(channels, scale, said):
    with pytest.raises(ValueError, match=said):
        MSRResNet(*channels, scale=scale)
