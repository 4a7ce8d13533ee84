"""Precision and recall by brute force."""

import numpy as np
import pytest
import torch

from i2i.metrics.manifold import Covered, covered
from i2i.metrics.sets import Rows, TwoSets, nearest


def brute(points, manifold, k):
    """Kynkaanniemi et al. 2019, eq. 1, point by point."""
    inside = 0
    for point in points:
        for number, other in enumerate(manifold):
            apart = sorted(np.linalg.norm(other - each) for i, each in enumerate(manifold) if i != number)
            if np.linalg.norm(point - other) <= apart[k - 1]:
                inside += 1
                break
    return inside / len(points)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.8, 1, size=(37, 3)), rng.normal(size=(29, 3))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_share_inside_is_that_of_brute_force(k):
    made, real = drawn()
    found = covered(torch.tensor(made), torch.tensor(real), k)
    assert found == pytest.approx(brute(made, real, k), rel=1e-6)
    assert 0.2 < found < 1


def test_precision_is_of_outputs_among_targets_and_recall_the_reverse():
    made, real = drawn(1)
    sets = TwoSets(*(Rows.one_each(torch.tensor(each)) for each in (made, real)))
    assert Covered(sets).value() == pytest.approx(brute(made, real, 3), rel=1e-6)
    assert Covered(sets, reverse=True).value() == pytest.approx(brute(real, made, 3), rel=1e-6)


def test_halves_are_scored_as_if_there_were_nothing_else():
    made, real = (torch.tensor(each) for each in drawn(2))
    sets = TwoSets(Rows.one_each(made), Rows.one_each(real))
    found = Covered(sets).resampled(0, 5)
    expected = [covered(made, real), *(covered(made[one], real[other]) for one, other in sets.halves(20, 5))]
    assert found.tolist() == pytest.approx(expected)
    assert len(set(found.tolist())) > 5


def test_one_mode_of_two_is_precise_and_recalls_half():
    rng = np.random.default_rng(3)
    real = np.concatenate([rng.normal(size=(200, 2)), rng.normal(50, 1, size=(200, 2))])
    made = rng.normal(size=(400, 2))
    assert covered(torch.tensor(made), torch.tensor(real)) > 0.9
    assert covered(torch.tensor(real), torch.tensor(made)) == pytest.approx(0.5, abs=0.05)


def test_the_nearest_of_others_is_found():
    made, real = drawn(4)
    expected = [min(np.linalg.norm(one - other) for other in real) for one in made]
    assert nearest(torch.tensor(made), torch.tensor(real), chunk=10) == pytest.approx(expected)
