"""Label maps in colours as a channel for each class: the nearest colour, in whatever precision and when deployed."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from i2i.errors import ConfigError
from i2i.games.game import Export
from i2i.nn.labels import OneHot, subsampled
from i2i.nn.palette import levels, names, nearest
from i2i_export.half import halved
from i2i_export.onnx import to_onnx

COLOURS = ("#000000", "#ff0000", "#010101", "#7f8081", "#ffffff", "#02ff80", "#0000fe")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture(pixels):
    """`[N, H, W, 3]` as networks get it."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def classes(pixels):
    """Which colour is nearest, one pixel after the other, the first of equally near ones."""
    palette = [tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for colour in COLOURS]
    flat = [
        min(
            range(len(palette)), key=lambda k: (sum(abs(int(a) - b) for a, b in zip(pixel, palette[k], strict=True)), k)
        )
        for pixel in pixels.reshape(-1, 3)
    ]
    return np.array(flat).reshape(pixels.shape[:-1])


@pytest.mark.parametrize("autocast", [False, True])
def test_each_pixel_is_of_the_class_whose_colour_is_nearest(autocast):
    pixels = noise(2, 24, 20, 3)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        made = OneHot(COLOURS)(picture(pixels))
    assert (made.shape, made.dtype) == ((2, len(COLOURS), 24, 20), torch.float32)
    assert torch.equal(made.argmax(1), torch.from_numpy(classes(pixels)))
    assert torch.equal(made.sum(1), torch.ones(2, 24, 20))
    assert set(made.unique().tolist()) == {0, 1}


def test_of_equally_near_colours_the_first_is_taken():
    pixels = np.zeros((1, 1, 1, 3), np.uint8) + np.uint8(10)
    ones = OneHot(("#0a0a0b", "#0a0b0a", "#090a0a"))(picture(pixels))
    assert ones.flatten().tolist() == [1, 0, 0]
    assert nearest(pixels[0], levels(("#0a0a0b", "#0a0b0a"))).tolist() == [[[10, 10, 11]]]


def test_all_256_greys_are_told_apart():
    colours = names((level, level, level) for level in range(256))
    pixels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    made = OneHot(colours)(picture(pixels))
    assert torch.equal(made.argmax(1).flatten(), torch.arange(256))


def test_pixels_of_the_data_are_those_of_the_network():
    pixels = noise(30, 40, 3)
    palette = levels(COLOURS)
    assert np.array_equal(nearest(pixels, palette), palette[classes(pixels)])


class Snapped(nn.Module):
    """Gives each pixel the nearest colour."""

    def __init__(self):
        super().__init__()
        self.one_hot = OneHot(COLOURS)
        self.paint = nn.Conv2d(len(COLOURS), 3, 1, bias=False)
        self.paint.weight.data[:, :, 0, 0] = torch.from_numpy(levels(COLOURS)).T / 127.5 - 1

    def forward(self, image):
        return self.paint(self.one_hot(image))


def test_deployed_it_is_exact_in_half_precision_too():
    model = to_onnx(Export(Snapped(), 3, 3, multiple=1))
    pixels = noise(2, 17, 23, 3)
    for graph in (model, halved(model)):
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        (made,) = session.run(None, {"image": pixels})
        assert np.array_equal(made, levels(COLOURS)[classes(pixels)])


@pytest.mark.parametrize("step", [1, 2, 8])
def test_subsampling_takes_pixels_as_they_are(step):
    labels = torch.rand(2, 3, 16, 24)
    assert torch.equal(subsampled(labels, step), labels[:, :, ::step, ::step])


@pytest.mark.parametrize(
    ("colours", "said"),
    [
        (["red", "#000000"], "'red' is no colour"),
        (["#00000", "#000000"], "'#00000' is no colour"),
        (["#0000FF", "#000000", "#0000ff"], "'#0000ff' stands there twice"),
        (["#000000"], "1 colours"),
    ],
)
def test_what_are_no_classes_is_said(colours, said):
    with pytest.raises(ConfigError, match=said):
        OneHot(colours)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_pictures_than_rgb_are_refused(channels):
    with pytest.raises(ValueError, match=f"{channels} channels"):
        OneHot(COLOURS)(torch.zeros(1, channels, 4, 4))
