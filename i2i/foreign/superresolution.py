"""The super-resolution generators of BasicSR, and of ESRGAN before it: MSRResNet and RRDBNet, under all their names.

They take and give RGB in [0, 1], as the networks of `i2i.nn` do inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from torch import Tensor

from i2i.foreign import settings
from i2i.foreign.layout import Asked, Convert, Layout, Slot, Tensors

_PROJECT: Final = "BasicSR"
_PLUGIN: Final = "srgan"
_COLOUR: Final = 3
_FILTERS: Final = 64
_GROWTH: Final = 32
MOST_BLOCKS: Final = 128  # for nothing else says how many there may be
MOST_DOUBLINGS: Final = 3  # of an image, unshuffled or not: it becomes 8 times as large
_UNSHUFFLED: Final = {4: 2, 16: 4}  # channels that the first convolution sees for one of the image, and by what factor


@dataclass(frozen=True)
class _Names:
    """What the convolutions are called; braces stand for numbers, in `up` for each `every`th. ups: how many enlarge."""

    block: str
    trunk: str = "conv_body"
    first: str = "conv_first"
    up: str = "upconv{}"
    every: int = 1
    ups: int = 0
    before_last: str = "conv_hr"
    last: str = "conv_last"

    @property
    def enlarging(self) -> list[str]:
        """The convolutions that enlarge, in their order."""
        return [self.up.format(self.every * number) for number in range(1, self.ups + 1)]


_MSRRESNET: Final = _Names("body.{}.conv{}")
_MMSR: Final = replace(_MSRRESNET, block="recon_trunk.{}.conv{}", before_last="HRconv")
_RRDBNET: Final = _Names("body.{}.rdb{}.conv{}", up="conv_up{}")
_ESRGAN: Final = _Names("RRDB_trunk.{}.RDB{}.conv{}", trunk="trunk_conv", before_last="HRconv")
_OLDEST: Final = _Names(  # places in sequences, which count all layers
    "model.1.sub.{}.RDB{}.conv{}.0", first="model.0", up="model.{}", every=3
)
_ENDS: Final = ("conv_first.", "body.", "conv_hr.", "HRconv.", "conv_last.")  # which both networks have


def msrresnet(tensors: Tensors, asked: Asked) -> Layout | None:
    """MSRResNet for a scale of 2, 3 or 4, of any width and depth; its names in BasicSR, and those before 2020."""
    if not _any(tensors, *_ENDS, "recon_trunk.", "upconv"):
        return None
    names = _MMSR if _any(tensors, "recon_trunk.") else _MSRRESNET
    twice = _any(tensors, "upconv2.")
    names = replace(names, ups=2 if twice else 1)
    filters = _made(tensors, names.first, names.block.format(0, 1), names.before_last) or _FILTERS
    channels = _made(tensors, names.last) or _COLOUR
    blocks = _blocks(tensors, names, default=16)
    times = 3 if not twice and _made(tensors, "upconv1") == 9 * filters else 2
    slots = _convolution(names.first, "head", filters, channels)
    for block in range(blocks):
        for number in (0, 1):
            name = names.block.format(block, number + 1)
            slots |= _convolution(name, f"body.{block}.net.{2 * number}", filters, filters)
    for number, name in enumerate(names.enlarging):
        slots |= _convolution(name, f"up.{3 * number}", times**2 * filters, filters)
    slots |= _ending(names, filters, channels)
    scale = 4 if twice else times
    said = settings.superresolution(asked, "msrresnet", scale, channels, filters=filters, blocks=blocks)
    return Layout(f"MSRResNet x{scale}", _PROJECT, _PLUGIN, said, slots)


def rrdbnet(tensors: Tensors, asked: Asked) -> Layout | None:
    """RRDBNet for a scale of 1, 2, 3, 4 or 8, of any width, depth and growth; its names in BasicSR, ESRGAN and before.

    Where the first convolution sees 4 or 16 channels for each that the last one makes, the image was pixel-unshuffled.
    """
    if not _any(tensors, *_ENDS, "conv_body.", "conv_up", "RRDB_trunk.", "trunk_conv.", "model.1.sub."):
        return None
    names, blocks = _rrdbnet_names(tensors)
    filters = _made(tensors, names.first, names.trunk, names.before_last) or _FILTERS
    growth = _made(tensors, names.block.format(0, 1, 1)) or _GROWTH
    channels = _made(tensors, names.last) or _COLOUR
    unshuffle = _UNSHUFFLED.get((_seen(tensors, names.first) or channels) // channels, 1)
    doublings, scale = enlarged(names.ups, unshuffle)
    names = replace(names, ups=doublings)
    slots = _convolution(names.first, "head", filters, channels * unshuffle**2, _after_unshuffle(unshuffle))
    for block in range(blocks):
        for part in range(3):
            for layer in range(5):
                name = names.block.format(block, part + 1, layer + 1)
                made = filters if layer == 4 else growth
                slots |= _convolution(name, f"body.{block}.net.{part}.layers.{layer}", made, filters + layer * growth)
    slots |= _convolution(names.trunk, f"body.{blocks}", filters, filters)
    for number, name in enumerate(names.enlarging):
        slots |= _convolution(name, f"up.{3 * number + 1}", filters, filters)
    slots |= _ending(names, filters, channels)
    alike = doublings == unshuffle == 1
    scale = 3 if alike and asked.scale == 3 else scale
    dense = {"growth": growth, "unshuffle": unshuffle}
    said = settings.superresolution(asked, "rrdbnet", scale, channels, filters=filters, blocks=blocks, dense=dense)
    name = f"RRDBNet x{scale}" + (f", pixel-unshuffle {unshuffle}" if unshuffle > 1 else "")
    notes = (f"for scales of 2 and 3 its tensors are the same: taken as {scale}",) if alike else ()
    return Layout(name, _PROJECT, _PLUGIN, said, slots, notes=notes)


def _rrdbnet_names(tensors: Tensors) -> tuple[_Names, int]:
    """Whose names they are, and how many blocks there are."""
    if _any(tensors, "model.1.sub."):
        blocks = _blocks(tensors, _OLDEST, default=23)
        last = _highest(tensors, r"model\.(\d{1,9})\.") or 0
        ups = max(0, (last - 4) // 3)
        names = replace(
            _OLDEST,
            trunk=f"model.1.sub.{blocks}",
            ups=ups,
            before_last=f"model.{3 * ups + 2}",
            last=f"model.{3 * ups + 4}",
        )
        return names, blocks
    names = _ESRGAN if _any(tensors, "RRDB_trunk.", "trunk_conv.") else _RRDBNET
    found = _highest(tensors, names.up.format(r"(\d{1,9})\."))
    return replace(names, ups=2 if found is None else found), _blocks(tensors, names, default=23)


def enlarged(found: int, unshuffle: int) -> tuple[int, int]:
    """How often an RRDBNet doubles, and its scale, where a file has `found` convolutions for that.

    At least as often as its image was halved before, and no more than `MOST_DOUBLINGS` times beyond: what a file lacks
    or has too many of is then found missing or unexpected.
    """
    least = unshuffle.bit_length() - 1
    doublings = min(max(found, least), least + MOST_DOUBLINGS)
    return doublings, 2 ** (doublings - least)


def _ending(names: _Names, filters: int, channels: int) -> dict[str, Slot]:
    return _convolution(names.before_last, "tail.0", filters, filters) | _convolution(
        names.last, "tail.2", channels, filters
    )


def _convolution(name: str, own: str, made: int, seen: int, convert: Convert | None = None) -> dict[str, Slot]:
    """The slots of a 3x3 convolution."""
    return {
        f"{name}.weight": Slot(f"{own}.weight", (made, seen, 3, 3), convert=convert),
        f"{name}.bias": Slot(f"{own}.bias", (made,)),
    }


def _after_unshuffle(factor: int) -> Convert | None:
    """From a 3x3 convolution of pixel-unshuffled images to one of the images, of a stride of `factor`."""
    if factor == 1:
        return None

    def convert(weight: Tensor) -> Tensor:
        made, seen, *kernel = weight.shape
        # Channel c * factor^2 + y * factor + x is the image's channel c at (y, x) in each square of pixels.
        apart = weight.reshape(made, seen // factor**2, factor, factor, *kernel).permute(0, 1, 4, 2, 5, 3)
        return apart.reshape(made, seen // factor**2, *(factor * side for side in kernel))

    return convert


def _any(tensors: Tensors, *beginnings: str) -> bool:
    return any(name.startswith(beginnings) for name in tensors)


def _highest(tensors: Tensors, pattern: str) -> int | None:
    """The highest number that the group of `pattern` finds; a file of few tensors has none that is higher."""
    found = (re.match(pattern, name) for name in tensors)
    return max((number for each in found if each and (number := int(each[1])) <= len(tensors)), default=None)


def _blocks(tensors: Tensors, names: _Names, *, default: int) -> int:
    before, within, *_ = map(re.escape, names.block.split("{}"))
    highest = _highest(tensors, rf"{before}(\d{{1,9}}){within}")
    return default if highest is None else min(highest + 1, MOST_BLOCKS)


def _made(tensors: Tensors, *names: str) -> int | None:
    """How many channels a convolution makes, the first of these that is there."""
    return next((len(tensors[f"{name}.weight"]) for name in names if _kernel(tensors, name)), None)


def _seen(tensors: Tensors, name: str) -> int | None:
    """How many channels a convolution sees; None where it is not there."""
    return tensors[f"{name}.weight"].shape[1] if _kernel(tensors, name) else None


def _kernel(tensors: Tensors, name: str) -> bool:
    weight = tensors.get(f"{name}.weight")
    return weight is not None and weight.dim() == 4 and len(weight) > 0
