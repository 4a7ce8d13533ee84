"""Patches of an image compared with those of another: places, projections, and the contrast between them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.precision import precise


def places(features: Tensor, count: int) -> Tensor:
    """Numbers of `count` places of features `[N, C, H, W]`, row by row, drawn without repetition; all, where fewer.

    Drawn on the CPU, by the random state that a run keeps.
    """
    height, width = features.shape[2:]
    return torch.randperm(height * width)[:count].to(features.device)


def patches(features: Tensor, at: Tensor) -> Tensor:
    """What features `[N, C, H, W]` hold at the places `[P]`: `[N, P, C]`."""
    return features.flatten(2)[:, :, at].transpose(1, 2)


def mirrored(features: Tensor, which: Tensor) -> Tensor:
    """Features `[N, C, H, W]`, of which those in `which`, `[N]` of bool, are mirrored left to right."""
    return torch.where(which.view(-1, 1, 1, 1), features.flip(3), features)


class PatchProjection(nn.Module):
    """Two linear layers for each of several kinds of feature, with a ReLU between them: what patches are compared by.

    Park et al. 2020, arXiv:2007.15651, section 3.1, after Chen et al. 2020, arXiv:2002.05709. Made from a first look at
    the features: one `[N, C, H, W]` of each kind, by name, on any device.
    """

    def __init__(self, features: Mapping[str, Tensor], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(seen.shape[1], width), nn.ReLU(), nn.Linear(width, width))
                for name, seen in features.items()
            }
        )

    def forward(self, name: str, taken: Tensor) -> Tensor:
        """Patches `[N, P, C]` of the kind `name` to vectors of length 1, `[N, P, width]` in float32."""
        return F.normalize(precise(self.heads[name](taken)), dim=2)


def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """How surely each query finds its own key among all keys of its image, as a mean cross entropy in nats.

    queries, keys: `[N, P, D]` of length 1, which belong to each other at equal places. It is log P where nothing is
    known. Van den Oord et al. 2018, arXiv:1807.03748, eq. 4; Park et al. 2020, arXiv:2007.15651, eq. 3 and 4.
    """
    with torch.autocast(queries.device.type, enabled=False):  # at a low temperature bfloat16 is too coarse
        alike = precise(queries) @ precise(keys).transpose(1, 2) / temperature
        own = torch.arange(keys.shape[1], device=keys.device).expand(len(keys), -1)
        return F.cross_entropy(alike.flatten(0, 1), own.flatten())
