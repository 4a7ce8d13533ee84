"""Each objective against its formula, in float64 numpy, and its derivative by finite differences."""

import numpy as np
import pytest
import torch

from i2i.config.sections import LABELLED
from i2i.errors import ConfigError
from i2i.games.objectives import OBJECTIVES, smoothed


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


def cross_entropy(r, f, share):
    return -(((1 - share) * np.log(sigmoid(r)) + share * np.log(1 - sigmoid(r))).mean() + np.log(1 - sigmoid(f)).mean())


SMOOTHED = {
    "minimax": cross_entropy,
    "nonsaturating": cross_entropy,
    "lsgan": lambda r, f, share: 0.5 * ((r - (1 - share)) ** 2).mean() + 0.5 * (f**2).mean(),
}


def test_those_that_compare_with_labels_are_the_ones_that_can_be_smoothed():
    assert {name for name, objective in OBJECTIVES.items() if objective.labelled} == set(SMOOTHED) == set(LABELLED)


@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("name", SMOOTHED)
def test_smoothing_labels_real_images_1_minus_the_share_for_the_discriminator_alone(name, share, logits):
    real, fake = logits
    objective = smoothed(OBJECTIVES[name], share)
    expected = SMOOTHED[name](real.numpy(), fake.numpy(), share)
    assert objective.discriminator(real, fake).item() == pytest.approx(expected, rel=1e-12)
    assert torch.equal(objective.generator(real, fake), OBJECTIVES[name].generator(real, fake))


@pytest.mark.parametrize("share", [0, 0.1, 0.3])
@pytest.mark.parametrize("name", SMOOTHED)
def test_the_middle_is_where_a_discriminator_ends_that_cannot_tell_real_from_fake(name, share):
    """The logit that is best for both, found by halving: the loss falls before it and rises after it."""
    objective = smoothed(OBJECTIVES[name], share)
    low, high = -5.0, 5.0
    for _ in range(60):
        logit = torch.tensor([(low + high) / 2], dtype=torch.float64, requires_grad=True)
        objective.discriminator(logit, logit).backward()
        tried = logit.item()
        low, high = (low, tried) if logit.grad > 0 else (tried, high)
    assert objective.middle == pytest.approx(low, abs=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_nothing_smoothed_is_the_objective_itself(name):
    assert smoothed(OBJECTIVES[name], 0) is OBJECTIVES[name]


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - set(SMOOTHED)))
def test_what_has_no_labels_cannot_be_smoothed(name):
    with pytest.raises(ConfigError, match="no labels"):
        smoothed(OBJECTIVES[name], 0.1)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_signs_do_not_change_with_what_the_loss_does_not_see(name, logits):
    """Where one number added to all logits changes no discriminator's loss, it changes no sign."""
    real, fake = logits
    objective = OBJECTIVES[name]
    unseen = torch.allclose(objective.discriminator(real + 3, fake + 3), objective.discriminator(real, fake))
    assert unseen == objective.relative
    assert unseen == torch.equal(objective.signs(real + 3, fake + 3), objective.signs(real, fake))
