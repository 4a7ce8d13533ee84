"""The kernel distance between two sets of images by their features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from i2i.metrics.sets import Rows, TwoSets
from i2i.metrics.statistic import Bootstrapped, Values

_CHUNK: Final = 512  # rows of a kernel matrix that are in memory at a time


def kernel_distance(made: Tensor, real: Tensor) -> float:
    """The unbiased squared MMD of features `[N, D]` and `[M, D]`, kernel (x.y / D + 1)^3; may be a little below 0.

    Binkowski et al. 2018, arXiv:1801.01401, section 4: over all images at once, not over random subsets. N and M may
    differ and are at least 2. Values compare only under the same features.
    """
    one, other = Rows.one_each(made), Rows.one_each(real)
    once, again = (torch.ones(1, len(each), dtype=torch.float64) for each in (made, real))
    within = _matched(one, one, once, itself=False) + _matched(other, other, again, itself=False)
    return float(within - 2 * _unmatched(one, other, once, again))


@final
class KernelDistance(Bootstrapped):
    """`kernel_distance` of two sets of features.

    In a resampling, an image that comes twice never meets its copy, nor its own target more often than it comes: so the
    mean over resamplings is the distance itself.
    """

    least: ClassVar[int] = 8

    def __init__(self, sets: TwoSets) -> None:
        self._sets = sets
        self.images = sets.images

    def value(self) -> float:
        """The distance."""
        return kernel_distance(self._sets.made.features, self._sets.real.features)

    def resampled(self, draws: int, seed: int) -> Values:
        """The distance, and that of resamplings with replacement, of outputs and targets both."""
        made, real = self._sets.made, self._sets.real
        once, again = (torch.from_numpy(each) for each in self._sets.repeats(draws, seed))
        within = _matched(made, made, once, itself=False) + _matched(real, real, again, itself=False)
        across = _matched(made, real, once, itself=True) if self._sets.paired else _unmatched(made, real, once, again)
        found: Values = (within - 2 * across).numpy()
        return found


def _unmatched(one: Rows, other: Rows, repeats: Tensor, others: Tensor) -> Tensor:
    """The mean kernel of a row of the one and a row of the other, by draw, `[draws]`."""
    total = torch.zeros(len(repeats), dtype=torch.float64)
    for part, kernel in _kernels(one, other):
        total += (repeats[:, part] * (others @ kernel)).sum(1)
    return total / (repeats.sum(1) * others.sum(1))


def _matched(one: Rows, other: Rows, repeats: Tensor, *, itself: bool) -> Tensor:
    """The same where image i of the one belongs to image i of the other, or is that: it comes as often, `[draws]`.

    The share of pairs of one image is what it is without repetition. itself: a row of the one is paired with the same
    row of the other, too. No number, where all that was drawn is one image.
    """
    total = torch.zeros(len(repeats), dtype=torch.float64)
    own, same_row = torch.empty(2, len(one.of), dtype=torch.float64)
    for part, kernel in _kernels(one, other):
        total += (repeats[:, part] * (repeats @ kernel)).sum(1)
        own[part] = (kernel * (other.of[:, None] == one.of[part])).sum(0)
        same_row[part] = kernel[part].diagonal()
    size = torch.bincount(one.of)[one.of].double()
    squares = repeats.square()
    apart = (total - squares @ own) / (repeats.sum(1).square() - squares @ size)
    if not itself:
        own, size = own - same_row, size - 1
    share = float(size.sum()) / max(1, len(size) * (len(size) - (not itself)))
    near = (repeats @ own) / (repeats @ size) if share else torch.zeros(())
    return near if share == 1 else (1 - share) * apart + share * near


def _kernels(one: Rows, other: Rows) -> Iterator[tuple[slice, Tensor]]:
    """Some rows of the one at a time, and the kernel of all of the other with them, `[M, rows]`."""
    features = other.features.double()
    for begin in range(0, len(one.of), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        yield part, ((features @ one.features[part].double().T) / features.shape[1] + 1) ** 3
