"""Halving without aliasing, against the formula and by what it is for."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.nn.blur import BlurredHalving, antialiased
from i2i.nn.patchgan import PatchGAN


@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 10), (7, 4)])
def test_it_is_every_second_pixel_of_the_blurred_image(height, width):
    features = np.random.default_rng(0).normal(size=(2, 3, height, width))
    reflected = np.pad(features, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    rows = (reflected[:, :, :-2] + 2 * reflected[:, :, 1:-1] + reflected[:, :, 2:]) / 4
    blurred = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    made = BlurredHalving(3).double()(torch.from_numpy(features))
    np.testing.assert_allclose(made.numpy(), blurred[:, :, ::2, ::2], atol=1e-12)


def test_it_is_no_weight():
    layer = BlurredHalving(3)
    assert not list(layer.parameters())
    assert not layer.state_dict()


def test_the_finest_stripes_become_grey_where_a_stride_would_make_them_black_or_white():
    stripes = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    assert stripes[:, :, ::2, ::2].unique().tolist() == [1.0]
    assert BlurredHalving(1)(stripes).abs().max() == 0


@pytest.mark.parametrize("layers", [1, 3])
def test_convolutions_of_stride_two_halve_after_their_relu(layers):
    torch.manual_seed(0)
    strided = PatchGAN(3, filters=4, layers=layers, norm="none").double()
    smooth = antialiased(strided.net).double()
    image = torch.randn(2, 3, 32, 24, dtype=torch.float64)
    expected, convolutions = image, [layer for layer in smooth if isinstance(layer, nn.Conv2d)]
    blur = BlurredHalving(1).double()
    for number, layer in enumerate(convolutions):
        expected = F.conv2d(expected, layer.weight, layer.bias, padding=1)
        if number < len(convolutions) - 1:
            expected = F.leaky_relu(expected, 0.2)
        if number < layers:
            expected = blur(expected.flatten(0, 1)[:, None]).view(2, -1, *blur(expected[:, :1]).shape[2:])
    torch.testing.assert_close(smooth(image), expected)


def test_a_move_of_two_pixels_moves_what_is_made_by_one():
    """Of a stride alone too; a move of one pixel changes the values, with a blur by less."""
    torch.manual_seed(0)
    image = torch.rand(1, 1, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    blur = BlurredHalving(1).double()
    torch.testing.assert_close(blur(image.roll(2, 3))[..., 2:-2], blur(image).roll(1, 3)[..., 2:-2])

    def changed(halve):
        made, moved = halve(image)[..., 4:-4], halve(image.roll(1, 3))[..., 4:-4]
        return ((moved - made).norm() / made.sub(made.mean()).norm()).item()

    assert changed(blur) < 0.8 * changed(lambda x: x[..., ::2, ::2])
