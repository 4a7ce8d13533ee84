"""A game that computes with its part of a batch what one process computes with the whole."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2i.training.whole import WholeBatch
from i2i.training.world import ALONE, World

LENGTH = 3
SIZES = (2, 4)


def channels_last(images):
    return images.contiguous(memory_format=torch.channels_last)


DRAWS = {
    "rand": lambda x: torch.rand(len(x), 5),
    "randn of a size": lambda x: torch.randn(size=(len(x), 5)),
    "randint": lambda x: torch.randint(5, (len(x),)),
    "randint from": lambda x: torch.randint(2, 5, size=[len(x), 2]),
    "normal of numbers": lambda x: torch.normal(0.0, 1.0, (len(x), 20)),
    "normal of tensors": lambda x: torch.normal(x, 0.1),
    "rand_like": torch.rand_like,
    "randn_like, channels last": lambda x: torch.randn_like(channels_last(x)),
    "bernoulli": torch.bernoulli,
    "bernoulli of itself": lambda x: x.bernoulli(0.3),
    "bernoulli in place": lambda x: torch.empty_like(x).bernoulli_(x),
    "normal in place": lambda x: torch.empty_like(x).normal_(1, 2),
    "uniform in place": lambda x: torch.empty_like(x).uniform_(),
    "a distribution": lambda x: torch.distributions.Laplace(0.0, 1.0).sample((len(x),)),
    "gumbel softmax": lambda x: F.gumbel_softmax(x.flatten(1)),
    "dropout": lambda x: F.dropout(x, 0.3),
    "dropout, channels last": lambda x: F.dropout(channels_last(x)),
    "dropout in place": lambda x: F.dropout(x.clone(), inplace=True),
    "dropout in bfloat16": lambda x: F.dropout(x.bfloat16()),
    "dropout of channels": F.dropout2d,
    "alpha dropout": lambda x: F.alpha_dropout(x, training=True),
    "no dropout": lambda x: F.dropout(x, training=False),
}


@pytest.fixture
def images():
    return torch.rand(4 * LENGTH, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("draw", DRAWS)
def test_each_process_draws_its_part_of_what_one_would(images, draw, size):
    images = images[: LENGTH * size]
    torch.manual_seed(1)
    wanted, state = DRAWS[draw](images), torch.get_rng_state()
    got = []
    for rank, part in enumerate(images.split(LENGTH)):
        torch.manual_seed(1)
        with WholeBatch(World(rank, size, rank), LENGTH):
            got.append(DRAWS[draw](part))
        assert torch.equal(torch.get_rng_state(), state)
        assert got[-1].stride() == wanted.stride()
    assert torch.equal(torch.cat(got), wanted)


def test_of_two_batches_one_behind_the_other_each_process_has_its_part_of_both(images):
    torch.manual_seed(1)
    wanted = F.dropout(torch.cat([images, images + 1]))
    got = []
    for rank, part in enumerate(images.split(LENGTH)):
        torch.manual_seed(1)
        with WholeBatch(World(rank, 4, rank), LENGTH):
            got.append(F.dropout(torch.cat([part, part + 1])))
    first, second = zip(*(both.split(LENGTH) for both in got), strict=True)
    assert torch.equal(torch.cat([*first, *second]), wanted)


def test_the_gradient_of_dropout_is_its_mask(images):
    part = images[:LENGTH].requires_grad_()
    torch.manual_seed(1)
    with WholeBatch(World(0, 2, 0), LENGTH):
        kept = F.dropout(part, 0.25)
    (gradient,) = torch.autograd.grad(kept.sum(), part)
    assert torch.equal(gradient, (kept != 0) / 0.75)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.rand(()),
        lambda: torch.randperm(9),
        lambda: torch.randint(7, ()),
        lambda: torch.randn(1, 8),
        lambda: torch.rand(5 * LENGTH),
    ],
)
def test_what_is_not_of_the_batch_is_the_same_in_all(draw):
    torch.manual_seed(1)
    wanted = draw()
    for rank in range(2):
        torch.manual_seed(1)
        with WholeBatch(World(rank, 2, rank), LENGTH):
            assert torch.equal(draw(), wanted)


def test_one_process_draws_as_without(images):
    for draw in DRAWS.values():
        torch.manual_seed(1)
        wanted = draw(images)
        torch.manual_seed(1)
        with WholeBatch(ALONE, len(images)):
            assert torch.equal(draw(images), wanted)


@dataclass(frozen=True)
class Thread(World):
    """One of several threads that stand for processes."""

    table: list = field(default_factory=list)
    barrier: threading.Barrier | None = None

    def _all(self, tensor):
        self.table[self.rank] = tensor.detach().clone()
        self.barrier.wait()
        seen = list(self.table)
        self.barrier.wait()
        return seen

    def sum(self, tensor):
        with torch.no_grad():
            tensor.copy_(torch.stack(self._all(tensor)).sum(0))
        return tensor

    def whole(self, part):
        return torch.cat(self._all(part))


def together(size, play):
    """What `play` gives for each of so many worlds at once."""
    table, barrier = [None] * size, threading.Barrier(size, timeout=30)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(play, [Thread(rank, size, rank, table=table, barrier=barrier) for rank in range(size)]))


class Judge(nn.Module):
    def __init__(self, affine=True, momentum=0.1):
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4, affine=affine, momentum=momentum)
        self.head = nn.Linear(4, 1)
        self.last = nn.BatchNorm1d(1)

    def forward(self, images):
        return self.last(self.head(F.silu(self.norm(self.first(images))).mean((2, 3))))


def penalised(network, images):
    """The mean of a loss over the images, with R1: half the squared gradient of each image."""
    images = images.detach().requires_grad_()
    logits = network(images)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return F.softplus(logits).mean() + 10 * gradient.flatten(1).square().sum(1).mean() / 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"momentum": None}])
def test_batch_norm_and_what_is_differentiated_through_it_twice_are_those_of_the_whole_batch(images, settings, size):
    images = images[: LENGTH * size].double()
    alone = Judge(**settings).double()
    wanted = penalised(alone, images)
    wanted.backward()

    def play(world):
        network = networks[world.rank]
        with WholeBatch(world, LENGTH):
            loss = penalised(network, images[world.rank * LENGTH : (world.rank + 1) * LENGTH])
            loss.backward()
        return loss.detach()

    networks = [Judge(**settings).double() for _ in range(size)]
    losses = together(size, play)
    assert torch.stack(losses).mean() == pytest.approx(wanted.item(), rel=1e-12)
    for parameters in zip(alone.parameters(), *(network.parameters() for network in networks), strict=True):
        one, *parts = (parameter.grad for parameter in parameters)
        torch.testing.assert_close(sum(parts) / size, one, rtol=1e-9, atol=1e-13)
    for name, value in alone.named_buffers():
        for network in networks:
            torch.testing.assert_close(network.get_buffer(name), value, rtol=1e-12, atol=1e-15)


def test_batch_norm_keeps_layout_and_type_and_counts_in_float32(images):
    images = channels_last(images[: 2 * LENGTH] + 100)

    def play(world):
        with WholeBatch(world, LENGTH):
            return nn.BatchNorm2d(3)(images.bfloat16()[world.rank * LENGTH : (world.rank + 1) * LENGTH])

    parts = together(2, play)
    assert all(part.dtype == torch.bfloat16 for part in parts)
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in parts)
    wanted = nn.BatchNorm2d(3)(images.bfloat16().float())
    torch.testing.assert_close(torch.cat(parts).float(), wanted, rtol=2**-7, atol=1e-4)


def test_batch_norm_that_is_not_trained_exchanges_nothing(images):
    norm = nn.BatchNorm2d(3).eval()
    with WholeBatch(World(0, 2, 0), LENGTH):
        assert torch.equal(norm(images), norm(images))


def test_running_averages_of_instance_norm_are_those_of_the_whole_batch(images):
    images = images[: 2 * LENGTH]
    alone = nn.InstanceNorm2d(3, track_running_stats=True)
    wanted = alone(images)
    norms = [nn.InstanceNorm2d(3, track_running_stats=True) for _ in range(2)]

    def play(world):
        with WholeBatch(world, LENGTH):
            return norms[world.rank](images[world.rank * LENGTH : (world.rank + 1) * LENGTH])

    torch.testing.assert_close(torch.cat(together(2, play)), wanted)
    for norm in norms:
        torch.testing.assert_close(norm.running_mean, alone.running_mean)
        torch.testing.assert_close(norm.running_var, alone.running_var)


def test_what_draws_by_the_values_that_it_is_given_sees_all_of_them(images):
    rates = 20 * images[: 2 * LENGTH]
    torch.manual_seed(1)
    wanted = torch.poisson(rates)
    table, barrier = [*rates.split(LENGTH)], threading.Barrier(1)
    for rank, part in enumerate(rates.split(LENGTH)):  # one after the other, as they share a random state
        torch.manual_seed(1)
        with WholeBatch(Thread(rank, 2, rank, table=table, barrier=barrier), LENGTH):
            assert torch.equal(torch.poisson(part), wanted[rank * LENGTH : (rank + 1) * LENGTH])
