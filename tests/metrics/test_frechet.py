"""The Frechet distance against the formula in float64."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from i2i.metrics.frechet import frechet_distance


def reference(made, real):
    """Heusel et al. 2017, eq. 6, by scipy's root of a matrix."""
    one, other = np.cov(made, rowvar=False), np.cov(real, rowvar=False)
    middle = np.sum((made.mean(0) - real.mean(0)) ** 2)
    return middle + np.trace(one) + np.trace(other) - 2 * np.trace(sqrtm(one @ other)).real


@pytest.mark.parametrize(("made", "real"), [(200, 300), (40, 41), (40, 500)])
def test_frechet_distance_is_the_papers(made, real):
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(24, 24))
    one, other = rng.normal(size=(made, 24)) @ mixed, rng.normal(0.3, 1.5, size=(real, 24))
    found = frechet_distance(torch.tensor(one), torch.tensor(other))
    assert found == pytest.approx(reference(one, other), rel=1e-6)


def test_fewer_images_than_features_are_no_difficulty():
    """The root of a singular matrix is, to scipy: here the same by Gaussians of which it is known."""
    rng = np.random.default_rng(1)
    features = np.zeros((8, 64))
    features[:, :3] = rng.normal(size=(8, 3))
    spread = np.trace(np.cov(features, rowvar=False))
    # Twice as far from their middle, and 5 further: (2 - 1)^2 of the spread, and 5^2.
    larger = 2 * (features - features.mean(0)) + features.mean(0)
    larger[:, 63] += 5
    found = frechet_distance(torch.tensor(features).float(), torch.tensor(larger).float())
    assert found == pytest.approx(spread + 25, rel=1e-6)
    assert frechet_distance(torch.tensor(features), torch.tensor(features)) == pytest.approx(0, abs=1e-10)
