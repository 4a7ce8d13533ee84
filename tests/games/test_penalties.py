"""Gradient penalties on discriminators whose gradient is known in closed form."""

import pytest
import torch
from torch import nn

from i2i.games.game import Match
from i2i.games.penalties import PENALTIES, gradient_penalty, r1, r2


class Linear(nn.Module):
    """D(x, y) = <w, x> + <w, y>: its gradient at any x is w."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64))

    def forward(self, image, condition):
        seen = image if condition is None else image + condition
        return (self.weight.to(seen.dtype) * seen).sum((1, 2, 3))[:, None]


class Quadratic(nn.Module):
    """D(x) = a |x|^2 / 2: its gradient at x is a x."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.7))

    def forward(self, image, condition):
        return self.a * image.square().flatten(1).sum(1, keepdim=True) / 2


class Patches(nn.Module):
    """Sees every image four times: the penalty is that of the mean logit, however many there are."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image, condition):
        return self.inner(image, condition).repeat(1, 4).reshape(-1, 1, 2, 2)


@pytest.fixture
def match():
    generator = torch.Generator().manual_seed(2)
    real, fake, condition = (torch.randn(5, 2, 3, 3, generator=generator) for _ in range(3))
    return Match(Linear((2, 3, 3)), real, fake, condition)


def test_a_linear_discriminator_is_penalised_for_its_slope_alone(match):
    squared = match.discriminator.weight.square().sum().item()
    assert r1(match).item() == pytest.approx(squared / 2, rel=1e-5)
    assert r2(match).item() == pytest.approx(squared / 2, rel=1e-5)
    assert gradient_penalty(match).item() == pytest.approx((squared**0.5 - 1) ** 2, rel=1e-5)


def test_r1_looks_at_real_images_and_r2_at_fake_ones(match):
    match = Match(Quadratic(), match.real, match.fake)
    for penalty, images in ((r1, match.real), (r2, match.fake)):
        expected = 0.5 * 0.7**2 * images.double().square().sum((1, 2, 3)).mean().item()
        assert penalty(match).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_the_number_of_logits_of_an_image_changes_nothing(name, match):
    values = []
    for discriminator in (match.discriminator, Patches(match.discriminator)):
        torch.manual_seed(0)
        values.append(PENALTIES[name](Match(discriminator, match.real, match.fake, match.condition)).item())
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_gradient_penalty_looks_between_real_and_fake(match):
    """Where both are the same image x, so is every point between: the penalty is (a|x| - 1)^2."""
    match = Match(Quadratic(), match.real, match.real)
    norms = 0.7 * match.real.double().square().sum((1, 2, 3)).sqrt()
    assert gradient_penalty(match).item() == pytest.approx((norms - 1).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_can_be_descended(name, match):
    match = Match(Quadratic(), match.real, match.fake)
    torch.manual_seed(0)
    before = PENALTIES[name](match)
    before.backward()
    with torch.no_grad():
        match.discriminator.a -= 1e-3 * match.discriminator.a.grad.sign()
    torch.manual_seed(0)
    assert PENALTIES[name](match) < before


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_float32_inside_autocast(name, match):
    match = Match(nn.Sequential(), match.real, match.fake)
    convolution = nn.Conv2d(2, 4, 3)
    seen = []

    class Spy(nn.Module):
        def forward(self, image, condition):
            made = convolution(image)
            seen.append(made.dtype)
            return made

    match = Match(Spy(), match.real.bfloat16(), match.fake.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert PENALTIES[name](match).dtype == torch.float32
    assert seen == [torch.float32]


def test_gradient_penalty_has_a_derivative_where_the_gradient_is_zero(match):
    discriminator = nn.Conv2d(2, 1, 3)
    nn.init.zeros_(discriminator.weight)

    class Flat(nn.Module):
        def forward(self, image, condition):
            return discriminator(image)

    gradient_penalty(Match(Flat(), match.real, match.fake)).backward()
    assert torch.isfinite(discriminator.weight.grad).all()


@pytest.mark.parametrize("name", PENALTIES)
def test_images_in_float64_are_penalised_in_float64(name, match):
    seen = []

    class Spy(nn.Module):
        def forward(self, image, condition):
            seen.append(image.dtype)
            return image.square()

    penalty = PENALTIES[name](Match(Spy(), match.real.double(), match.fake.double()))
    assert penalty.dtype == torch.float64
    assert seen == [torch.float64]


def test_between_real_and_fake_the_points_are_the_same_in_float64(match):
    values = []
    for real, fake in ((match.real, match.fake), (match.real.double(), match.fake.double())):
        torch.manual_seed(0)
        values.append(gradient_penalty(Match(Quadratic(), real, fake)).item())
    assert values[0] == pytest.approx(values[1], rel=1e-5)
