"""Spectral norm: weights divided by how much their layer can enlarge what goes in."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Final, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

_NAME: Final = "weight"
_FIRST: Final = 15  # iterations before the first step, after which each forward pass in training adds one
_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, *_TRANSPOSED)
Network = TypeVar("Network", bound=nn.Module)


class SpectralNorm(nn.Module):
    """A weight over its largest singular value, which an iteration finds that goes on with each pass in training.

    Miyato et al. 2018, arXiv:1802.05957, algorithm 1, in float32, or float64 where the weight is, whatever the networks
    compute in. outputs: the dimension of the weight that counts the layer's outputs.
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor, outputs: int = 0) -> None:
        super().__init__()
        self._outputs = outputs
        matrix = self._matrix(weight.detach())
        self.register_buffer("left", F.normalize(torch.randn(matrix.shape[0]).to(matrix), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1]).to(matrix), dim=0))
        for _ in range(_FIRST):
            self._iterate(matrix)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight, of any shape, with a largest singular value of about 1."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix.detach())
            # Copies: the next pass changes the vectors, perhaps before this one is differentiated.
            left, right = self.left.clone(), self.right.clone()
            return weight / torch.dot(left, torch.mv(matrix, right))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self._outputs).flatten(1)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.right.copy_(F.normalize(torch.mv(matrix.T, self.left), dim=0))
        self.left.copy_(F.normalize(torch.mv(matrix, self.right), dim=0))


def spectral_(module: Network) -> Network:
    """Gives each convolution, transposed convolution and linear layer of `module` spectral norm; returns it.

    Left as they are: weights that are parametrised already, that several layers share, and that do not learn. After
    this what is assigned to a weight has no effect: draw first weights before.
    """
    parts = [part for part in module.modules() if isinstance(part, _LAYERS)]
    users = Counter(id(value) for part in module.modules() for value in part._parameters.values() if value is not None)
    for part in parts:
        weight = part._parameters.get(_NAME)  # what is parametrised is none
        if weight is not None and weight.requires_grad and users[id(weight)] == 1:
            outputs = 1 if isinstance(part, _TRANSPOSED) else 0
            parametrize.register_parametrization(part, _NAME, SpectralNorm(weight, outputs))
    return module


def folded(network: Network) -> Network:
    """A copy whose weights are what spectral norm, or any parametrisation, makes of them: plain layers to deploy."""
    copied = copy.deepcopy(network)
    for part in list(copied.modules()):
        if parametrize.is_parametrized(part):
            # torch's own way to remove them changes a class that a copy shares with the network it is copied from.
            made = {name: getattr(part, name) for name in cast(nn.ModuleDict, part.parametrizations)}
            part.__class__ = parametrize.type_before_parametrizations(part)
            del part.parametrizations
            for name, value in made.items():
                part.register_parameter(name, nn.Parameter(value.detach().clone()))
    return copied
