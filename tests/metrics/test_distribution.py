"""Kernel distance, Parzen likelihood and deviation against their definitions, written out."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from i2i.metrics.deviation import deviation
from i2i.metrics.kernel import kernel_distance
from i2i.metrics.parzen import WIDTHS, log_likelihood, parzen


def test_kernel_distance_is_the_unbiased_estimate_of_the_paper():
    rng = np.random.default_rng(1)
    made, real = rng.normal(size=(5, 7)), rng.normal(0.3, 1, size=(8, 7))

    def kernel(x, y):
        return (x @ y / 7 + 1) ** 3

    within = [np.mean([kernel(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (made, real)]
    across = np.mean([kernel(x, y) for x in made for y in real])
    found = kernel_distance(torch.tensor(made), torch.tensor(real))
    assert found == pytest.approx(within[0] + within[1] - 2 * across)


def test_kernel_distance_is_about_nothing_for_one_distribution_and_grows_with_the_difference():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(400, 16, generator=generator) for _ in range(2))
    same, near, far = (kernel_distance(one, other + shift) for shift in (0.0, 0.5, 1.0))
    assert abs(same) < 0.02
    assert near > 0.2
    assert far > 2 * near


def squared(made, real):
    return torch.tensor([[np.sum((x - m) ** 2) for m in np.asarray(made)] for x in np.asarray(real)])


def test_parzen_is_the_density_of_a_mixture_of_gaussians():
    rng = np.random.default_rng(2)
    made, real = rng.random((4, 3)), rng.random((6, 3))
    density = [np.mean([multivariate_normal(m, 0.2**2).pdf(x) for m in made]) for x in real]
    found = log_likelihood(squared(made, real), 3, 0.2)
    assert found.numpy() == pytest.approx(np.log(density))


def test_parzen_chooses_the_width_on_one_half_and_reports_the_other():
    generator = torch.Generator().manual_seed(3)
    made, real = torch.rand(30, 5, generator=generator), torch.rand(20, 5, generator=generator)
    by_width = {width: float(log_likelihood(squared(made, real[0::2]), 5, width).mean()) for width in WIDTHS}
    best = max(by_width, key=by_width.get)
    expected = float(log_likelihood(squared(made, real[1::2]), 5, best).mean())
    assert parzen(made, real) == pytest.approx(expected, rel=1e-5)
    assert parzen(real, real) > parzen(made, real)


def test_deviation_is_that_of_each_pixel_over_the_images():
    images = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 4.0], [1.0, 4.0]])
    assert deviation(images) == pytest.approx((0.5 + 2.0) / 2)


def test_deviation_within_classes_sees_a_collapse_that_the_whole_does_not():
    rng = np.random.default_rng(4)
    prototypes = rng.random((10, 64))
    labels = torch.arange(200) % 10
    collapsed = torch.tensor(prototypes[labels.numpy()])
    diverse = collapsed + 0.3 * torch.tensor(rng.normal(size=(200, 64)))
    assert deviation(collapsed) > 0.2
    assert deviation(collapsed, labels) == pytest.approx(0)
    assert deviation(diverse, labels) == pytest.approx(0.3, rel=0.1)
    assert deviation(diverse[:1], labels[:1]) == 0  # one image says nothing
