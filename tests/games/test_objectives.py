"""Each objective against its formula, in float64 numpy, and its derivative by finite differences."""

import numpy as np
import pytest
import torch

from i2i.games.objectives import OBJECTIVES


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# What the papers write, as (discriminator minimises, generator minimises) of numpy arrays of logits.
FORMULAS = {
    "minimax": (
        lambda r, f: -(np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean()),
        lambda r, f: np.log(1 - sigmoid(f)).mean(),
    ),
    "nonsaturating": (
        lambda r, f: -(np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean()),
        lambda r, f: -np.log(sigmoid(f)).mean(),
    ),
    "lsgan": (
        lambda r, f: 0.5 * ((r - 1) ** 2).mean() + 0.5 * (f**2).mean(),
        lambda r, f: ((f - 1) ** 2).mean(),
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (
        lambda r, f: np.log(1 + np.exp(-(r - f))).mean(),
        lambda r, f: np.log(1 + np.exp(-(f - r))).mean(),
    ),
}


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(3)
    return tuple(2 * torch.randn(4, 1, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))


def test_every_objective_has_a_formula_here():
    assert set(FORMULAS) == set(OBJECTIVES)


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_are_the_published_formulas(name, logits):
    real, fake = logits
    for player, formula in zip(("discriminator", "generator"), FORMULAS[name], strict=True):
        loss = getattr(OBJECTIVES[name], player)(real, fake)
        assert loss.shape == ()
        assert loss.item() == pytest.approx(formula(real.numpy(), fake.numpy()), rel=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives_agree_with_finite_differences(name, logits):
    real, fake = (tensor.clone().requires_grad_() for tensor in logits)
    objective = OBJECTIVES[name]
    assert torch.autograd.gradcheck(objective.discriminator, (real, fake))
    if objective.paired:
        assert torch.autograd.gradcheck(objective.generator, (real, fake))
    else:
        assert torch.autograd.gradcheck(lambda f: objective.generator(real.detach(), f), (fake,))


@pytest.mark.parametrize("name", FORMULAS)
def test_only_a_paired_generator_loss_looks_at_real_logits(name, logits):
    real, fake = logits
    objective = OBJECTIVES[name]
    changed = objective.generator(real + 1, fake) != objective.generator(real, fake)
    assert bool(changed) == objective.paired


@pytest.mark.parametrize("name", ["minimax", "nonsaturating", "relativistic"])
def test_losses_stay_finite_where_the_discriminator_is_sure(name):
    sure = torch.tensor([1e4])
    objective = OBJECTIVES[name]
    for loss in (
        objective.discriminator(-sure, sure),
        objective.generator(-sure, sure),
        objective.generator(sure, -sure),
    ):
        assert torch.isfinite(loss)
