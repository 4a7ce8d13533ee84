"""ESRGAN's RRDBNet: its published shapes, pixel-unshuffle computed otherwise, and that it can learn."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.nn.rrdbnet import RRDBNet, begin_small_


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("scale", "unshuffle", "ups"), [(4, 1, 2), (2, 2, 2), (1, 4, 2), (8, 1, 3), (3, 1, 1), (1, 1, 0)]
)
def test_it_is_as_published(scale, unshuffle, ups):
    """By hand: of a dense block four convolutions to 32 filters, each of 32 more than the one before, and one to 64."""
    dense = sum((64 + 32 * before) * 32 * 9 + 32 for before in range(4)) + (64 + 32 * 4) * 64 * 9 + 64
    inner = 64 * 64 * 9 + 64
    head = 3 * unshuffle**2 * 64 * 9 + 64
    with torch.device("meta"):
        network = RRDBNet(3, 3, scale=scale, unshuffle=unshuffle)
    assert count(network) == head + 23 * 3 * dense + inner + ups * inner + inner + 64 * 3 * 9 + 3
    assert scale != 4 or count(network) == 16_697_987


@pytest.mark.parametrize(
    ("scale", "unshuffle", "channels"), [(4, 1, 3), (2, 1, 1), (2, 2, 3), (1, 4, 3), (3, 1, 3), (8, 1, 1), (1, 1, 4)]
)
def test_it_enlarges_multiples(scale, unshuffle, channels):
    network = RRDBNet(channels, channels, scale=scale, filters=8, blocks=1, growth=4, unshuffle=unshuffle)
    height, width = 5 * unshuffle, 3 * unshuffle
    made = network(torch.randn(2, channels, height, width))
    assert made.shape == (2, channels, scale * height, scale * width)
    assert network.multiple == unshuffle


@pytest.mark.parametrize("unshuffle", [2, 4])
def test_its_first_convolution_is_one_of_unshuffled_pixels(unshuffle):
    """By the weights of one pixel of each square at a time, whose image is every so manieth pixel."""
    torch.manual_seed(0)
    head = RRDBNet(3, 3, scale=4 // unshuffle, filters=8, blocks=1, growth=4, unshuffle=unshuffle).head
    image = torch.randn(2, 3, 6 * unshuffle, 5 * unshuffle)
    made = torch.zeros(2, 8, 6, 5)
    for row in range(unshuffle):
        for column in range(unshuffle):
            pixels = image[..., row::unshuffle, column::unshuffle]
            made = made + F.conv2d(pixels, head.weight[..., row::unshuffle, column::unshuffle], padding=1)
    torch.testing.assert_close(head(image), made + head.bias.view(-1, 1, 1), atol=1e-5, rtol=0)


def test_its_blocks_begin_small():
    torch.manual_seed(0)
    network = RRDBNet(3, 3, filters=16, blocks=2, growth=8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    begin_small_(network)
    for name, value in network.state_dict().items():
        if "layers" not in name:
            assert torch.equal(value, before[name])
        elif name.endswith("bias"):
            assert not value.any()
        else:
            expected = 0.1 * (2 / (value.shape[1] * 9)) ** 0.5
            assert value.std().item() == pytest.approx(expected, rel=0.15)
    features = torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(network.body[0](features), 1.2 * features, atol=0.05, rtol=0)


def test_every_weight_can_learn():
    torch.manual_seed(0)
    network = RRDBNet(3, 3, scale=2, filters=8, blocks=2, growth=4, unshuffle=2)
    begin_small_(network)
    nn.functional.mse_loss(network(torch.randn(2, 3, 8, 8)), torch.randn(2, 3, 16, 16)).backward()
    assert [name for name, parameter in network.named_parameters() if not parameter.grad.any()] == []


@pytest.mark.parametrize(("scale", "unshuffle"), [(3, 2), (5, 1), (6, 1)])
def test_a_scale_that_is_no_doubling_is_refused(scale, unshuffle):
    with pytest.raises(ValueError, match=str(scale * unshuffle)):
        RRDBNet(3, 3, scale=scale, unshuffle=unshuffle)
