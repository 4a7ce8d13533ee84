"""What discriminators see instead of the images themselves: augmented, and under noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import torch
from torch import Tensor, nn

from i2i.config import StabilityConfig
from i2i.games.objectives import Objective
from i2i.nn.diffaugment import DiffAugment
from i2i.nn.precision import precise
from i2i.training.world import World

_INTERVAL: Final = 4  # moves after which the probability is moved (Karras et al. 2020, arXiv:2006.06676, section 3.1)


class Shown:
    """Shows discriminators augmented images, real and fake, and how likely an augmentation is.

    Noise is Gaussian and falls linearly over the first `noise_until` of the `steps` (Arjovsky & Bottou 2017,
    arXiv:1701.04862, section 3; Sønderby et al. 2017, arXiv:1610.04490, section 2.3). Where the augmentation is
    adaptive, its probability rises while the discriminators are surer of real images than the target, and falls else
    (Karras et al. 2020, arXiv:2006.06676, section 3.1).
    """

    def __init__(self, config: StabilityConfig, steps: int, objective: Objective) -> None:
        self.config = config
        self.probability = config.augment.probability
        """Of each augmentation for each image."""
        self.deviation = config.instance_noise
        """Of the noise in this step."""
        self._objective = objective
        self._noise_ends = config.noise_until * steps
        self._augment = DiffAugment(config.augment.colour, config.augment.translation, config.augment.cutout)
        self._adaptive = config.augment.adaptive and self._augment.active
        self._signs: list[Tensor] = []  # of this move, each a mean, where the discriminators are
        self._sum = torch.zeros((), dtype=torch.float64)  # of the moves since the probability was moved, over all
        self._moves = 0

    @property
    def adaptive(self) -> bool:
        """Whether the probability follows the discriminators."""
        return self._adaptive

    def begin(self, step: int) -> None:
        """Sets the noise of the step numbered `step`, from 0."""
        self.deviation = self.config.instance_noise * max(0.0, 1 - step / self._noise_ends)

    def of(self, discriminator: nn.Module) -> nn.Module:
        """The discriminator behind what it is shown; itself where that is the images as they are.

        It is called as the discriminator is, with images `[N, C, H, W]` and a condition, and can be differentiated by
        the images twice. Each call draws anew. A condition that is an image `[N, C, h, w]` is moved and cut as its
        image is, but keeps its colours and gets no noise.
        """
        augmented = self._augment.active and self.probability > 0
        if not augmented and self.deviation == 0:
            return discriminator
        return _Seeing(discriminator, self._augment if augmented else None, self.probability, self.deviation)

    def watch(self, real: Tensor, fake: Tensor) -> Tensor:
        """The mean sign of the logits of real images, from -1, judged fake, to 1; remembered for `update`.

        real, fake: logits of any one shape, of what was shown, without gradients.
        """
        mean = self._objective.signs(real, fake).float().mean()
        if self._adaptive:
            self._signs.append(mean)
        return mean

    def update(self, world: World, images: int) -> None:
        """Ends a move of the discriminators, which was on so many images; every fourth moves the probability."""
        if not self._adaptive:
            return
        seen = torch.stack(self._signs).double().mean()
        self._signs.clear()
        self._sum = self._sum.to(seen.device) + world.sum(seen) / world.size
        self._moves += 1
        if self._moves < _INTERVAL:
            return
        mean = float(self._sum) / self._moves  # waits for the device: once in four moves
        self._sum, self._moves = torch.zeros_like(self._sum), 0
        augment = self.config.augment
        direction = (mean > augment.target) - (mean < augment.target)
        moved = self.probability + direction * images * _INTERVAL / augment.speed
        self.probability = min(1.0, max(0.0, moved))

    def state(self) -> dict[str, Tensor]:
        """The probability and what it will be moved by, for a checkpoint; nothing where it is fixed."""
        if not self._adaptive:
            return {}
        numbers = [self.probability, float(self._sum), self._moves]
        return {"augment": torch.tensor(numbers, dtype=torch.float64)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` gave; of a training that was not adaptive, nothing."""
        if self._adaptive and "augment" in state:
            probability, total, moves = state["augment"].tolist()
            self.probability, self._moves = probability, int(moves)
            self._sum = torch.tensor(total, dtype=torch.float64)
            self._signs.clear()


class _Seeing(nn.Module):
    """A discriminator behind the augmentation and the noise of one step."""

    def __init__(
        self, discriminator: nn.Module, augment: DiffAugment | None, probability: float, deviation: float
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._augment = augment
        self._probability = probability
        self._deviation = deviation

    def forward(self, images: Tensor, condition: Tensor | None) -> Tensor:
        """Logits of what is made of the images."""
        shown = precise(images)
        if self._augment is not None:
            shown, condition = self._augment(shown, condition, self._probability)
        if self._deviation > 0:
            # On the images' own device, whose random state a checkpoint holds, too: drawing as much on the CPU, and
            # moving it, would take longer than the discriminators.
            noise = torch.randn(shown.shape, dtype=shown.dtype, device=shown.device)
            shown = shown + self._deviation * noise
        return cast("Tensor", self.discriminator(shown, condition))
