"""Patches: which are taken, what they become, and the contrast between them in numpy's float64."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from i2i.nn.patches import PatchProjection, info_nce, mirrored, patches, places


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def contrast(queries, keys, temperature):
    """-log(exp(q.k+ / t) / (exp(q.k+ / t) + sum over the others exp(q.k- / t))), a query at a time."""
    losses = []
    for image in range(len(queries)):
        for place, query in enumerate(queries[image]):
            own = np.exp(query @ keys[image, place] / temperature)
            others = sum(
                np.exp(query @ other / temperature) for there, other in enumerate(keys[image]) if there != place
            )
            losses.append(-np.log(own / (own + others)))
    return np.mean(losses)


@pytest.mark.parametrize(("count", "temperature"), [(2, 0.07), (9, 0.07), (16, 1.0)])
def test_the_contrast_is_the_published_one(count, temperature):
    queries, keys = (nn.functional.normalize(drawn(3, count, 5, seed=seed), dim=2) for seed in (0, 1))
    expected = contrast(queries.numpy(), keys.numpy(), temperature)
    assert info_nce(queries, keys, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_the_contrast_of_what_cannot_be_told_apart_is_the_logarithm_of_how_many_there_are():
    same = nn.functional.normalize(torch.ones(2, 64, 8), dim=2)
    assert info_nce(same, same, 0.07).item() == pytest.approx(math.log(64), rel=1e-5)


def test_the_contrast_of_what_is_alike_and_unlike_the_rest_is_nothing():
    axes = torch.eye(16).expand(2, 16, 16)
    assert info_nce(axes, axes, 0.07).item() < 1e-4
    assert info_nce(axes, axes.roll(1, 1), 0.07).item() == pytest.approx(1 / 0.07, rel=1e-3)


def test_images_are_not_compared_with_each_other():
    queries, keys = (nn.functional.normalize(drawn(2, 6, 4, seed=seed), dim=2) for seed in (0, 1))
    alone = [info_nce(queries[index, None], keys[index, None], 0.07) for index in range(2)]
    torch.testing.assert_close(info_nce(queries, keys, 0.07), sum(alone) / 2)


def test_the_contrast_is_as_exact_under_autocast():
    queries, keys = (nn.functional.normalize(drawn(2, 6, 4, seed=seed), dim=2).float() for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        cast = info_nce(queries, keys, 0.07)
    assert torch.equal(cast, info_nce(queries, keys, 0.07))


def test_places_are_drawn_without_repetition_and_all_where_there_are_fewer():
    torch.manual_seed(0)
    features = torch.zeros(1, 2, 6, 5)
    one, other = places(features, 12), places(features, 12)
    assert one.shape == other.shape == (12,)
    assert len(one.unique()) == 12
    assert one.tolist() != other.tolist()
    assert sorted(places(features, 256).tolist()) == list(range(30))


def test_patches_are_what_stands_there():
    features = drawn(2, 3, 4, 5)
    taken = patches(features, torch.tensor([7, 0, 19]))
    for image in range(2):
        for number, (row, column) in enumerate([(1, 2), (0, 0), (3, 4)]):
            assert torch.equal(taken[image, number], features[image, :, row, column])


def test_only_the_chosen_images_are_mirrored():
    features = drawn(3, 2, 4, 5)
    made = mirrored(features, torch.tensor([True, False, True]))
    assert torch.equal(made[1], features[1])
    assert torch.equal(made[[0, 2]], features[[0, 2]].flip(3))


def test_a_projection_is_made_for_the_features_that_it_is_shown():
    seen = {"image": torch.empty(1, 3, 8, 8, device="meta"), "down1": torch.empty(1, 12, 4, 4, device="meta")}
    network = PatchProjection(seen, 6).double()
    shapes = [tuple(weight.shape) for name, weight in network.named_parameters() if name.endswith("weight")]
    assert shapes == [(6, 3), (6, 6), (6, 12), (6, 6)]
    taken = drawn(2, 5, 12)
    first, _, second = network.heads["down1"]
    hidden = (taken.numpy() @ first.weight.detach().numpy().T + first.bias.detach().numpy()).clip(min=0)
    made = hidden @ second.weight.detach().numpy().T + second.bias.detach().numpy()
    expected = made / np.linalg.norm(made, axis=2, keepdims=True)
    np.testing.assert_allclose(network("down1", taken).detach().numpy(), expected, atol=1e-6)
