"""The sliced Wasserstein distance between small patches of two sets of images, by their size in the image.

After Karras et al. 2018, arXiv:1710.10196, section 5: patches of 7 x 7 pixels of each level of a Laplacian pyramid
whose smallest one has 16 pixels along its shorter side, or up to 31; each channel of a set's patches is brought to mean
0 and deviation 1; the distance is the mean over random directions, in thousandths, and over levels. There, 128 patches
are taken of each of 16,384 images at each level, and 512 directions; here, 64 patches of each image that there is, and
128 directions. Of one distribution the distance is not 0, but what as many patches differ by: values compare only where
sets are as large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import I2IError
from i2i.metrics.measure import Named, SetMeasure, counted
from i2i.metrics.metric import to_levels
from i2i.metrics.sets import Rows, TwoSets
from i2i.metrics.statistic import Jackknifed, Values

SMALLEST: Final = 16  # pixels of the shorter side of the last level
PATCH: Final = 7  # pixels of a side
PATCHES: Final = 64  # of an image, at each level
DIRECTIONS: Final = 128
_SEED: Final = 0  # of places and of directions


def wasserstein(one: NDArray[np.floating], other: NDArray[np.floating]) -> Values:
    """The 1-Wasserstein distance of the values in each column of `[N, P]` and `[M, P]`, `[P]`."""
    # Between these shares of the whole both quantile functions are constant.
    ends = np.union1d(np.arange(1, len(one)) / len(one), np.arange(1, len(other)) / len(other))
    edges = np.concatenate([[0.0], ends, [1.0]])
    widths, middles = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    first, second = (
        np.sort(each.T, axis=1)[:, (middles * len(each)).astype(np.int64)].astype(np.float64) for each in (one, other)
    )
    distances: Values = np.abs(first - second) @ widths
    return distances


def sliced_wasserstein(one: Tensor, other: Tensor, directions: Tensor) -> float:
    """The mean of `wasserstein` of points `[N, D]` and `[M, D]` along unit vectors `[P, D]`."""
    return float(
        wasserstein((one @ directions.to(one.dtype).T).numpy(), (other @ directions.to(one.dtype).T).numpy()).mean()
    )


def pyramid(images: Tensor) -> list[Tensor]:
    """The Laplacian pyramid of images `[N, C, H, W]`, from the finest level to the smallest image.

    Each level is what the next smaller one, enlarged, lacks. Burt & Adelson 1983, with their 5 x 5 binomial filter.
    """
    levels = []
    while min(images.shape[2:]) >= 2 * SMALLEST:
        smaller = _blurred(images)[..., ::2, ::2]
        enlarged = torch.zeros_like(images)
        enlarged[..., ::2, ::2] = 4 * smaller
        levels.append(images - _blurred(enlarged))
        images = smaller
    return [*levels, images]


def _blurred(images: Tensor) -> Tensor:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=images.dtype, device=images.device) / 16
    channels = images.shape[1]
    for view, border in (((1, 5), (2, 2, 0, 0)), ((5, 1), (0, 0, 2, 2))):
        kernel = line.view(1, 1, *view).expand(channels, 1, *view)
        images = F.conv2d(F.pad(images, border, mode="reflect"), kernel, groups=channels)
    return images


def _patches(images: Tensor, generator: torch.Generator) -> Tensor:
    """Patches at random places, `[N, PATCHES, C * PATCH * PATCH]`; the places are the same for the same generator."""
    height, width = (side - PATCH + 1 for side in images.shape[2:])
    places = torch.randint(height * width, (len(images), PATCHES), generator=generator).to(images.device)
    offsets = torch.arange(PATCH, device=images.device)
    rows = (places // width)[..., None, None, None] + offsets.view(PATCH, 1)
    columns = (places % width)[..., None, None, None] + offsets
    image = torch.arange(len(images), device=images.device).view(-1, 1, 1, 1, 1)
    channel = torch.arange(images.shape[1], device=images.device).view(1, 1, -1, 1, 1)
    return images[image, channel, rows, columns].flatten(2)


@final
class Sliced(Jackknifed):
    """The distance of two sets of patches, with the same directions each time.

    Everything is sorted again for each half of the images: minutes for thousands of them.
    levels: how many lie beside each other in a row of features. channels: of the images.
    """

    splits = 10

    def __init__(self, sets: TwoSets, levels: int, channels: int) -> None:
        self._sets, self._levels, self._channels = sets, levels, channels

    def value(self) -> float:
        """The distance."""
        everything = slice(None)
        return self._distance(everything, everything)

    def resampled(self, draws: int, seed: int) -> Values:
        """The distance, and that of each half of the images."""
        del draws
        return np.array(
            [self.value(), *(self._distance(made, real) for made, real in self._sets.halves(self.splits, seed))]
        )

    def _distance(self, made: Tensor | slice, real: Tensor | slice) -> float:
        pairs = zip(
            self._sets.made.features[made].chunk(self._levels, 1),
            self._sets.real.features[real].chunk(self._levels, 1),
            strict=True,
        )
        found = [
            sliced_wasserstein(self._normalised(one), self._normalised(other), directions(one.shape[1]))
            for one, other in pairs
        ]
        return 1000 * float(np.mean(found))

    def _normalised(self, patches: Tensor) -> Tensor:
        by_channel = patches.float().reshape(len(patches), self._channels, -1)
        mean = by_channel.mean(dim=(0, 2), keepdim=True)
        deviation = by_channel.std(dim=(0, 2), correction=0, keepdim=True)
        normalised: Tensor = (by_channel - mean) / deviation.clamp(min=1e-8)
        return normalised.flatten(1)


def directions(dimensions: int) -> Tensor:
    """The unit vectors, `[DIRECTIONS, dimensions]`, always the same."""
    generator = torch.Generator().manual_seed(_SEED)
    return F.normalize(torch.randn(DIRECTIONS, dimensions, generator=generator))


@final
class Patches(SetMeasure):
    """`swd` of images of one size; keeps 6 kB of each image for each level and channel, as float16."""

    least = 2

    def __init__(self, *, paired: bool) -> None:
        super().__init__()
        self._paired = paired
        self._shape: Sequence[int] = ()
        self._levels = 0
        self._seen = 0

    def another(self) -> Patches:
        """The same measure with nothing taken in."""
        return Patches(paired=self._paired)

    def add(self, output: Tensor, target: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Takes patches of the images of a batch."""
        super().add(output, target, batch)
        self._seen += len(output)

    def _see(self, images: Tensor) -> Tensor:
        shape = list(images.shape[1:])
        if self._shape and shape != self._shape:
            raise I2IError(
                f"swd: images of {self._shape} and of {shape} (channels, height, width) have not the same levels",
                "Give images of one size, or leave swd out.",
            )
        if min(shape[1:]) < SMALLEST:
            raise I2IError(
                f"swd: images of {shape[2]} x {shape[1]} pixels are too small",
                f"Score images of {SMALLEST} x {SMALLEST} pixels or more, or leave swd out.",
            )
        self._shape = shape
        levels = pyramid(to_levels(images))
        self._levels = len(levels)
        generator = torch.Generator().manual_seed(_SEED + self._seen)  # the same places in outputs and targets
        return torch.cat([_patches(level, generator) for level in levels], 2).flatten(0, 1).half().cpu()

    def _statistics(self, made: Rows, real: Rows) -> dict[str, Named]:
        self._seen = 0
        key = f"swd-laplacian{self._levels}-patches{PATCHES}x{PATCH}-directions{DIRECTIONS}"
        sets = TwoSets(made, real, self._paired)
        return {"swd": Named(counted(key, made, real), Sliced(sets, self._levels, self._shape[0]))}
