"""Spectral norm: the largest singular value is 1, gradients know of it, and what is deployed are plain layers."""

import pytest
import torch
from torch import nn

from i2i.nn.spectral import folded, spectral_


def images(seed=0):
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 4, 2), nn.Flatten(), nn.Linear(80, 2))
    return spectral_(made)


def largest(weight):
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2))


def test_passes_in_training_bring_the_largest_singular_value_to_1(network):
    for _ in range(100):
        network(images())
    network.eval()
    for part in (network[0], network[2], network[4]):
        assert largest(part.weight) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("layer", "shape", "outputs"),
    [
        (nn.Conv1d(3, 8, 3), (2, 3, 9), 0),
        (nn.Conv2d(4, 8, 3, groups=2), (2, 4, 9, 9), 0),
        (nn.Conv3d(3, 8, 2), (2, 3, 4, 4, 4), 0),
        (nn.ConvTranspose1d(3, 8, 3), (2, 3, 9), 1),
        (nn.ConvTranspose2d(3, 8, 3), (2, 3, 5, 5), 1),
        (nn.ConvTranspose3d(3, 8, 2), (2, 3, 3, 3, 3), 1),
        (nn.Linear(6, 4), (2, 6), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_every_kind_of_layer_has_its_outputs_as_rows(layer, shape, outputs):
    layer = spectral_(nn.Sequential(layer))
    for _ in range(100):
        layer(torch.rand(shape))
    layer.eval()
    rows = layer[0].weight.detach().movedim(outputs, 0).flatten(1)
    assert float(torch.linalg.matrix_norm(rows, 2)) == pytest.approx(1, abs=1e-3)


def test_twice_is_once(network):
    names = set(network.state_dict())
    network.eval()
    before = network(images())
    assert set(spectral_(network).state_dict()) == names
    assert torch.equal(network(images()), before)


def test_weights_that_are_bound_elsewhere_are_left():
    """Parametrised by others, old and new, shared by two layers, or frozen."""
    parametrised = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    hooked = nn.utils.spectral_norm(nn.Linear(4, 4))
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.weight = one.weight
    frozen = nn.Linear(4, 4).requires_grad_(False)
    network = nn.ModuleList([parametrised, hooked, one, other, frozen, nn.Linear(4, 4)])
    names = [name for name, _ in network.named_parameters() if not name.startswith("5.")]
    spectral_(network)
    assert [name for name, _ in network.named_parameters() if not name.startswith("5.")] == names
    assert other.weight is one.weight
    assert "5.parametrizations.weight.original" in dict(network.named_parameters())


def test_a_layer_that_is_used_twice_gets_it_once():
    layer = nn.Linear(4, 4)
    spectral_(nn.Sequential(layer, layer))
    assert len(layer.parametrizations.weight) == 1


def test_in_double_precision_it_stays_there():
    layer = spectral_(nn.Linear(6, 4).double())
    assert layer(torch.rand(2, 6, dtype=torch.double)).dtype == torch.double
    assert {value.dtype for value in layer.state_dict().values()} == {torch.double}


def test_in_use_nothing_changes(network):
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert torch.equal(network(images()), network(images()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_gradient_is_that_of_the_quotient():
    """d(W / s)/dW for s = u'Wv with u and v held: against differences of the loss."""
    torch.manual_seed(0)
    layer = spectral_(nn.Linear(6, 4, bias=False)).eval().double()
    given = torch.rand(3, 6, dtype=torch.double)
    raw = layer.parametrizations.weight.original
    layer(given).square().sum().backward()
    with torch.no_grad():
        for place in [(0, 0), (2, 3), (3, 5)]:
            sides = []
            for step in (1e-6, -1e-6):
                raw[place] += step
                sides.append(layer(given).square().sum())
                raw[place] -= step
            assert raw.grad[place] == pytest.approx(float(sides[0] - sides[1]) / 2e-6, rel=1e-5)


def test_two_passes_may_come_before_their_gradients(network):
    (network(images()).sum() + network(images(1)).sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_it_is_computed_in_float32_under_autocast(network):
    seen = []
    network[0].register_forward_hook(lambda part, *_: seen.append(part.weight))
    with torch.autocast("cpu", torch.bfloat16):
        network(images())
    assert seen[0].dtype == torch.float32
    network.eval()
    assert torch.equal(seen[0], network[0].weight)


def test_folded_it_is_the_same_function_of_plain_layers(network):
    network.eval()
    plain = folded(network)
    assert torch.equal(plain(images()), network(images()))
    assert {type(part) for part in plain} == {nn.Conv2d, nn.ReLU, nn.Flatten, nn.Linear}
    assert plain.state_dict().keys() == {f"{number}.{kind}" for number in (0, 2, 4) for kind in ("weight", "bias")}
    assert "0.parametrizations.weight.original" in network.state_dict()  # the network itself is what it was
