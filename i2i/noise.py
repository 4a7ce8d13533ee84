"""Noise that is the same on every machine: what a model makes of seed 7 here, it makes of seed 7 elsewhere."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from i2i.errors import I2IError

Noise = NDArray[np.float32]
SEEDS: Final = 2**32  # seeds are below this, and so are indices: SeedSequence would take larger ones for others


def draw(seed: int, count: int, width: int, first: int = 0) -> Noise:
    """Draws the noise of the images `first` to `first + count - 1` of a seed, N(0, 1), float32 `[count, width]`.

    An image's noise depends on the seed and on its index alone. Raises I2IError for a seed outside 0 to 2**32 - 1.

    Each row is a stream of numpy's RandomState, which is frozen: NEP 19 promises its values in every version, up to
    rounding. What `default_rng` and Generator.normal give may change with numpy, torch's randn with torch and device.
    Rounding to float32 takes away what C libraries make of the last bits of a logarithm, but in one of 10^8 values.
    """
    if not 0 <= seed < SEEDS:
        raise I2IError(f"seed {seed}: out of range", f"Choose one from 0 to {SEEDS - 1}.")
    noise = np.empty((count, width), np.float32)
    for row, index in zip(noise, range(first, first + count), strict=True):
        row[:] = np.random.RandomState(np.random.MT19937(np.random.SeedSequence((seed, index)))).standard_normal(width)
    return noise


def between(start: Noise, end: Noise, frames: int) -> Noise:
    """Noise on the way from `start` to `end`, both `[width]` and included, at equal angles: `[frames, width]`.

    In many dimensions normal noise lies near a sphere; a straight line would leave it, and the model never saw what
    is inside. Spherical interpolation: White 2016, arXiv:1609.04468.
    """
    one, other = start.astype(np.float64), end.astype(np.float64)
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    angle = np.arccos(np.clip(one @ other / lengths, -1, 1)) if lengths else 0.0
    at = np.linspace(0, 1, frames)[:, None]
    if np.sin(angle) < 1e-6:  # parallel: there is no arc to follow, or every one
        straight: Noise = ((1 - at) * one + at * other).astype(np.float32)
        return straight
    arc: Noise = ((np.sin((1 - at) * angle) * one + np.sin(at * angle) * other) / np.sin(angle)).astype(np.float32)
    return arc
