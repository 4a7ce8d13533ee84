"""The value function of the game, as what each player minimises given the discriminator's logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """Two losses of (logits of real, logits of fake), each a scalar; the logits have any one shape.

    paired: the generator's loss looks at the logits of the real images too.
    """

    discriminator: Loss
    generator: Loss
    paired: bool = False


def _value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))], D the sigmoid of the logits (arXiv:1406.2661, eq. 1)."""
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


OBJECTIVES: Final[Mapping[str, Objective]] = {
    # G minimises the very value that D maximises: its gradient vanishes where D is sure (arXiv:1406.2661, section 3).
    "minimax": Objective(lambda real, fake: -_value(real, fake), lambda real, fake: F.logsigmoid(-fake).mean()),
    "nonsaturating": Objective(lambda real, fake: -_value(real, fake), lambda real, fake: -F.logsigmoid(fake).mean()),
    # Mao et al. 2017, arXiv:1611.04076, eq. 9: a = 0, b = c = 1. CycleGAN halves the discriminators' alone
    # (arXiv:1703.10593, sections 3.1 and 4), and the published weights of the other terms count on that.
    "lsgan": Objective(
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda real, fake: (fake - 1).square().mean(),
    ),
    # Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16 and 17.
    "hinge": Objective(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda real, fake: -fake.mean()
    ),
    # Arjovsky et al. 2017, arXiv:1701.07875, eq. 2; wants a gradient penalty.
    "wasserstein": Objective(lambda real, fake: fake.mean() - real.mean(), lambda real, fake: -fake.mean()),
    # Jolicoeur-Martineau 2018, arXiv:1807.00734, as R3GAN pairs it (Huang et al. 2025, arXiv:2501.05441, eq. 2).
    "relativistic": Objective(
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda real, fake: F.softplus(real - fake).mean(),
        paired=True,
    ),
}
