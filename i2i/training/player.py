"""One of the two players: its networks, its optimizer, and how it moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from i2i.config import TrainerConfig
from i2i.training.guard import Guard
from i2i.training.world import World

Name = Literal["generators", "discriminators"]


class Player:
    """Networks that one optimizer moves; a player may have none, and then never moves.

    What the game itself has frozen stays so.
    """

    def __init__(self, name: Name, networks: nn.ModuleDict, config: TrainerConfig, rate: float) -> None:
        self.name = name
        self.rate = rate
        named = {key: parameter for key, parameter in networks.named_parameters() if parameter.requires_grad}
        self.parameters = list(named.values())
        self._network_of = [key.partition(".")[0] for key in named]
        self.optimizer = (
            torch.optim.Adam(self.parameters, rate, betas=config.betas, fused=config.fused or None)
            if self.parameters
            else None
        )

    def learn(self, learn: bool) -> None:
        """Whether what is computed from now on can be differentiated by the parameters."""
        for parameter in self.parameters:
            parameter.requires_grad_(learn)

    def begin(self, factor: float) -> None:
        """Forgets the gradients of the last move; the rate of this one is `factor` times the first."""
        assert self.optimizer is not None
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * factor
        self.optimizer.zero_grad(set_to_none=True)

    def move(
        self, step: int, losses: Mapping[str, Tensor], beside: Mapping[str, Tensor], world: World, guard: Guard
    ) -> dict[str, Tensor]:
        """Takes a step along the gradients, which are those of all processes; returns the figures of all, too.

        losses: what is minimised, detached scalars by name; beside: other figures. Raises BrokenStepError, before the
        step, where it must not be taken.
        """
        assert self.optimizer is not None
        figures = {**losses, **beside}
        if world.size > 1:
            figures = self._share(figures, world)
        gradients = {n: parameter.grad for n, parameter in enumerate(self.parameters) if parameter.grad is not None}
        norms = torch._foreach_norm(list(gradients.values())) if gradients else ()
        # One transfer for all that is looked at: on a GPU each makes the processor wait.
        seen = torch.stack([*(figures[name].float() for name in losses), *(norm.float() for norm in norms)]).tolist()
        squares: dict[str, float] = {}
        for number, norm in zip(gradients, seen[len(losses) :], strict=True):
            network = self._network_of[number]
            squares[network] = squares.get(network, 0.0) + norm * norm
        guard.check(
            step,
            self.name,
            dict(zip(losses, seen, strict=False)),
            {network: square**0.5 for network, square in squares.items()},
        )
        self.optimizer.step()
        figures[f"gradient_{self.name}"] = torch.tensor(sum(squares.values()) ** 0.5)
        return figures

    def clamp(self, limit: float) -> None:
        """Keeps every weight between `limit` and its negative."""
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.clamp_(-limit, limit)

    def _share(self, figures: Mapping[str, Tensor], world: World) -> dict[str, Tensor]:
        """Replaces gradients and figures by their means over the processes, in one exchange."""
        there = [parameter.grad is not None for parameter in self.parameters]
        kind = self.parameters[0].dtype
        flags = torch.tensor(there, dtype=kind, device=self.parameters[0].device)
        pieces = [_flat(parameter, parameter.grad) for parameter in self.parameters]
        whole = world.sum(torch.cat([*pieces, flags, torch.stack([value.to(kind) for value in figures.values()])]))
        sizes = [parameter.numel() for parameter in self.parameters]
        *gradients, counted, shared = torch.split(whole, [*sizes, len(sizes), len(figures)])
        # A parameter that no process has used must stay without a gradient: Adam would move it all the same.
        for parameter, gradient, count in zip(self.parameters, gradients, counted.tolist(), strict=True):
            if count:
                mean = gradient.div_(world.size).view(parameter.shape)
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                parameter.grad.copy_(mean)
        return dict(zip(figures, (shared / world.size).unbind(), strict=True))


def backward(losses: Iterable[Tensor], parts: int) -> None:
    """Adds the gradients of the sum of `losses`, one of so many parts of a batch."""
    loss = torch.stack(list(losses)).sum()
    torch.autograd.backward(loss if parts == 1 else loss / parts)


def _flat(parameter: Tensor, gradient: Tensor | None) -> Tensor:
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()
