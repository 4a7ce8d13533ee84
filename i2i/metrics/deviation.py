"""How much images differ from each other: what a generator that has collapsed gives away."""

from __future__ import annotations

import torch
from torch import Tensor


def deviation(images: Tensor, labels: Tensor | None = None) -> float:
    """The standard deviation of a pixel over the images `[N, ...]`, as the mean over pixels.

    With labels `[N]` it is taken within each class and then as the mean over the classes that have two images or more:
    a generator that makes one image of each class has 0, however much the classes differ.
    """
    groups = [images] if labels is None else [images[labels == label] for label in sorted(set(labels.tolist()))]
    spreads = [group.double().std(dim=0, correction=0).mean() for group in groups if len(group) > 1]
    return float(torch.stack(spreads).mean()) if spreads else 0.0
