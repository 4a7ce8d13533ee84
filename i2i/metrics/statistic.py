"""Figures that are of many images, and how far they would be another with other images of the same kind.

An interval is of the figure over sets of as many images, drawn as these were; it says nothing of another training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
# The 97.5 % quantiles of Student's t with 1 to 19 degrees of freedom.
_T: Final = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930),
)
_HIGH: Final = 0.975


_FEW: Final = 10  # images, below which percentiles of resamplings are too near


@dataclass(frozen=True)
class Score:
    """A figure and its 95 % interval over images, `low` to `high`; None where so few images tell of none."""

    value: float
    low: float | None = None
    high: float | None = None


class Statistic(ABC):
    """One figure of a set of images, and all that is needed to make it for any resampling of them."""

    @abstractmethod
    def value(self) -> float:
        """The figure of the images as they are."""

    @abstractmethod
    def resampled(self, draws: int, seed: int) -> Values:
        """The figure of the images as they are, and then of resamplings; the same images for the same `seed`."""

    @abstractmethod
    def bounded(self, resampled: Values) -> Score:
        """The score by what `resampled` gave, or by the difference of what it gave for two of one kind."""


class Bootstrapped(Statistic):
    """A figure of which the mean over resamplings with replacement is the figure itself.

    The interval is between percentiles of `draws` resamplings, as far out as small sets need it: expanded percentiles
    after Hesterberg 2014, arXiv:1411.5279. Of fewer than ten images that reaches only as far as what was drawn, and is
    too narrow: there it is Student's, by the deviation of the resamplings. least: of fewer images there is none.
    """

    least: ClassVar[int] = 2
    images: int

    @final
    def bounded(self, resampled: Values) -> Score:
        """The score with its interval."""
        value, drawn = float(resampled[0]), resampled[1:]
        drawn = drawn[np.isfinite(drawn)]  # of what was drawn that is one image over and over there may be no figure
        if self.images < self.least or not len(drawn):
            return Score(value)
        wider = (self.images / (self.images - 1)) ** 0.5 * student(self.images - 1)
        if self.images < _FEW:
            reach = wider * float(drawn.std())
            return Score(value, value - reach, value + reach)
        low = NormalDist().cdf(-wider)
        found = np.quantile(drawn, [low, 1 - low])
        return Score(value, float(found[0]), float(found[1]))


class Jackknifed(Statistic):
    """A figure that an image which comes twice would falsify: one that looks at nearest neighbours, or at spreads.

    Nothing comes twice: the images are halved at random `splits` times, and the interval is that of Student's t by how
    much the halves differ: the delete-half jackknife of Shao & Wu 1989, Annals of Statistics 17(3), which leaving out
    a few at a time cannot replace where figures are not smooth, as precision and recall are not. `draws` is of no
    meaning here.
    """

    splits: ClassVar[int] = 20

    @final
    def bounded(self, resampled: Values) -> Score:
        """The score by how much halves differ."""
        value = float(resampled[0])
        apart = np.diff(resampled[1:].reshape(-1, 2))
        apart = apart[np.isfinite(apart)]  # of half of a few images there may be no figure
        if not len(apart):
            return Score(value)
        reach = student(len(apart)) * float(np.sqrt(np.mean(np.square(apart)))) / 2
        return Score(value, value - reach, value + reach)


@final
class Mean(Bootstrapped):
    """The mean of what each image has for itself, `[N]`."""

    def __init__(self, each: Values) -> None:
        self.each = each
        self.images = len(each)

    def value(self) -> float:
        """The mean."""
        return float(self.each.mean())

    def resampled(self, draws: int, seed: int) -> Values:
        """The mean, and means over as many images, drawn with replacement."""
        drawn = repeats(self.images, draws, seed)[1:] @ self.each / self.images
        return np.array([self.value(), *drawn])


def repeats(count: int, draws: int, seed: int, stream: int = 0) -> Values:
    """How often each of `count` images is in each of so many draws with replacement, `[1 + draws, count]`.

    In the first row each is there once. The draws of two streams have nothing to do with each other.
    """
    drawn = np.random.default_rng([seed, stream]).multinomial(count, np.full(count, 1 / count), size=draws)
    return np.concatenate([np.ones((1, count)), drawn])


def halves(count: int, splits: int, seed: int, stream: int = 0) -> NDArray[np.bool_]:
    """Which of `count` images lie in the first of two halves, at random, `[splits, count]`."""
    generator = np.random.default_rng([seed, stream])
    return generator.permuted(np.tile(np.arange(count) % 2 == 0, (splits, 1)), axis=1)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; with 20 degrees of freedom or more by its expansion, to 4e-4."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = NormalDist().inv_cdf(_HIGH)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
