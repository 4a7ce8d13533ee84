"""SRGAN's two networks, against the published shapes and against interpolation computed otherwise."""

import numpy as np
import pytest
import torch
from torch import nn

from i2i.nn.srresnet import PlainBlock, SRResNet, begin_as_interpolation_
from i2i.nn.vggstyle import VGGStyle


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("scale", "stages"), [(2, 1), (4, 2), (8, 3)])
def test_the_generator_is_as_published(scale, stages):
    """By hand: weights of each convolution, biases but before batch norm, two numbers a batch-norm channel, PReLUs."""
    network = SRResNet(3, 3, scale=scale)
    block = 2 * (64 * 64 * 9 + 2 * 64) + 1
    up = 64 * 256 * 9 + 256 + 1
    head, tail = 3 * 64 * 81 + 64 + 1, 64 * 3 * 81 + 3
    assert count(network) == head + 16 * block + (64 * 64 * 9 + 2 * 64) + stages * up + tail
    assert sum(isinstance(part, PlainBlock) for part in network.body) == 16
    assert not [part for part in network.modules() if isinstance(part, nn.Tanh)]


@pytest.mark.parametrize(("scale", "channels"), [(2, 1), (4, 3), (8, 3)])
def test_the_generator_enlarges_any_size(scale, channels):
    network = SRResNet(channels, channels, scale=scale, filters=8, blocks=1)
    assert network(torch.randn(2, channels, 5, 9)).shape == (2, channels, 5 * scale, 9 * scale)


def test_the_discriminator_is_as_published():
    network = VGGStyle(3)
    convolutions = [part for part in network.net if isinstance(part, nn.Conv2d)]
    assert [(part.out_channels, part.stride[0]) for part in convolutions] == [
        (64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2),
    ]  # fmt: skip
    assert {part.kernel_size for part in convolutions} == {(3, 3)}
    assert sum(isinstance(part, nn.BatchNorm2d) for part in network.net) == 7
    dense = [part for part in network.net if isinstance(part, nn.Linear)]
    assert [(part.in_features, part.out_features) for part in dense] == [(512 * 6 * 6, 1024), (1024, 1)]


@pytest.mark.parametrize("size", [16, 24, 40, 96])
def test_the_discriminator_takes_squares_of_its_size(size):
    network = VGGStyle(1, size=size, filters=2, dense=4)
    assert network(torch.randn(3, 1, size, size), None).shape == (3, 1)


def quadratic(line, times):
    """Doubles a line `times` times: at a quarter of a pixel to either side, on the parabola through three pixels."""
    for _ in range(times):
        doubled = []
        for at in range(1, len(line) - 1):
            parabola = np.polynomial.Polynomial.fit([-1, 0, 1], line[at - 1 : at + 2], 2)
            doubled += [parabola(-0.25), parabola(0.25)]
        line = np.array(doubled)
    return line


@pytest.mark.parametrize(("scale", "channels"), [(2, 3), (4, 3), (4, 1), (8, 1)])
def test_it_begins_as_interpolation(scale, channels):
    torch.manual_seed(0)
    network = SRResNet(channels, channels, scale=scale, filters=8, blocks=2)
    begin_as_interpolation_(network)
    rows, columns = np.random.default_rng(0).uniform(-1, 1, (2, channels, 12))
    image = torch.from_numpy(rows[:, :, None] * columns[:, None, :]).float()[None]
    made = network(image)[0].detach().numpy()
    times = scale.bit_length() - 1
    for channel in range(channels):
        expected = np.outer(quadratic(rows[channel], times), quadratic(columns[channel], times))
        border = (made.shape[-1] - len(expected)) // 2  # where three pixels are not there
        np.testing.assert_allclose(made[channel, border:-border, border:-border], expected, atol=1e-5)


def test_from_interpolation_every_weight_can_learn():
    """Within two steps: what leads to what starts at zero cannot before that has moved."""
    torch.manual_seed(0)
    network = SRResNet(3, 3, scale=2, filters=8, blocks=1)
    begin_as_interpolation_(network)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    image, target = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 16, 16)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(image), target).backward()
        optimizer.step()
    assert [name for name, value in network.named_parameters() if torch.equal(value, before[name])] == []
