"""Groups of images that look alike, so that they can be kept on one side of a split."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SHARP: Final = (
    0.75  # correlation from which line art is alike; two faces that differ in eyes and mouth have 0.75 to 0.95
)
SOFT: Final = 0.88  # and after a blur of 3 x 3 pixels, as thin lines easily miss each other by one


def groups(drawings: NDArray[np.int64]) -> list[int]:
    """For each of `[N, H, W]` levels from 0 to 255 the index of the first drawing of its group.

    Two drawings that are alike share a group, and so do those that a chain of such couples joins. Training mirrors
    images, so they are compared with one of them mirrored as well.
    """
    alike = _alike(drawings, SHARP) | _alike(_blurred(drawings), SOFT)
    parent = list(range(len(drawings)))
    for one, other in np.argwhere(np.triu(alike, 1)).tolist():
        first, second = sorted((_root(parent, one), _root(parent, other)))
        parent[second] = first
    return [_root(parent, index) for index in range(len(drawings))]


def _alike(drawings: NDArray[np.int64], least: float) -> NDArray[np.bool_]:
    """Which correlate more than `least`; the sums are of whole numbers below 2**53, so the same on every machine."""
    flat = drawings.reshape(len(drawings), -1).astype(np.float64)
    mirrored = drawings[:, :, ::-1].reshape(flat.shape).astype(np.float64)
    total, pixels = flat.sum(axis=1), flat.shape[1]
    overlap = flat @ flat.T
    covariance = pixels * np.maximum(overlap, flat @ mirrored.T) - np.outer(total, total)
    variance = pixels * np.diag(overlap) - total**2
    alike: NDArray[np.bool_] = covariance > least * np.sqrt(np.outer(variance, variance))
    return alike


def _blurred(drawings: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sums over 3 x 3 pixels; outside is nothing."""
    wide = np.pad(drawings, ((0, 0), (1, 1), (1, 1)))
    blurred: NDArray[np.int64] = sliding_window_view(wide, (3, 3), axis=(1, 2)).sum(axis=(3, 4))
    return blurred


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
