"""The running average of the generators' weights, in the form in which they are deployed."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from i2i.games.game import Game
from i2i.nn.deploy import deployed


class Average:
    """A second game whose generators hold averaged weights and behave as when deployed; discriminators are shared.

    It is what gets validated, shown and exported. The average is w' <- d w' + (1 - d) w (Yazici et al. 2019,
    arXiv:1806.04498, section 3.2), with d ramped up as (1 + t) / (10 + t) so that the first weights are soon forgotten.
    """

    def __init__(self, game: Game, decay: float) -> None:
        generators = deployed(game.generators, game.statistics)
        # A game may hold its networks under other names too: these then mean the averaged ones.
        memo: dict[int, object] = {id(game.discriminators): game.discriminators}
        memo |= {id(live): generators.get_submodule(name) for name, live in game.generators.named_modules()}
        self.game: Game = copy.deepcopy(game, memo)
        self.game.training = False
        for parameter in generators.parameters():
            parameter.requires_grad_(False)
        self._decay = decay
        live = dict(game.generators.named_parameters())
        self._pairs = [(own, live[name]) for name, own in generators.named_parameters()]
        buffers = dict(game.generators.named_buffers())
        self._buffers = [(own, buffers[name]) for name, own in generators.named_buffers()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after the step numbered `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        own: list[Tensor] = [pair[0] for pair in self._pairs]
        live: list[Tensor] = [pair[1].detach() for pair in self._pairs]
        torch._foreach_lerp_(own, live, 1 - decay)
        for mine, theirs in self._buffers:
            mine.copy_(theirs)
