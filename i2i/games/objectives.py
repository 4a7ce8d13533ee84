"""The value function of the game, as what each player minimises given the discriminator's logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from torch import Tensor
from torch.nn import functional as F

from i2i.errors import ConfigError

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """Two losses of (logits of real, logits of fake), each a scalar; the logits have any one shape.

    paired: the generator's loss looks at the logits of the real images too. relative: only differences of logits mean
    something. middle: the logit at which a discriminator is undecided, where they are not relative. labelled: the
    discriminator compares logits with labels, which can be smoothed.
    """

    discriminator: Loss
    generator: Loss
    paired: bool = False
    relative: bool = False
    middle: float = 0.0
    labelled: bool = False

    def signs(self, real: Tensor, fake: Tensor) -> Tensor:
        """1 where a real image is judged real, -1 where it is not, 0 where undecided; of the logits' shape.

        Where logits are relative, a real image is judged real when its logit is above that of the fake it is paired
        with, and not above the mean of all: so each part of a batch, or process, comes to the same without the others.
        """
        return (real - fake if self.relative else real - self.middle).sign()


def smoothed(objective: Objective, share: float) -> Objective:
    """The objective with real images labelled 1 - `share`; the fakes' label and the generator's loss stay.

    One-sided label smoothing (Salimans et al. 2016, arXiv:1606.03498, section 3.4): the best discriminator is then
    (1 - share) p_data / (p_data + p_G). Raises ConfigError where the objective has no labels.
    """
    if share == 0:
        return objective
    if not objective.labelled:
        raise ConfigError("label smoothing: the objective has no labels", "Take one of minimax, nonsaturating, lsgan.")
    if objective.middle == 0:
        middle = math.log((1 - share) / (1 + share))  # where the sigmoid is (1 - share) / 2
        constant = 0.0
    else:
        middle = (1 - share) / 2
        constant = share * share / 2 - share

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        # Cross entropy with the label 1 - share is that with 1 plus share times the logit; least squares, too, but for
        # a constant.
        return objective.discriminator(real, fake) + share * real.mean() + constant

    return replace(objective, discriminator=discriminator, middle=middle)


def _value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))], D the sigmoid of the logits (arXiv:1406.2661, eq. 1)."""
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


OBJECTIVES: Final[Mapping[str, Objective]] = {
    # G minimises the very value that D maximises: its gradient vanishes where D is sure (arXiv:1406.2661, section 3).
    "minimax": Objective(
        lambda real, fake: -_value(real, fake), lambda real, fake: F.logsigmoid(-fake).mean(), labelled=True
    ),
    "nonsaturating": Objective(
        lambda real, fake: -_value(real, fake), lambda real, fake: -F.logsigmoid(fake).mean(), labelled=True
    ),
    # Mao et al. 2017, arXiv:1611.04076, eq. 9: a = 0, b = c = 1. CycleGAN halves the discriminators' alone
    # (arXiv:1703.10593, sections 3.1 and 4), and the published weights of the other terms count on that.
    "lsgan": Objective(
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda real, fake: (fake - 1).square().mean(),
        middle=0.5,
        labelled=True,
    ),
    # Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16 and 17.
    "hinge": Objective(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda real, fake: -fake.mean()
    ),
    # Arjovsky et al. 2017, arXiv:1701.07875, eq. 2; wants a gradient penalty.
    "wasserstein": Objective(
        lambda real, fake: fake.mean() - real.mean(), lambda real, fake: -fake.mean(), relative=True
    ),
    # Jolicoeur-Martineau 2018, arXiv:1807.00734, as R3GAN pairs it (Huang et al. 2025, arXiv:2501.05441, eq. 2).
    "relativistic": Objective(
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda real, fake: F.softplus(real - fake).mean(),
        paired=True,
        relative=True,
    ),
}
