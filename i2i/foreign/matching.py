"""Which architecture a file of weights is of, and where it differs from the nearest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

import torch
from torch import Tensor

from i2i.errors import CheckpointError
from i2i.foreign import own, superresolution, translation
from i2i.foreign.discriminators import discriminator
from i2i.foreign.kept import generator_in
from i2i.foreign.layout import Asked, Difference, Family, Layout, Recognised, Tensors
from i2i.nn.unet import UNet

FAMILIES: Final[Sequence[Family]] = (
    translation.unet,
    translation.resnet,
    superresolution.msrresnet,
    superresolution.rrdbnet,
    own.unet,
    own.resnet,
    own.superresolution,
)
KNOWN: Final = (
    "unet_128, unet_256, resnet_6blocks, resnet_9blocks and others of that kind of pytorch-CycleGAN-and-pix2pix and of "
    "CUT; MSRResNet and RRDBNet of BasicSR, ESRGAN and Real-ESRGAN; the generators of i2i"
)
_FEW: Final = 3
_COUNTED: Final = "num_batches_tracked"  # the one tensor of whole numbers that networks have
_SAME: Final = 1e-4


def recognise(tensors: Tensors, asked: Asked, path: Path) -> Recognised:
    """The network in `path`, whose `tensors` have been read, all of them by our names.

    Raises CheckpointError where they are of a discriminator, where they differ from every known architecture, naming
    the nearest one and the tensors, where they are like none of them, or where their values cannot be its weights.
    """
    part = generator_in(tensors, asked, path)
    if part.layout is not None:
        layouts = [part.layout]
    else:
        layouts = [layout for family in FAMILIES if (layout := family(part.tensors, asked)) is not None]
    layout = min(layouts, key=lambda each: len(each.difference(part.tensors)), default=None)
    different = None if layout is None else layout.difference(part.tensors)
    if layout is None or different:
        _refuse(part.tensors, layout, different, path)
    if asked.legacy_unet and not layout.name.startswith("unet"):
        what = "i2i's own, which has no older form" if layout.name == UNet.__name__ else "no U-Net"
        raise CheckpointError(f"{path}: {layout.name} is {what}", "Leave out --legacy-unet.")
    scale = layout.settings.get("data", {}).get("scale", 1)
    if asked.scale not in (None, scale):
        raise CheckpointError(f"{path}: {layout.name} has a scale of {scale}", "Leave out --scale.")
    _check_values(layout, part.tensors, path)
    noted = replace(layout, notes=(*layout.notes, *_on_statistics(layout, part.tensors, asked, path)))
    return Recognised(noted, _converted(layout, part.tensors))


def _refuse(tensors: Tensors, layout: Layout | None, different: Difference | None, path: Path) -> NoReturn:
    """Says what these tensors are instead of a generator that is known."""
    if (what := discriminator(tensors)) is not None:
        raise CheckpointError(
            f"{path}: a discriminator, which makes no images: {what}",
            "Give the file of the generator, such as latest_net_G.pth or net_g_latest.pth.",
        )
    if layout is None or different is None:
        first = [f"{name} {_shape(tuple(tensor.shape))}" for name, tensor in tensors.items()]
        raise CheckpointError(
            f"{path}: like no architecture that is known here; of its {len(tensors)} tensors the first: {_few(first)}",
            f"Known: {KNOWN}.",
        )
    shapes = [f"{name} {_shape(found)}, not {_shape(wanted)}" for name, found, wanted in different.shaped]
    parts = {"missing": different.missing, "unexpected": different.unexpected, "of another shape": shapes}
    lines = [f"  {len(names)} {what}: {_few(names)}" for what, names in parts.items() if names]
    raise CheckpointError(
        "\n".join([f"{path}: nearest to {layout.name} of {layout.project}, but different:", *lines]),
        f"Known: {KNOWN}. Another architecture is a plugin: i2i plugins new NAME.",
    )


def _check_values(layout: Layout, tensors: Tensors, path: Path) -> None:
    """Raises CheckpointError where a weight is a whole number, or a filter is another one than the network has."""
    for name, slot in layout.slots.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        if not tensor.is_floating_point() and name.rpartition(".")[2] != _COUNTED:
            raise CheckpointError(
                f"{path}: {name} holds values of {str(tensor.dtype).removeprefix('torch.')}, which are no weights",
                "Import the weights as they were trained, before they were quantized.",
            )
        if slot.fixed is not None and not torch.allclose(tensor, slot.fixed.expand(slot.shape), rtol=0, atol=_SAME):
            raise CheckpointError(
                f"{path}: {name} is another filter than {layout.name} of {layout.project} has",
                "Another architecture is a plugin: i2i plugins new NAME.",
            )


def _on_statistics(layout: Layout, tensors: Tensors, asked: Asked, path: Path) -> list[str]:
    """What is to be said where statistics are asked for that nothing has a use for.

    Raises CheckpointError where that are running averages, and the file has some that are left out.
    """
    if asked.statistics is None:
        return []
    averages = [name for name in tensors if name.endswith(".running_mean")]
    batch = any(slot.own is not None and name.endswith(".running_mean") for name, slot in layout.slots.items())
    if batch and "statistics" in layout.settings["game"]:
        return []
    if batch:
        return [f"statistics {asked.statistics} has no meaning: {layout.plugin} has no choice of them"]
    if averages and asked.statistics == "running":
        raise CheckpointError(
            f"{path}: its norm is taken as instance norm, which has no use for running averages such as {averages[0]}",
            "Leave out --statistics.",
        )
    return [f"statistics {asked.statistics} has no meaning: it has no batch norm"]


def _converted(layout: Layout, tensors: Tensors) -> dict[str, Tensor]:
    weights = {name: torch.zeros(shape) for name, shape in layout.zeros.items()}
    weights |= {name: torch.ones(shape) for name, shape in layout.ones.items()}
    for name, slot in layout.slots.items():
        if slot.own is not None and name in tensors:
            tensor = tensors[name]
            weights[slot.own] = tensor if slot.convert is None else slot.convert(tensor).contiguous()
    return weights


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
