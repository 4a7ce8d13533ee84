"""The heart: what a game is. Everything else in i2i plays, measures or exports one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from i2i.nn.deploy import Statistics

Batch = Mapping[str, Tensor]
Outputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Match:
    """One discriminator's task: tell `real` from `fake`, both shown with the same `condition`.

    discriminator: called with images `[N, C, H, W]` in [-1, 1] and the condition; gives logits of any one shape.
    condition: images, labels `[N]`, or None for an unconditional game.
    """

    discriminator: nn.Module
    real: Tensor
    fake: Tensor
    condition: Tensor | None = None


@dataclass(frozen=True)
class Export:
    """A generator that can be deployed: `network` takes and gives images `[N, C, H, W]` in [-1, 1].

    H and W are multiples of `multiple` and at least `minimum`, None: as much. examples: the name in a batch of the
    images that it takes.
    """

    network: nn.Module
    channels_in: int
    channels_out: int
    multiple: int
    scale: int = 1
    examples: str = "input"
    minimum: int | None = None


@dataclass(frozen=True)
class NoiseExport:
    """A generator of images from noise: `network` takes noise `[N, noise]` from N(0, 1), gives images in [-1, 1].

    The images are `[N, channels_out, size, size]`. Where there are classes, the network also takes their numbers `[N]`.
    """

    network: nn.Module
    channels_out: int
    size: int
    noise: int
    classes: tuple[str, ...] = ()


def owner(game: Game, export: Export | NoiseExport) -> str | None:
    """The name of the generator that an export is, or has inside; None where it has none."""
    parts = set(export.network.modules())
    return next((name for name, network in game.generators.items() if network in parts), None)


class Game(nn.Module, ABC):
    """A conditional minimax game: the networks of two players, and what the generators' player minimises besides.

        min_G max_D  E[log D(x, y)] + E[log(1 - D(G(z | y), y))]

    with y the condition (Goodfellow et al., arXiv:1406.2661, eq. 1; Mirza & Osindero, arXiv:1411.1784, eq. 2).
    A game knows no time, no device and no file. Subclasses are final and assign `generators` and `discriminators`;
    without discriminators the generators only minimise their own terms. Where `noise` is not 0, a batch holds z as
    `noise`, `[N, noise]` from N(0, 1).
    """

    generators: nn.ModuleDict
    discriminators: nn.ModuleDict
    statistics: Statistics = "image"
    noise: int = 0

    @abstractmethod
    def generate(self, batch: Batch) -> Outputs:
        """Runs the generators; what both players look at."""

    @abstractmethod
    def matches(self, batch: Batch, outputs: Outputs) -> Iterable[Match]:
        """One match for each discriminator, always in the same order."""

    def terms(self, batch: Batch, outputs: Outputs) -> Mapping[str, Tensor]:
        """Weighted scalars that the generators minimise beside the matches; called only in their turn."""
        return {}

    @abstractmethod
    def previews(self, batch: Batch) -> Mapping[str, Tensor]:
        """Pictures side by side for a person, by name: `output` and `target` are also scored, `input` comes first."""

    def measures(self, batch: Batch) -> Mapping[str, Tensor]:
        """Further figures of each image of the batch, `[N]` each, that every validation reports."""
        return {}

    def demand(self) -> None:
        """Opens what only training needs; raises I2IError, before anything is written, where it is not there."""
        return

    def notes(self) -> Sequence[str]:
        """What a person should know of how this game is set up, a sentence each; part of the run."""
        return ()

    @abstractmethod
    def exports(self) -> Mapping[str, Export | NoiseExport]:
        """What can be deployed, by name; the first is the default."""
