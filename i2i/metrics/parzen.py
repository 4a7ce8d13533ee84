"""Parzen log-likelihood: how well a window around each generated image explains real ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDTHS = torch.logspace(-1, 0, 10).tolist()  # of the window, for pixels in [0, 1]


def log_likelihood(squared: Tensor, dimensions: int, width: float) -> Tensor:
    """log p(x) in nats, `[M]`, of each of M points under a Gaussian of `width` around each of N others.

    squared: their squared distances, `[M, N]`, in a space of so many `dimensions`. Goodfellow et al. 2014,
    arXiv:1406.2661, section 5, after Breuleux et al. 2011.
    """
    normaliser = math.log(squared.shape[1]) + dimensions / 2 * math.log(2 * math.pi * width**2)
    return torch.logsumexp(-squared / (2 * width**2), dim=1) - normaliser


def parzen(made: Tensor, real: Tensor) -> float:
    """The mean log-likelihood in nats of one half of `real` `[M, D]`, under the window that suits the other half best.

    Pixels in [0, 1]; the halves are the images of even and of odd number, M at least 2. It depends on the number of
    generated images `made` `[N, D]`, 10,000 in the paper: values compare only where that is the same.
    """
    squared = torch.cdist(real.double(), made.double()).square()

    def mean(half: Tensor, width: float) -> float:
        return float(log_likelihood(half, made.shape[1], width).mean())

    chosen = max(WIDTHS, key=lambda width: mean(squared[0::2], width))
    return mean(squared[1::2], chosen)
