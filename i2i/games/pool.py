"""A memory of earlier fakes for the discriminators."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """Shows a discriminator earlier fakes in half of the cases, so that it does not forget them.

    Shrivastava et al. 2017, arXiv:1612.07828, section 2.3; 50 images in CycleGAN, arXiv:1703.10593, section 4. A fake
    is kept together with its condition. Draws from torch's global CPU generator.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[dict[str, Tensor]] = []

    def exchange(self, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Gives as many fakes as it gets, `[N, C, H, W]`, with their conditions: each the same or an earlier one."""
        if self.size == 0:
            return fake, condition
        shown = []
        for index in range(len(fake)):
            new = {"fake": fake[index].detach().clone()}
            if condition is not None:
                new["condition"] = condition[index].detach().clone()
            if len(self.kept) < self.size:
                self.kept.append(new)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                new, self.kept[place] = self.kept[place], new
            shown.append(new)
        fakes = torch.stack([pair["fake"] for pair in shown])
        return fakes, None if condition is None else torch.stack([pair["condition"] for pair in shown])

    def state(self) -> dict[str, Tensor]:
        """All that is kept, stacked by name, for a checkpoint."""
        names = self.kept[0] if self.kept else {}
        return {name: torch.stack([pair[name] for pair in self.kept]) for name in names}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Takes back what `state` gave."""
        length = len(next(iter(state.values()))) if state else 0
        self.kept = [{name: stack[index] for name, stack in state.items()} for index in range(length)]
