"""The deployed form of a network: what is validated, shown and exported, and differs from what is trained.

Two layers behave otherwise in training than in use, and an exporter left alone gets both wrong in silence: it turns
batch norm into running averages, and leaves dropout active.
"""

from __future__ import annotations

import copy
from typing import Literal, TypeVar

from torch import nn

Statistics = Literal["image", "running"]
Network = TypeVar("Network", bound=nn.Module)


def deployed(network: Network, statistics: Statistics) -> Network:
    """A copy of `network` in evaluation mode, without dropout, its batch norms fixed to a policy.

    image: each batch norm becomes an instance norm with the same scale and shift, which is what batch norm computes of
    a batch of one image: pix2pix's "test-time batch statistics" (arXiv:1611.07004, section 3.4) for any batch.
    running: batch norm uses its running averages. Names of the parameters stay the same.
    """
    copied = copy.deepcopy(network)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout | nn.Dropout2d):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.BatchNorm2d) and statistics == "image":
                setattr(parent, name, _per_image(child))
    return copied.eval()


def _per_image(norm: nn.BatchNorm2d) -> nn.InstanceNorm2d:
    own = nn.InstanceNorm2d(norm.num_features, eps=norm.eps, affine=norm.affine)
    if norm.affine:
        own.weight, own.bias = norm.weight, norm.bias
    return own
