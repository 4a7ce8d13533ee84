"""The generators of `i2i.nn`, by the names and shapes of their tensors: state dicts that say nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final, get_args

import torch
from torch import nn

from i2i.foreign import settings
from i2i.foreign.layout import Asked, Layout, Slot, Tensors
from i2i.foreign.superresolution import MOST_BLOCKS, MOST_DOUBLINGS, enlarged
from i2i.foreign.translation import SIZE, sides
from i2i.nn.limits import Norm
from i2i.nn.msrresnet import MSRResNet
from i2i.nn.resnet import Downsampling, ResNet, Upsampling
from i2i.nn.rrdbnet import RRDBNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet

PROJECT: Final = "i2i"
STATISTICS: Final = ("running_mean", "running_var", "num_batches_tracked")
"""The last part of the names of what batch norm keeps."""
_DROPOUT_BLOCKS: Final = 3
_NORMS: Final[tuple[Norm, ...]] = get_args(Norm)
# Of two ways to enlarge that have the same tensors, the published one; by it, the plugin that has it.
_RESNETS: Final[Mapping[tuple[Downsampling, Upsampling], str]] = {
    ("strided", "transposed"): "cyclegan",
    ("strided", "nearest"): "cyclegan",
    ("blurred", "bilinear"): "cut",
    ("blurred", "transposed"): "cut",
}


def unet(tensors: Tensors, asked: Asked) -> Layout | None:
    """The U-Net of pix2pix."""
    depth = min(_count(tensors, r"downs\.(\d+)\."), settings.MOST_HALVINGS)
    if depth < 2:
        return None
    filters, channels_in = sides(tensors, "downs.0.0.weight", (64, 3))
    _, channels_out = sides(tensors, f"ups.{depth - 1}.1.weight", (2 * filters, 3))
    layouts = []
    for norm in _NORMS:
        with torch.device("meta"):
            network = UNet(channels_in, channels_out, depth=depth, filters=filters, norm=norm)
        game = settings.unet(asked, depth=depth, filters=filters, norm=norm, dropout_blocks=_DROPOUT_BLOCKS)
        said = settings.settings(asked, max(SIZE, 2**depth), (channels_in, channels_out), game)
        notes = ["assumed: instance norm; without any norm, its tensors are the same"]
        layouts.append(
            layout_of(
                network,
                PROJECT,
                "pix2pix",
                said,
                notes if norm == "instance" else (),
                averages=asked.statistics == "running",
            )
        )
    return _nearest(layouts, tensors)


def resnet(tensors: Tensors, asked: Asked) -> Layout | None:
    """The residual network of cyclegan and cut, or that of pix2pix where `asked.plugin` says so."""
    first = tensors.get("net.1.weight")
    blocks = min(_count(tensors, r"net\.(\d+)\.net\."), settings.MOST_BLOCKS)
    if not blocks and (first is None or first.shape[2:] != (7, 7)):
        return None
    filters, channels_in = sides(tensors, "net.1.weight", (64, 3))
    last = max((int(found[1]) for name in tensors if (found := re.fullmatch(r"net\.(\d{1,9})\.bias", name))), default=0)
    channels_out, _ = sides(tensors, f"net.{last}.weight", (3, filters))
    channels = channels_in, channels_out
    layouts = []
    for (down, up), norm in product(_RESNETS, _NORMS):
        with torch.device("meta"):
            network = ResNet(
                *channels, blocks=blocks, filters=filters, norm=norm, downsampling=down, upsampling=up, skip=False
            )
        plugin = "cut" if asked.plugin == "cut" else _RESNETS[down, up]
        if asked.plugin == "pix2pix" and (down, up) == ("strided", "transposed"):
            plugin = "pix2pix"
        game = settings.resnet(
            asked, plugin, channels, blocks=blocks, filters=filters, norm=norm, downsampling=down, upsampling=up
        )
        notes = ["assumed: it does not add the image to what it makes (game.skip)"]
        if up != "transposed":
            notes.append(f"assumed: it doubles by {up} pixels, not in another way")
        said = settings.settings(asked, SIZE, channels, game)
        layouts.append(layout_of(network, PROJECT, plugin, said, notes, averages=asked.statistics == "running"))
    return _nearest(layouts, tensors)


def superresolution(tensors: Tensors, asked: Asked) -> Layout | None:
    """SRResNet, MSRResNet and RRDBNet, the networks of srgan."""
    blocks = min(_count(tensors, r"body\.(\d+)\.net\."), MOST_BLOCKS)
    if not blocks:
        return None
    head = "head.weight" if "head.weight" in tensors else "head.0.weight"
    filters, channels = sides(tensors, head, (64, 3))
    growth, _ = sides(tensors, "body.0.net.0.layers.0.weight", (0, filters))
    ups = [
        len(tensor) for name, tensor in tensors.items() if re.fullmatch(r"up\.\d+\.weight", name) and tensor.dim() == 4
    ]
    shaped = {"filters": filters, "blocks": blocks}
    dense: dict[str, int] = {}
    network: nn.Module
    with torch.device("meta"):
        if growth:
            kernel = tensors[head].shape[-1] if head in tensors and tensors[head].dim() == 4 else 3
            unshuffle = kernel // 3 if kernel in (6, 12) else 1
            doublings, scale = enlarged(len(ups), unshuffle)
            if asked.scale == 3 and doublings == unshuffle == 1:
                scale = 3
            name, dense = "rrdbnet", {"growth": growth, "unshuffle": unshuffle}
            network = RRDBNet(channels, channels, scale=scale, **shaped, **dense)
        elif head == "head.weight":
            scale = 3 if 9 * filters in ups else 4 if len(ups) > 1 else 2
            name, network = "msrresnet", MSRResNet(channels, channels, scale=scale, **shaped)
        else:
            scale = 2 ** min(max(len(ups), 1), MOST_DOUBLINGS)
            name, network = "srresnet", SRResNet(channels, channels, scale=scale, **shaped)
    said = settings.superresolution(asked, name, scale, channels, **shaped, dense=dense)
    return layout_of(network, PROJECT, "srgan", said)


def layout_of(
    network: nn.Module,
    project: str,
    plugin: str,
    said: Mapping[str, Any],
    notes: Sequence[str] = (),
    *,
    averages: bool = True,
) -> Layout:
    """A layout by the network's own names, which may lie on "meta"; said: the settings of `plugin`.

    averages: whether those of batch norms are needed; where each image's statistics are deployed, they are not.
    """
    state = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    kept = {name: shape for name, shape in state.items() if name.rpartition(".")[2] in STATISTICS}
    return Layout(
        name=type(network).__name__,
        project=project,
        plugin=plugin,
        settings=said,
        slots={
            name: Slot(name, shape, required=not (name in kept and (not averages or not shape)))
            for name, shape in state.items()
        },
        zeros={name: shape for name, shape in kept.items() if not name.endswith("running_var")},
        ones={name: shape for name, shape in kept.items() if name.endswith("running_var")},
        notes=tuple(notes),
    )


def _nearest(layouts: Sequence[Layout], tensors: Tensors) -> Layout:
    return min(layouts, key=lambda layout: len(layout.difference(tensors)))


def _count(tensors: Tensors, pattern: str) -> int:
    """How many different numbers the group of `pattern` finds at the beginning of names."""
    return len({found[1] for name in tensors if (found := re.match(pattern, name))})
