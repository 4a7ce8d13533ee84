"""The networks that noise-to-image plugins share, against the papers and against plain arithmetic."""

import pytest
import torch
from torch import nn

from i2i.nn.from_noise.conv import ConvDiscriminator, ConvGenerator
from i2i.nn.from_noise.mlp import Maxout, MLPDiscriminator, MLPGenerator


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_the_convolutional_networks_make_and_judge_their_size(size, channels):
    generator = ConvGenerator(7, channels, size=size, filters=2)
    made = generator(torch.randn(3, 7))
    assert made.shape == (3, channels, size, size)
    assert made.abs().max() <= 1
    assert ConvDiscriminator(channels, size=size, filters=2)(made, None).shape == (3, 1)


def test_the_generator_is_as_wide_as_in_figure_1():
    with torch.device("meta"):
        network = ConvGenerator(100, 3, size=64)
    widths = [part.out_channels for part in network.modules() if isinstance(part, nn.ConvTranspose2d)]
    assert widths == [1024, 512, 256, 128, 3]


# The networks of PyTorch's own DCGAN example: 64 filters at 64 pixels.
def test_at_64_pixels_the_networks_have_the_known_number_of_parameters():
    with torch.device("meta"):
        # The example has no biases; here the first and the last layers, which no norm follows, have.
        assert count(ConvGenerator(100, 3, size=64, filters=64)) == 3_576_704 + 3
        assert count(ConvDiscriminator(3, size=64, filters=64)) == 2_765_568 + 64 + 1


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_neither_the_first_nor_the_last_layer_of_the_discriminator_is_normalised(norm):
    network = ConvDiscriminator(3, size=64, filters=4, norm=norm)
    kinds = [type(part).__name__ for part in network.net]
    named = {"batch": "BatchNorm2d", "instance": "InstanceNorm2d"}[norm]
    assert [kinds[at + 1] == named for at, kind in enumerate(kinds[:-1]) if kind == "Conv2d"] == [False, *[True] * 3]
    assert kinds[-1] == "Conv2d"


def test_the_convolutional_discriminator_sees_the_condition_as_constant_planes():
    network = ConvDiscriminator(1, 3, size=32, filters=4, norm="none")
    image, condition = torch.randn(2, 1, 32, 32), torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, -2.0]])
    planes = torch.stack([torch.stack([torch.full((32, 32), value) for value in row]) for row in condition.tolist()])
    plain = ConvDiscriminator(4, size=32, filters=4, norm="none")
    plain.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(image, condition), plain(torch.cat([planes, image], 1), None))


def test_maxout_is_the_largest_of_its_linear_pieces():
    network = Maxout(5, 4, 3)
    features = torch.randn(6, 5)
    weights, biases = network.linear.weight.view(4, 3, 5), network.linear.bias.view(4, 3)
    pieces = [features @ weights[:, piece].T + biases[:, piece] for piece in range(3)]
    torch.testing.assert_close(network(features), torch.stack(pieces).amax(0))


def test_the_first_gan_has_the_published_layers():
    with torch.device("meta"):
        generator, discriminator = MLPGenerator(100, 0, 1, size=28), MLPDiscriminator(1, size=28)
    assert count(generator) == 101 * 1200 + 1201 * 1200 + 1201 * 784
    assert count(discriminator) == 785 * 240 * 5 + 241 * 240 * 5 + 241


def test_the_first_conditional_gan_has_the_published_layers():
    with torch.device("meta"):
        generator, discriminator = MLPGenerator(100, 10, 1, size=28), MLPDiscriminator(1, 10, size=28)
    assert count(generator) == 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert count(discriminator) == 785 * 240 * 5 + 11 * 50 * 5 + 291 * 240 * 4 + 241


@pytest.mark.parametrize("conditions", [0, 4])
def test_the_fully_connected_networks_take_any_size(conditions):
    condition = torch.eye(4)[:3] if conditions else None
    made = MLPGenerator(6, conditions, 3, size=10)(torch.randn(3, 6), condition)
    assert made.shape == (3, 3, 10, 10)
    assert made.abs().max() <= 1
    judge = MLPDiscriminator(3, conditions, size=10)
    assert judge(made, condition).shape == (3, 1)
    assert not torch.equal(judge(made, condition), judge(made, condition))  # dropout
    judge = MLPDiscriminator(3, conditions, size=10, dropout=0)
    torch.testing.assert_close(judge(made, condition), judge(made, condition), atol=0, rtol=0)
