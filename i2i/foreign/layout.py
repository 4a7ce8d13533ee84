"""What an architecture of another project looks like in a file, and which network of `i2i.nn` it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

Tensors = Mapping[str, Tensor]
Convert = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Asked:
    """What a file of weights does not say and only its user knows; None where nothing was said.

    direction: which way the generator translates. statistics: of a deployed batch norm, each image's own or running
    averages. size: pixels along the side of the images that it was trained on. scale: of super-resolution, where two
    scales have the same tensors. plugin: which one to fine-tune it as, where several have the network.
    legacy_unet: of pytorch-CycleGAN-and-pix2pix before 2017-09-22, whose U-Nets put the skip connection last.
    """

    direction: Literal["AtoB", "BtoA"] | None = None
    statistics: Literal["image", "running"] | None = None
    size: int | None = None
    scale: int | None = None
    plugin: str | None = None
    legacy_unet: bool = False


@dataclass(frozen=True)
class Slot:
    """A tensor that an architecture has.

    own: its name in the network of `i2i.nn`; None where it is of no use there and is left out. fixed: the values that
    it must have where ours have them without a tensor, of a shape that can be expanded to `shape`.
    """

    own: str | None
    shape: tuple[int, ...]
    required: bool = True
    convert: Convert | None = None
    fixed: Tensor | None = None


@dataclass(frozen=True)
class Difference:
    """How a file differs from a layout, by names in the file. shaped: name, shape there, shape that it should have."""

    missing: Sequence[str]
    unexpected: Sequence[str]
    shaped: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def __len__(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.shaped)


@dataclass(frozen=True)
class Layout:
    """An architecture, its widths and depth as a file suggests them.

    name, project: what it is called, and where, such as `unet_256` of pytorch-CycleGAN-and-pix2pix. settings: of
    `plugin`, nested as in its YAML files, with which its generator is this network. slots: by their names in the file.
    zeros, ones: shapes of further tensors of the network, by their names there, that are zero or one where the file has
    none. notes: what was assumed or left out, a sentence each.
    """

    name: str
    project: str
    plugin: str
    settings: Mapping[str, Any]
    slots: Mapping[str, Slot]
    zeros: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ones: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def difference(self, tensors: Tensors) -> Difference:
        """Where a file is not as this layout says."""
        return Difference(
            missing=[name for name, slot in self.slots.items() if slot.required and name not in tensors],
            unexpected=[name for name in tensors if name not in self.slots],
            shaped=[
                (name, tuple(tensors[name].shape), slot.shape)
                for name, slot in self.slots.items()
                if name in tensors and tuple(tensors[name].shape) != slot.shape
            ],
        )


Family = Callable[[Tensors, Asked], Layout | None]
"""The layout nearest to the tensors of a file; None where none of them has a name of this family."""


@dataclass(frozen=True)
class Recognised:
    """A checkpoint as a network of `i2i.nn`. weights: float32, complete, by the names of the generator alone."""

    layout: Layout
    weights: Tensors
