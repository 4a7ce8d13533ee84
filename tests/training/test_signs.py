"""What is seen of a game, against counting by hand; and that looking changes nothing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from i2i.games.game import Export, Game, Match
from i2i.nn.spectral import spectral_
from i2i.training.average import Average
from i2i.training.signs import LEAST, MOST, count, examples, signs

CPU = torch.device("cpu")


class Scaled(nn.Module):
    """An image from one number: the whole image has it."""

    def __init__(self, factor, side=2):
        super().__init__()
        self.factor, self.side = nn.Parameter(torch.tensor(float(factor))), side

    def forward(self, given):
        return self.factor * given.flatten(1).mean(1)[:, None, None, None].expand(-1, 1, self.side, self.side)


class Mean(nn.Module):
    """Logits: the mean of each image, twice, the second one shifted."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.ones(())), shift

    def forward(self, images, condition):
        mean = self.weight * images.flatten(1).mean(1)
        return torch.stack([mean, mean + self.shift], 1)


class Small(Game):
    def __init__(self, judges, factor=1.0, noise=0, side=2):
        super().__init__()
        self.generators = nn.ModuleDict({"G": Scaled(factor, side)})
        self.discriminators = nn.ModuleDict({str(number): judge for number, judge in enumerate(judges)})
        self.noise = noise

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["noise" if self.noise else "input"])}

    def matches(self, batch, outputs):
        for judge in self.discriminators.values():
            yield Match(judge, batch["target"], outputs["fake"])

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self):
        return {"G": Export(self.generators["G"], 1, 1, 1)}


def pictures(values, side=2):
    """An image of each value, as they come from a loader that does not count in levels."""
    return np.repeat(np.asarray(values, np.float32), side * side).reshape(-1, 1, side, side)


def batch(inputs, targets, **more):
    return {"input": pictures(inputs), "target": pictures(targets), **more}


def look(game, train, held, middle=0.0):
    return signs(game, Average(game, 0).game, middle, train, held, CPU)


def mean_distance(values):
    """Of images that have one value each, 2 x 2."""
    pairs = [(a, b) for place, a in enumerate(values) for b in values[:place]]
    return np.mean([2 * abs(a - b) for a, b in pairs])


def test_shares_are_of_all_places_that_are_judged_rightly():
    game = Small([Mean(shift=-0.5)], factor=-1.0)
    train = [batch([0.2, -0.9], [0.3, 0.8]), batch([0.7], [-0.1])]
    held = [batch([0.1, 0.2, 0.3], [0.1, 0.6, -0.2])]
    seen = look(game, train, held)
    # Reals 0.3, 0.8, -0.1 and, shifted, -0.2, 0.3, -0.6; fakes -0.2, 0.9, -0.7 and -0.7, 0.4, -1.2.
    assert seen["real_train"] == pytest.approx(3 / 6)
    assert seen["fake"] == pytest.approx(4 / 6)
    assert seen["real_held"] == pytest.approx(3 / 6)


def test_the_border_is_that_of_the_objective_or_half_way():
    game = Small([Mean()], factor=1.0)
    train, held = [batch([0.0, 0.2], [0.6, 1.0])], [batch([0.0, 0.0], [0.4, 0.7])]
    assert look(game, train, held, middle=0.5)["real_held"] == 0.5
    assert look(game, train, held, middle=0.65)["real_train"] == 0.5
    seen = look(game, train, held, middle=None)  # between 0.8 and 0.1
    assert (seen["real_train"], seen["fake"], seen["real_held"]) == (1.0, 1.0, 0.5)


def test_matches_count_alike_and_the_least_diversity_is_told():
    game = Small([Mean(), Mean(shift=-10.0)])
    seen = look(game, [batch([0.1, 0.4], [0.5, 0.9])], [batch([0.1, 0.4], [0.5, 0.9])])
    assert seen["real_train"] == pytest.approx(3 / 4)
    assert seen["diversity"] == pytest.approx(0.3 / 0.4)


def test_diversity_is_the_mean_distance_of_two_images_over_that_of_two_others():
    inputs, targets = [0.1, 0.5, -0.3, 0.2], [0.9, -0.4, 0.0, 0.3]
    seen = look(Small([Mean()], factor=0.25), [], [batch(inputs[:3], targets[:3]), batch(inputs[3:], targets[3:])])
    made = mean_distance([0.25 * value for value in inputs])
    assert seen["diversity"] == pytest.approx(made / mean_distance(targets), rel=1e-5)
    assert seen["diversity_inputs"] == pytest.approx(0.25, rel=1e-5)
    assert "real_train" not in seen


def test_images_are_compared_at_32_pixels():
    rng = np.random.default_rng(0)
    large = rng.uniform(-1, 1, (4, 1, 64, 96)).astype(np.float32)
    small = large.reshape(4, 1, 32, 2, 32, 3).mean((3, 5)).reshape(4, -1).astype(np.float64)
    pairs = [np.linalg.norm(small[a] - small[b]) for a in range(4) for b in range(a)]
    given = pictures([0.0, 0.1, 0.2, 0.4], side=2)

    class Wide(Small):
        def matches(self, batch, outputs):
            yield Match(self.discriminators["0"], batch["target"], outputs["fake"].expand(-1, -1, -1, 96))

    game = Wide([Mean()])
    game.generators["G"] = Scaled(1.0, side=1)
    game.generate = lambda batch: {"fake": game.generators["G"](batch["input"]).expand(-1, -1, 64, 1)}
    seen = signs(game, game, 0.0, [], [{"input": given, "target": large}], CPU)
    made = [32 * abs(a - b) for place, a in enumerate([0.0, 0.1, 0.2, 0.4]) for b in [0.0, 0.1, 0.2, 0.4][:place]]
    assert seen["diversity"] == pytest.approx(np.mean(made) / np.mean(pairs), rel=1e-4)


def test_of_two_ways_each_is_compared_with_what_it_is_made_of():
    class Both(Small):
        def generate(self, batch):
            make = self.generators["G"]
            return {"there": make(batch["input"]), "back": make(batch["target"])}

        def matches(self, batch, outputs):
            yield Match(self.discriminators["0"], batch["input"], outputs["back"])
            yield Match(self.discriminators["1"], batch["target"], outputs["there"])

    game = Both([Mean(), Mean()], factor=0.5)
    seen = look(game, [], [batch([0.0, 1.0], [0.0, 0.1])])
    assert seen["diversity_inputs"] == pytest.approx(0.5)
    assert seen["diversity"] == pytest.approx(0.05)  # the way back, against inputs


def test_classes_are_those_of_the_nearest_training_image():
    class Labelled(Small):
        def generate(self, batch):
            # All of class 2 look like class 0; class 1 is always the same.
            made = torch.tensor([0.0, 0.5, 0.1])[batch["label"]]
            return {
                "fake": (made + 0.01 * batch["input"].flatten(1)[:, 0] * (batch["label"] != 1)).reshape(-1, 1, 1, 1)
            }

    labels = np.repeat([0, 1, 2], 4)
    places = np.array([0.0, 0.5, 1.0])[labels] + np.tile([0.0, 0.02, 0.04, 0.06], 3)
    raw = batch(np.tile([0.0, 1.0, 2.0, 3.0], 3), places, label=labels)
    raw["target"] = raw["target"][..., :1, :1]
    game = Labelled([Mean()])
    seen = signs(game, game, 0.0, [raw], [raw], CPU)
    assert seen["coverage"] == pytest.approx(2 / 3)
    assert seen["diversity_class"] == 0
    without = {name: array for name, array in raw.items() if name != "label"}
    assert not {"coverage", "diversity_class"} & signs(Small([Mean()]), game, 0.0, [without], [], CPU).keys()


def test_fakes_are_the_live_generators_and_diversity_the_averaged_ones():
    live, average = Small([Mean()], factor=-1.0), Small([Mean()], factor=0.5)
    raw = [batch([0.2, 0.8], [0.1, 0.7])]
    seen = signs(live, average, 0.0, raw, raw, CPU)
    assert seen["fake"] == 1.0
    assert seen["diversity"] == pytest.approx(0.5)


class Layered(nn.Module):
    """All that has a state of its own: batch norm, spectral norm, dropout."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 2), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 1, 1))

    def forward(self, images, condition=None):
        return self.net(images)


def layered():
    torch.manual_seed(0)
    game = Small([Layered()], noise=3)
    spectral_(game.discriminators["0"])
    game.generators["G"] = nn.Sequential(Scaled(1.0, 3), Layered(), nn.Upsample(3))
    return game


def test_looking_changes_nothing_and_gives_the_same_again():
    game = layered().train()
    average = Average(game, 0.5).game
    raws = [{"target": np.random.default_rng(seed).normal(size=(4, 1, 3, 3)).astype(np.float32)} for seed in (0, 1)]
    before = copy.deepcopy(game.state_dict()), copy.deepcopy(average.state_dict())
    modes = [module.training for module in game.modules()]
    wants = [parameter.requires_grad for parameter in game.parameters()]
    torch.manual_seed(3)
    torch.rand(5)
    state = torch.get_rng_state()
    first = signs(game, average, 0.0, raws, raws, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in game.modules()] == modes
    assert [parameter.requires_grad for parameter in game.parameters()] == wants
    for kept, now in zip(before, (game.state_dict(), average.state_dict()), strict=True):
        assert all(torch.equal(kept[name], now[name]) for name in kept)
    torch.rand(1)
    assert signs(game, average, 0.0, raws, raws, CPU) == first
    assert first.keys() == {"real_train", "fake", "real_held", "diversity"}


def test_discriminators_are_asked_in_the_mode_in_which_they_learn():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(1)

        def forward(self, images, condition):
            return self.norm(images)

    game = Small([Normed()]).eval()
    # By running averages all would lie above 0, by those of the batch a half does.
    assert look(game, [batch([9.0, 9.5], [5.0, 6.0])], [])["real_train"] == 0.5


def test_networks_in_double_precision_are_seen_too():
    game = Small([Mean()]).double()
    raw = [batch([0.1, 0.2], [0.1, -0.7])]
    assert look(game, raw, raw)["real_train"] == 0.5
    assert signs(Small([Mean()]), Small([Mean()]), 0.0, raw, raw, CPU, torch.bfloat16)["real_train"] == 0.5


def test_a_game_without_discriminators_shows_nothing():
    assert look(Small([]), [batch([0.1], [0.2])], [batch([0.1], [0.2])]) == {}


class Numbers:
    uniform = True

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def training(self, index, seed):
        return {"target": np.full((2, 2, 1), index, np.uint8), "label": np.asarray(seed, np.int64)}


def test_examples_are_others_at_every_turn_until_all_have_come():
    turns = [examples(Numbers(10), 4, 2, turn) for turn in range(5)]
    assert all([len(raw["target"]) for raw in turn] == [2, 2] for turn in turns)
    seen = [int(value) for turn in turns for raw in turn for value in raw["target"][:, 0, 0, 0]]
    assert sorted(seen[:10]) == list(range(10))
    assert seen[10:] == seen[:10]
    augmented = [int(value) for turn in turns for raw in turn for value in raw["label"]]
    assert len(set(augmented)) == 20
    again = examples(Numbers(10), 4, 2, 3)
    assert all(np.array_equal(one["target"], other["target"]) for one, other in zip(turns[3], again, strict=True))


def test_few_samples_come_again_and_none_give_nothing():
    assert [len(raw["target"]) for raw in examples(Numbers(3), 8, 5)] == [5, 3]
    assert examples(Numbers(0), 8, 4) == []


def test_as_many_are_looked_at_as_cost_little_in_whole_batches():
    assert count(100) == LEAST
    assert count(10**6) == MOST
    assert count(1600) == 16
    assert count(1600, batch=32) == 32
    assert count(600, batch=3) == 9
