"""What is said of weights that are of no network of ours, and which architecture they are nearest to."""

import re
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import torch

from i2i.errors import CheckpointError
from i2i.foreign.layout import Asked
from i2i.foreign.matching import recognise
from i2i.nn.patchgan import PatchGAN
from i2i.nn.resnet import ResNet
from i2i.nn.rrdbnet import RRDBNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet
from i2i.nn.vggstyle import VGGStyle

NOTHING = Asked()
FILE = Path("some.pth")


def refused(tensors, asked=NOTHING):
    with pytest.raises(CheckpointError) as caught:
        recognise(tensors, asked, FILE)
    assert str(caught.value).startswith("some.pth: ")
    assert caught.value.hint
    return caught.value.message


def convolution(name, out, seen, side, bias=True):
    made = {f"{name}.weight": torch.zeros(out, seen, side, side)}
    return made | ({f"{name}.bias": torch.zeros(out)} if bias else {})


BASICSR = {
    name: tensor
    for layer in ("conv_first", "body.0.conv1", "body.0.conv2", "upconv1", "conv_hr", "conv_last")
    for name, tensor in convolution(
        layer, {"upconv1": 16, "conv_last": 3}.get(layer, 4), 3 if layer == "conv_first" else 4, 3
    ).items()
}


def patchgan(*, channels, layers, norm="batch", within="model", filters=4):
    """A discriminator of pytorch-CycleGAN-and-pix2pix: norms in between, biases at both ends or for instance norm."""
    made = convolution(f"{within}.0", filters, channels, 4)
    width, place = filters, 2
    for layer in range(1, layers + 1):
        wider = filters * min(2**layer, 8)
        made |= convolution(f"{within}.{place}", wider, width, 4, bias=norm == "instance")
        if norm == "batch":
            made |= {f"{within}.{place + 1}.{part}": torch.zeros(wider) for part in ("weight", "bias", "running_mean")}
        width, place = wider, place + 3
    return made | convolution(f"{within}.{place}", 1, width, 4)


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize(("layers", "named"), [(3, "basic"), (5, "n_layers")])
def test_a_patchgan_is_called_one(norm, channels, layers, named):
    message = refused(patchgan(channels=channels, layers=layers, norm=norm))
    assert f"a discriminator, which makes no images: {named} of pytorch-CycleGAN-and-pix2pix" in message
    assert f"with {layers} layers, of {channels} channels" in message
    assert ("together" in message) == (channels == 6)


def test_kernels_of_four_that_make_a_picture_are_no_discriminator():
    tensors = convolution("model.0", 4, 3, 4) | convolution("model.2", 3, 4, 4)
    assert "discriminator" not in refused(tensors)


def test_a_discriminator_of_pixels_is_called_one():
    tensors = convolution("net.0", 8, 6, 1) | convolution("net.2", 16, 8, 1, bias=False)
    tensors |= {"net.3.weight": torch.zeros(16)} | convolution("net.5", 1, 16, 1, bias=False)
    assert "a discriminator, which makes no images: pixel of pytorch-CycleGAN-and-pix2pix" in refused(tensors)


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        (
            convolution("conv0_0", 8, 3, 3)
            | convolution("conv0_1", 8, 8, 4, bias=False)
            | {
                "bn0_1.weight": torch.zeros(8),
                "linear1.weight": torch.zeros(4, 8),
                "linear2.weight": torch.zeros(1, 4),
            },
            "VGGStyleDiscriminator of BasicSR",
        ),
        (
            convolution("conv0", 8, 3, 3)
            | {"conv1.weight_orig": torch.zeros(16, 8, 4, 4), "conv1.weight_u": torch.zeros(16)}
            | convolution("conv9", 1, 8, 3),
            "UNetDiscriminatorSN of BasicSR",
        ),
        (
            convolution("features.0", 8, 3, 3)
            | {"classifier.0.weight": torch.zeros(4, 8), "classifier.2.weight": torch.zeros(1, 4)},
            "SRGAN or ESRGAN",
        ),
    ],
    ids=["VGG", "UNet", "SRGAN"],
)
def test_discriminators_of_super_resolution_are_called_by_their_name(tensors, named):
    message = refused(tensors)
    assert "a discriminator" in message
    assert named in message


@pytest.mark.parametrize("name", ["pix2pix", "srgan"])
def test_our_own_discriminators_are_called_that(name):
    network = PatchGAN(6, filters=4) if name == "pix2pix" else VGGStyle(3, size=16, filters=4, dense=8)
    message = refused(network.state_dict())
    assert f"a discriminator, which makes no images: i2i's {type(network).__name__}" in message


@pytest.mark.parametrize("kind", ["unet", "resnet"])
def test_what_is_missing_unexpected_or_of_another_shape_is_named_and_the_nearest_architecture(reference, kind):
    tensors = reference.unet("batch", depth=6) if kind == "unet" else reference.resnet("batch", blocks=4)
    names = [name for name in tensors if name.endswith(".running_var")]
    for name in names[:5]:
        del tensors[name]
    tensors["extra.weight"] = torch.zeros(2)
    norm = next(name for name in tensors if name.endswith(".running_mean"))
    tensors[norm] = torch.zeros(99)
    message = refused(tensors)
    architecture = {"unet": "unet_64", "resnet": "resnet_4blocks"}[kind]
    assert f"nearest to {architecture} of pytorch-CycleGAN-and-pix2pix, but different:" in message
    assert f"5 missing: {', '.join(names[:3])}, ..." in message
    assert "1 unexpected: extra.weight" in message
    assert f"1 of another shape: {norm} [99], not [" in message


def test_of_two_architectures_the_nearer_one_is_named(reference):
    mixed = reference.resnet("instance", blocks=4) | reference.unet("instance", depth=2)
    assert "nearest to resnet_4blocks" in refused(mixed)


@pytest.mark.parametrize("first", ["model.model.0.weight", "model.1.weight"])
def test_a_lost_first_convolution_is_a_tensor_that_is_missing(reference, first):
    tensors = reference.unet("instance", depth=5, filters=64) | {}
    if first == "model.1.weight":
        tensors = reference.resnet("instance", blocks=6, filters=64) | {}
    del tensors[first]
    message = refused(tensors)
    assert message.splitlines()[1:] == [f"  1 missing: {first}"]


def test_a_block_number_beyond_all_measure_takes_no_time(reference):
    tensors = reference.resnet("instance", blocks=2)
    tensors["model.99999.conv_block.1.weight"] = torch.zeros(1)
    assert "unexpected: model.99999.conv_block.1.weight" in refused(tensors)


def test_nesting_beyond_all_measure_takes_no_time(reference):
    tensors = reference.unet("instance", depth=5)
    tensors["model.model.1.model." + "3.model." * 5000 + "1.weight"] = torch.zeros(1)
    assert "nearest to unet_" in refused(tensors)


def test_what_is_like_nothing_known_is_told_with_its_first_tensors_and_what_is_known():
    tensors = {f"transformer.{number}.attention.weight": torch.zeros(4, 4) for number in range(12)}
    with pytest.raises(CheckpointError) as caught:
        recognise(tensors, NOTHING, FILE)
    message = str(caught.value)
    assert "like no architecture that is known here" in message
    assert "of its 12 tensors the first: transformer.0.attention.weight [4, 4], transformer.1" in message
    for known in ("unet_256", "resnet_9blocks", "MSRResNet", "RRDBNet", "i2i"):
        assert known in caught.value.hint


def test_a_resnet_has_no_legacy_unet(reference):
    tensors = reference.resnet("instance", blocks=2)
    assert "resnet_2blocks is no U-Net" in refused(tensors, Asked(legacy_unet=True))


def test_nor_have_our_own():
    tensors = UNet(3, 3, depth=3, filters=2).state_dict()
    assert "UNet is i2i's own, which has no older form" in refused(tensors, Asked(legacy_unet=True))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_weights_of_whole_numbers_are_none(dtype):
    tensors = BASICSR | {"body.0.conv1.weight": BASICSR["body.0.conv1.weight"].to(dtype)}
    message = refused(tensors)
    assert f"body.0.conv1.weight holds values of {str(dtype).removeprefix('torch.')}, which are no weights" in message


@pytest.mark.parametrize("kind", ["instance", "none", "MSRResNet", "SRResNet"])
@pytest.mark.parametrize("statistics", ["image", "running"])
def test_statistics_that_nothing_has_a_use_for_are_told_once(reference, kind, statistics):
    if kind == "SRResNet":
        tensors = SRResNet(3, 3, scale=2, filters=8, blocks=1).state_dict()
    else:
        tensors = BASICSR if kind == "MSRResNet" else reference.resnet(kind, blocks=1)
    notes = recognise(tensors, Asked(statistics=statistics), FILE).layout.notes
    why = "srgan has no choice of them" if kind == "SRResNet" else "it has no batch norm"
    assert [note for note in notes if "meaning" in note] == [f"statistics {statistics} has no meaning: {why}"]


@pytest.mark.parametrize(
    "name",
    [
        "net.{}.net.0.weight",
        "downs.{}.0.weight",
        "body.{}.net.0.weight",
        "model.{}.conv_block.1.weight",
        "body.{}.rdb1.conv1.weight",
    ],
)
def test_no_more_layers_are_built_than_networks_have(name):
    message = refused({name.format(number): torch.zeros(1) for number in range(3000)})
    assert int(re.findall(r"(\d+) unexpected", message)[0]) > 2800


def broken(tensors, random):
    """The same with one to four tensors lost, renamed, of another shape or of another number of dimensions."""
    made = dict(tensors)
    for _ in range(random.randint(1, 4)):
        name = random.choice(list(made))
        tensor = made.pop(name)
        match random.randrange(4):
            case 1:
                made[name.replace(random.choice(name), random.choice("0123456789.abc"), 1)] = tensor
            case 2:
                made[name] = torch.zeros([random.choice([0, 1, side, side + 1]) for side in tensor.shape])
            case 3:
                made[name] = torch.zeros([random.randint(0, 3) for _ in range(random.randint(0, 5))])
    return made


def families(reference):
    yield reference.unet("batch", depth=4, filters=2)
    yield reference.resnet("instance", blocks=2, filters=2)
    yield UNet(3, 3, depth=3, filters=2).state_dict()
    yield ResNet(3, 3, blocks=2, filters=2).state_dict()
    yield SRResNet(3, 3, scale=2, filters=8, blocks=1).state_dict()
    yield RRDBNet(3, 3, scale=1, filters=2, blocks=1, growth=2, unshuffle=4).state_dict()


def test_whatever_is_broken_is_a_mistake_and_no_accident(reference):
    random = Random(0)
    for tensors in families(reference):
        recognise(tensors, NOTHING, FILE)
        for _ in range(15):
            with suppress(CheckpointError):
                recognise(broken(tensors, random), NOTHING, FILE)
