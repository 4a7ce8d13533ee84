"""The kernel distance between two sets of images by their features."""

from __future__ import annotations

from torch import Tensor


def kernel_distance(made: Tensor, real: Tensor) -> float:
    """The unbiased squared MMD of features `[N, D]` and `[M, D]`, kernel (x.y / D + 1)^3; may be a little below 0.

    Binkowski et al. 2018, arXiv:1801.01401, section 4: over all images at once, not over random subsets. N and M may
    differ and are at least 2. Values compare only under the same features.
    """
    made, real = made.double(), real.double()
    return _within(made) + _within(real) - 2 * float(_kernel(made, real).mean())


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    return ((one @ other.T) / one.shape[1] + 1) ** 3


def _within(features: Tensor) -> float:
    """The mean kernel of two different images of one set."""
    kernel = _kernel(features, features)
    count = len(features)
    return float((kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1)))
