"""The residual generator, against the published network."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.nn.init import he_
from i2i.nn.resnet import ResidualBlock, ResNet, begin_as_identity_


# Millions of parameters, and tensors, of the networks of the reference implementation; 140 and 104 with the three
# running averages of each of its 23 or 17 batch norms.
@pytest.mark.parametrize(
    ("blocks", "norm", "millions", "tensors"),
    [(9, "instance", 11.378, 48), (6, "instance", 7.838, 36), (9, "batch", 11.383, 140), (6, "batch", 7.841, 104)],
)
def test_the_resnet_has_the_published_number_of_parameters(blocks, norm, millions, tensors):
    with torch.device("meta"):
        network = ResNet(3, 3, blocks=blocks, norm=norm)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3) == millions
    assert len(network.state_dict()) == tensors


def test_its_layers_are_the_published_ones():
    with torch.device("meta"):
        network = ResNet(3, 3, blocks=6)
    shapes = [tuple(value.shape) for name, value in network.state_dict().items() if name.endswith("weight")]
    down = [(64, 3, 7, 7), (128, 64, 3, 3), (256, 128, 3, 3)]
    up = [(256, 128, 3, 3), (128, 64, 3, 3), (3, 64, 7, 7)]  # transposed convolutions: in, out
    assert shapes == [*down, *[(256, 256, 3, 3)] * 12, *up]
    strides = [m.stride[0] for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert strides == [1, 2, 2, *[1] * 12, 2, 2, 1]
    norms = [m for m in network.modules() if isinstance(m, nn.InstanceNorm2d)]
    assert len(norms) == 3 + 12 + 2
    assert not any(norm.affine or norm.track_running_stats for norm in norms)
    assert not any(isinstance(m, nn.Dropout) for m in network.modules())


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 3), (4, 2)])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 32), (20, 16)])
def test_the_resnet_keeps_the_size_and_changes_the_channels(channels_in, channels_out, height, width):
    network = ResNet(channels_in, channels_out, blocks=2, filters=4)
    made = network(torch.randn(2, channels_in, height, width))
    assert made.shape == (2, channels_out, height, width)
    assert made.abs().max() <= 1


def test_a_block_adds_to_what_it_is_given_with_reflected_borders():
    torch.manual_seed(0)
    block = ResidualBlock(3, "none").double()
    features = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    first, second = (layer for layer in block.net if isinstance(layer, nn.Conv2d))

    def convolved(layer, values):
        return F.conv2d(F.pad(values, (1, 1, 1, 1), mode="reflect"), layer.weight, layer.bias)

    expected = features + convolved(second, convolved(first, features).clamp(min=0))
    torch.testing.assert_close(block(features), expected)


def test_a_constant_image_has_no_border_before_it_is_halved():
    """Reflection shows no edge where there is none, which zeros would."""
    torch.manual_seed(0)
    network = ResNet(1, 1, blocks=1, filters=4, norm="none")
    features = network.net[:2](torch.full((1, 1, 16, 16), 0.7))
    torch.testing.assert_close(features, features[:, :, :1, :1].expand_as(features))


def test_without_normalisation_blocks_begin_as_identity():
    torch.manual_seed(0)
    network = ResNet(3, 3, blocks=9, filters=8, norm="none")
    he_(network)
    begin_as_identity_(network)
    ends = [layer for layer in network.net if not isinstance(layer, ResidualBlock)]
    image = torch.randn(1, 3, 16, 16)
    assert torch.equal(network(image), nn.Sequential(*ends, nn.Tanh())(image))
    # And yet they learn: the gradient reaches the zeroed weights.
    network(image).square().mean().backward()
    block = next(layer for layer in network.net if isinstance(layer, ResidualBlock))
    assert block.net[-1].weight.grad.abs().max() > 0


def test_with_a_skip_the_image_is_added_before_the_tanh():
    torch.manual_seed(0)
    network = ResNet(3, 3, blocks=1, filters=4, skip=True).double()
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64) * 2 - 1
    expected = torch.tanh(network.net(image) + torch.atanh(0.98 * image))
    torch.testing.assert_close(network(image), expected)
    noisy = torch.tensor([-1.1, 1.1], dtype=torch.float64).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    assert torch.isfinite(network(noisy)).all()  # where translation noise leads out of the range
    begin_as_identity_(network)
    nn.init.zeros_(network.net[-1].bias)
    torch.testing.assert_close(network(image), 0.98 * image)


@pytest.mark.parametrize(("upsampling", "even"), [("nearest", True), ("bilinear", True), ("transposed", False)])
def test_repeated_pixels_leave_no_checkerboard(upsampling, even):
    torch.manual_seed(0)
    network = ResNet(3, 3, blocks=0, filters=8, norm="none", upsampling=upsampling).double()
    he_(network)
    made = network(torch.full((1, 3, 48, 48), 0.3, dtype=torch.float64))
    middle = made[:, :, 20:28, 20:28]  # the borders differ: padding
    assert (middle.std((2, 3)).max() < 1e-12) == even


def test_antialiased_it_has_the_same_weights_and_halves_by_a_blur():
    """The network of CUT: stride 1 everywhere, and nothing more to learn."""
    with torch.device("meta"):
        network = ResNet(3, 3, blocks=9, downsampling="blurred", upsampling="bilinear")
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 3) == 11.378
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.stride for layer in convolutions] == [(1, 1)] * len(convolutions)
    assert not any(isinstance(layer, nn.ConvTranspose2d) for layer in network.modules())
    kinds = [type(layer).__name__ for layer in network.net]
    halvings = [place for place, kind in enumerate(kinds) if kind == "BlurredHalving"]
    assert [kinds[place - 3 : place] for place in halvings] == [["Conv2d", "InstanceNorm2d", "ReLU"]] * 2
    for place, kind in enumerate(kinds):
        if kind == "Upsample":
            assert kinds[place + 1] == "Conv2d"


def test_bilinear_is_the_published_antialiased_doubling():
    """Zeros between the pixels, then a blur by (1, 3, 3, 1) / 4 along both sides, on repeated borders."""
    image = torch.randn(2, 3, 6, 10, dtype=torch.float64)
    wider = F.pad(image, (1, 1, 1, 1), mode="replicate")
    apart = torch.zeros(2, 3, 16, 24, dtype=torch.float64)
    apart[:, :, ::2, ::2] = wider
    filter_ = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 4
    kernel = torch.outer(filter_, filter_).expand(3, 1, 4, 4)
    expected = F.conv2d(apart, kernel, groups=3)[:, :, :12, :20]
    network = ResNet(3, 3, blocks=0, filters=4, upsampling="bilinear").double()
    twice = next(layer for layer in network.net if isinstance(layer, nn.Upsample))
    torch.testing.assert_close(twice(image), expected)


@pytest.mark.parametrize("downsampling", ["strided", "blurred"])
def test_the_features_are_those_on_the_way_to_what_is_made(downsampling):
    torch.manual_seed(0)
    network = ResNet(3, 3, blocks=3, filters=4, downsampling=downsampling, skip=True).double()
    image = torch.rand(2, 3, 16, 24, dtype=torch.float64) * 2 - 1
    names = ["block3", "image", "down2", "block1", "down1"]
    found = network.features(image, names)
    assert list(found) == names
    assert found["image"] is image
    halves = {"strided": [(8, 12), (4, 6)], "blurred": [(16, 24), (8, 12)]}[downsampling]
    assert [found[name].shape for name in ("down1", "down2")] == [(2, 8, *halves[0]), (2, 16, *halves[1])]
    # Each goes on to the next: by the layers between them.
    layers = list(network.net)
    first, second = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)][1:3]
    blocks = [place for place, layer in enumerate(layers) if isinstance(layer, ResidualBlock)]
    stations = [("image", 0), ("down1", first + 1), ("down2", second + 1), ("block1", blocks[0] + 1)]
    stations.append(("block3", blocks[2] + 1))
    for (name, start), (following, end) in pairwise(stations):
        torch.testing.assert_close(nn.Sequential(*layers[start:end])(found[name]), found[following])
    tail = nn.Sequential(*layers[blocks[2] + 1 :])(found["block3"])
    torch.testing.assert_close(torch.tanh(tail + torch.atanh(0.98 * image)), network(image))


def test_features_run_no_further_than_asked():
    network = ResNet(3, 3, blocks=2, filters=4)
    ran = []
    for place, layer in enumerate(network.net):
        layer.register_forward_hook(lambda *_, place=place: ran.append(place))
    network.features(torch.zeros(1, 3, 8, 8), ["image"])
    assert not ran
    network.features(torch.zeros(1, 3, 8, 8), ["down1"])
    assert isinstance(network.net[ran[-1]], nn.Conv2d)
    assert network.net[ran[-1]].out_channels == 8
    with pytest.raises(KeyError, match="block3"):
        network.features(torch.zeros(1, 3, 8, 8), ["block3"])
