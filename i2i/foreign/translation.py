"""The generators of pytorch-CycleGAN-and-pix2pix, and CUT's after them, by the names and shapes of their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from i2i.foreign import settings
from i2i.foreign.layout import Asked, Convert, Layout, Slot, Tensors
from i2i.nn.limits import Norm
from i2i.nn.resnet import Downsampling, ResNet, Upsampling
from i2i.nn.unet import UNet

PROJECT: Final = "pytorch-CycleGAN-and-pix2pix"
CUT: Final = "contrastive-unpaired-translation"
SIZE: Final = 256  # pixels along the side of its images, where nothing else is said
_NESTED: Final = re.compile(r"model\.model\.1\.model\.((?:3\.model\.)*)")
_BLOCK: Final = re.compile(r"model\.(\d{1,9})\.conv_block\.")
_SHIFTED: Final = re.compile(r"model\.\d+\.conv_block\.6\.weight")
_HALVING: Final = (1.0, 2.0, 1.0)  # CUT's filters, which are the products of these along both sides
_DOUBLING: Final = (1.0, 3.0, 3.0, 1.0)


def unet(tensors: Tensors, asked: Asked) -> Layout | None:
    """A U-Net, unet_128 and unet_256 among others: as deep as its names are nested.

    The innermost names tell the depth, the first and the last convolution the channels and the width. With
    `asked.legacy_unet`, every convolution that takes a skip connection takes it last, not first.
    """
    if not any(name.startswith("model.model.") for name in tensors):
        return None
    nested = [found[1].count("3") for name in tensors if (found := _NESTED.match(name))]
    depth = min(2 + max(nested, default=0), settings.MOST_HALVINGS)
    levels = ["model.model.1.model." + "3.model." * number for number in range(depth - 1)]
    *middle, innermost = levels
    convolutions = [
        "model.model.0",
        *[f"{level}1" for level in levels],
        f"{innermost}3",
        *[f"{level}5" for level in reversed(middle)],
        "model.model.3",
    ]
    norms = [*[f"{level}2" for level in middle], f"{innermost}4", *[f"{level}6" for level in reversed(middle)]]
    norm, biased = _norm(tensors, norms, convolutions)
    filters, channels_in = sides(tensors, "model.model.0.weight", (64, 3))
    _, channels_out = sides(tensors, "model.model.3.weight", (2 * filters, 3))
    with torch.device("meta"):
        network = UNet(channels_in, channels_out, depth=depth, filters=filters, norm=norm)
    skipping = [*[f"{level}5" for level in middle], "model.model.3"]
    converts = dict.fromkeys(skipping, _halves_swapped) if asked.legacy_unet else {}
    slots, zeros = _slots(network, convolutions, norms, biased, converts)
    game = settings.unet(asked, depth=depth, filters=filters, norm=norm, dropout_blocks=max(0, depth - 5))
    least = 2**depth
    size = least if depth >= 7 else SIZE
    return Layout(
        name=f"unet_{least}",
        project=PROJECT,
        plugin="pix2pix",
        settings=settings.settings(asked, size, (channels_in, channels_out), game),
        slots=slots,
        zeros=zeros,
        notes=(
            *_notes(tensors, norm, asked, size),
            "whether it had dropout is not in the file: none is in the model, 0.5 is in a training that begins with it",
            "the skip connection comes last, as before 2017-09-22"
            if asked.legacy_unet
            else "the skip connection comes first, as since 2017-09-22; of an older one, say so: --legacy-unet",
        ),
    )


def resnet(tensors: Tensors, asked: Asked) -> Layout | None:
    """A residual network, resnet_6blocks and resnet_9blocks among others, with or without dropout in its blocks.

    It is a generator of cyclegan, or of pix2pix or cut where `asked.plugin` says so. That of CUT's own repository,
    arXiv:2007.15651, has filters beside its convolutions, blurs before it halves or interpolates as it doubles, and is
    a generator of cut.
    """
    first = tensors.get("model.1.weight")
    numbers = {int(found[1]) for name in tensors if (found := _BLOCK.match(name))}
    if not numbers and (first is None or first.shape[2:] != (7, 7)):
        return None
    blurred = "model.7.filt" in tensors
    start = 12 if blurred else 10
    up = max((number + 1 for number in numbers if start <= number < start + len(tensors)), default=start)
    up = min(up, start + settings.MOST_BLOCKS)
    smooth = f"model.{up}.filt" in tensors
    dropout = any(_SHIFTED.fullmatch(name) and tensor.ndim == 4 for name, tensor in tensors.items())
    second = 6 if dropout else 5
    before = ["model.1", "model.4", "model.8" if blurred else "model.7"]
    within = [f"model.{number}.conv_block.{place}" for number in range(start, up) for place in (1, second)]
    after = [f"model.{up + 1}", f"model.{up + 5}"] if smooth else [f"model.{up}", f"model.{up + 3}"]
    last = f"model.{up + 9 if smooth else up + 7}"
    convolutions = [*before, *within, *after, last]
    norms = [f"{stem}.{int(place) + 1}" for stem, _, place in (name.rpartition(".") for name in convolutions[:-1])]
    norm, biased = _norm(tensors, norms, convolutions)
    filters, channels_in = sides(tensors, "model.1.weight", (64, 3))
    channels_out, _ = sides(tensors, f"{last}.weight", (3, filters))
    blocks = up - start
    downsampling: Downsampling = "blurred" if blurred else "strided"
    upsampling: Upsampling = "bilinear" if smooth else "transposed"
    with torch.device("meta"):
        network = ResNet(
            channels_in,
            channels_out,
            blocks=blocks,
            filters=filters,
            norm=norm,
            downsampling=downsampling,
            upsampling=upsampling,
        )
    slots, zeros = _slots(network, convolutions, norms, biased, {})
    if blurred:
        slots |= {f"model.{place}.filt": _filter(_HALVING, 1, width * filters) for place, width in ((7, 2), (11, 4))}
    if smooth:
        slots |= {
            f"model.{place}.filt": _filter(_DOUBLING, 4, width * filters) for place, width in ((up, 4), (up + 4, 2))
        }
    plugin = "cut" if blurred or smooth else asked.plugin if asked.plugin in ("pix2pix", "cut") else "cyclegan"
    channels = channels_in, channels_out
    game = settings.resnet(
        asked,
        plugin,
        channels,
        blocks=blocks,
        filters=filters,
        norm=norm,
        downsampling=downsampling,
        upsampling=upsampling,
    )
    return Layout(
        name=f"resnet_{blocks}blocks",
        project=CUT if blurred or smooth else PROJECT,
        plugin=plugin,
        settings=settings.settings(asked, SIZE, channels, game),
        slots=slots,
        zeros=zeros,
        notes=(*_notes(tensors, norm, asked, SIZE), *(["the dropout of its blocks is left out"] if dropout else [])),
    )


def _norm(tensors: Tensors, norms: Sequence[str], convolutions: Sequence[str]) -> tuple[Norm, bool]:
    """What normalises, and whether convolutions have a bias; the last one always has, and says nothing.

    There, only those before an instance norm have one. A scale beside averages and biases is taken as an instance norm
    of a time when it kept averages, or of others.
    """
    scaled = any(f"{name}.weight" in tensors for name in norms)
    averaged = any(f"{name}.running_mean" in tensors for name in norms)
    biased = any(f"{name}.bias" in tensors for name in convolutions[:-1])
    if scaled:
        return "batch" if averaged and not biased else "affine", biased
    return "instance" if averaged or biased else "none", biased


def sides(tensors: Tensors, name: str, otherwise: tuple[int, int]) -> tuple[int, int]:
    """The first two numbers of a kernel's shape: channels out and in, or in and out where it is transposed."""
    found = tensors.get(name)
    return (found.shape[0], found.shape[1]) if found is not None and found.ndim == 4 and found.numel() else otherwise


def _slots(
    network: nn.Module,
    convolutions: Sequence[str],
    norms: Sequence[str],
    biased: bool,
    converts: Mapping[str, Convert],
) -> tuple[dict[str, Slot], dict[str, tuple[int, ...]]]:
    """Slots for `network`, whose layers run in this order and are called so in the file, and what is zero in it.

    Ours have a bias in every convolution but before batch norm. The averages that an instance norm once kept, and never
    used, are left out.
    """
    layers = list(network.named_modules())
    slots: dict[str, Slot] = {}
    zeros: dict[str, tuple[int, ...]] = {}
    own = [(name, layer) for name, layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    for number, (theirs, (ours, layer)) in enumerate(zip(convolutions, own, strict=True), 1):
        slots[f"{theirs}.weight"] = Slot(f"{ours}.weight", tuple(layer.weight.shape), convert=converts.get(theirs))
        if layer.bias is not None and (biased or number == len(own)):
            slots[f"{theirs}.bias"] = Slot(f"{ours}.bias", tuple(layer.bias.shape))
        elif layer.bias is not None:
            zeros[f"{ours}.bias"] = tuple(layer.bias.shape)
    normalising = [(name, layer) for name, layer in layers if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d)]
    if not normalising:
        return slots, zeros
    for theirs, (ours, norm) in zip(norms, normalising, strict=True):
        kept = isinstance(norm, nn.BatchNorm2d)
        each = (norm.num_features,)
        if norm.affine:
            slots |= {f"{theirs}.{part}": Slot(f"{ours}.{part}", each) for part in ("weight", "bias")}
        for part, shape in (("running_mean", each), ("running_var", each), ("num_batches_tracked", ())):
            needed = kept and part != "num_batches_tracked"  # which torch before 0.4.1 did not count
            slots[f"{theirs}.{part}"] = Slot(f"{ours}.{part}" if kept else None, shape, required=needed)
        if kept:
            zeros[f"{ours}.num_batches_tracked"] = ()
    return slots, zeros


def _halves_swapped(weight: Tensor) -> Tensor:
    """Of a transposed convolution `[in, out, kH, kW]`, the two halves of what goes in."""
    first, second = weight.chunk(2)
    return torch.cat([second, first])


def _filter(taps: tuple[float, ...], gain: int, channels: int) -> Slot:
    """The filter before or after a halving: ours have it without a tensor, and no other."""
    line = torch.tensor(taps) / sum(taps)
    side = len(taps)
    return Slot(None, (channels, 1, side, side), required=False, fixed=gain * torch.outer(line, line))


def _notes(tensors: Tensors, norm: Norm, asked: Asked, size: int) -> list[str]:
    notes = []
    averaged = any(name.endswith(".running_mean") for name in tensors)
    if norm == "affine" and averaged:
        notes.append(
            "assumed: with a scale, averages and biases before it, its norm is taken as instance norm, and the running "
            "averages beside it are left out"
        )
    elif norm == "instance" and averaged:
        notes.append("the running averages beside its instance norm are left out, as that project has them unused")
    if norm == "batch" and asked.statistics is None:
        notes.append("batch norm takes the statistics of each image, as test.py of that project does without --eval")
    if norm == "none":
        notes.append("assumed: no norm, for nothing of one is in the file")
    if asked.size is None:
        notes.append(f"assumed: it was trained on images of {size} pixels")
    return notes
