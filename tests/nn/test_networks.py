"""The blocks that plugins share, against the published networks and against torch's own arithmetic."""

import pytest
import torch
from torch import nn

from i2i.nn.deploy import deployed
from i2i.nn.init import he_, normal_
from i2i.nn.norm import differentiate_rightly_
from i2i.nn.patchgan import PatchGAN
from i2i.nn.unet import UNet


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# Millions of parameters of the networks of the reference implementation.
@pytest.mark.parametrize(
    ("depth", "norm", "millions"),
    [(8, "batch", 54.414), (8, "instance", 54.410), (7, "batch", 41.829), (7, "instance", 41.826)],
)
def test_the_unet_has_the_published_number_of_parameters(depth, norm, millions):
    with torch.device("meta"):
        assert round(count(UNet(3, 3, depth=depth, norm=norm)) / 1e6, 3) == millions


@pytest.mark.parametrize(
    ("channels", "norm", "millions"), [(6, "batch", 2.769), (3, "batch", 2.766), (6, "instance", 2.768)]
)
def test_the_patchgan_has_the_published_number_of_parameters(channels, norm, millions):
    assert round(count(PatchGAN(channels, norm=norm)) / 1e6, 3) == millions


def test_a_logit_of_the_patchgan_sees_70_by_70_pixels():
    network = PatchGAN(3, filters=8, norm="none").double()
    image = torch.zeros(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    logits = network(image, None)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    rows, columns = image.grad[0].abs().sum(0).nonzero().T
    assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (70, 70)


def test_the_patchgan_sees_the_condition():
    network = PatchGAN(4, filters=8, norm="none")
    image, condition = torch.randn(1, 3, 32, 32), torch.randn(1, 1, 32, 32)
    assert not torch.equal(network(image, condition), network(image, -condition))


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 3), (4, 1), (3, 2), (6, 5)])
@pytest.mark.parametrize(("depth", "height", "width"), [(3, 8, 8), (4, 32, 48), (2, 4, 20)])
def test_the_unet_keeps_the_size_and_changes_the_channels(channels_in, channels_out, depth, height, width):
    network = UNet(channels_in, channels_out, depth=depth, filters=4)
    made = network(torch.randn(2, channels_in, height, width))
    assert made.shape == (2, channels_out, height, width)
    assert made.abs().max() <= 1


def test_dropout_is_in_the_blocks_after_the_innermost():
    network = UNet(3, 3, depth=6, filters=4, dropout_blocks=3)
    holding = [number for number, up in enumerate(network.ups) if any(isinstance(m, nn.Dropout) for m in up)]
    assert holding == [1, 2, 3]


def test_initial_weights_are_drawn_as_published():
    network = UNet(3, 3, depth=6, filters=32)
    normal_(network)
    convolution = network.downs[3][1].weight
    scale = network.downs[3][2].weight
    assert convolution.mean().item() == pytest.approx(0, abs=1e-3)
    assert convolution.std().item() == pytest.approx(0.02, rel=0.02)
    assert scale.mean().item() == pytest.approx(1, abs=0.01)
    assert scale.std().item() == pytest.approx(0.02, rel=0.2)
    assert not network.ups[-1][1].bias.any()


@pytest.mark.parametrize(("initialise", "keeps"), [(he_, True), (normal_, False)])
def test_without_normalisation_activations_need_weights_of_their_own(initialise, keeps):
    torch.manual_seed(0)
    network = UNet(3, 3, depth=6, filters=16, norm="none", dropout=0)
    initialise(network)
    scales = []
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.register_forward_hook(lambda module, given, made: scales.append(made.square().mean().sqrt().item()))
    network(torch.randn(8, 3, 64, 64))
    assert len(scales) == 12
    assert (min(scales) > 0.2 and max(scales) < 4) == keeps


@pytest.fixture
def trained():
    torch.manual_seed(0)
    network = UNet(3, 3, depth=5, filters=8, dropout=0.5)
    normal_(network, 0.2)
    for _ in range(3):  # moves the running averages away from where they start
        network(torch.randn(4, 3, 32, 32))
    return network


def without_dropout(network):
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def test_image_statistics_are_what_batch_norm_computes_of_one_image(trained):
    batch = torch.randn(3, 3, 64, 32)
    made = deployed(trained, "image")(batch)
    reference = without_dropout(trained).train()
    expected = torch.cat([reference(image[None]) for image in batch])
    torch.testing.assert_close(made, expected, atol=2e-6, rtol=0)


def test_running_statistics_are_those_of_evaluation_mode(trained):
    batch = torch.randn(2, 3, 32, 32)
    made = deployed(trained, "running")(batch)
    torch.testing.assert_close(made, trained.eval()(batch), atol=0, rtol=0)


@pytest.mark.parametrize("statistics", ["image", "running"])
def test_the_deployed_form_is_a_copy_that_repeats_itself(trained, statistics):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    network = deployed(trained, statistics)
    batch = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(batch), network(batch))
    assert trained.training
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert {name for name, _ in network.named_parameters()} == {name for name, _ in trained.named_parameters()}


@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_of_a_single_image_is_differentiated_as_that_of_two(affine):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=affine), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3)]
    network = nn.Sequential(*layers).double().to(memory_format=torch.channels_last)
    differentiate_rightly_(network)
    image = torch.randn(1, 3, 16, 16, dtype=torch.float64).contiguous(memory_format=torch.channels_last)

    def gradients(images):
        """Of a loss, and of a penalty on the slope, which is differentiated twice."""
        images = images.clone().requires_grad_()
        logits = network(images).flatten(1).mean(1)
        (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        loss = logits.square().mean() + slope.square().sum() / len(images)
        return torch.autograd.grad(loss, list(network.parameters()))

    for one, two in zip(gradients(image), gradients(torch.cat([image, image])), strict=True):
        torch.testing.assert_close(one, two)
