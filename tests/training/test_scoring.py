import numpy as np
import pytest
import torch
from torch import nn

from i2i.config import DataConfig
from i2i.evaluated import Evaluated
from i2i.games.game import Export, Game, Match
from i2i.images import read
from i2i.metrics.protocol import protocol
from i2i.training.scoring import assess, distinct, plain


class Brightening(Game):
    """Makes every image brighter by a tenth of the range."""

    def __init__(self, noise=0):
        super().__init__()
        self.noise = noise
        self.generators = nn.ModuleDict({"G": nn.Conv2d(3, 3, 1)})
        self.discriminators = nn.ModuleDict({"D": nn.Conv2d(6, 1, 3)})

    def generate(self, batch):
        return {"fake": (batch["input"] + 0.2).clamp(-1, 1)}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], batch["input"])

    def previews(self, batch):
        return {"input": batch["input"], "output": self.generate(batch)["fake"], "target": batch["target"]}

    def measures(self, batch):
        return {"brightness": self.generate(batch)["fake"].flatten(1).mean(1)}

    def exports(self):
        return {"G": Export(self.generators["G"], 3, 3, 1)}


class Known:
    """Samples whose targets are the inputs, brighter by 0 to 5 levels times a factor."""

    uniform = True

    def __init__(self, names):
        self.names = names

    def __len__(self):
        return len(self.names)

    def spread(self, count):
        return self

    def evaluating(self, index):
        drawn = np.random.default_rng(index).integers(0, 120, (16, 16, 3))
        return {"input": drawn.astype(np.uint8), "target": (drawn + 10 * index).astype(np.uint8)}


def found(samples, game=None):
    told = {"model": "m", "data": "drawn", "split": "test"}
    protocol_ = protocol("paired", DataConfig())
    return assess(game or Brightening(), protocol_, samples, told, threads=1, device=torch.device("cpu"))


def test_the_worst_and_the_best_are_those_of_the_first_metric_and_are_shown():
    samples = Known(["a", "b", "c", "d", "e", "f"])
    assessed = found(samples)
    evaluated = assessed.evaluated
    # What is made is 25.5 levels brighter; the targets are 0, 10, 20, ... levels brighter.
    errors = {name: abs(25.5 - 10 * index) for index, name in enumerate(samples.names)}
    order = sorted(samples.names, key=errors.__getitem__)
    assert evaluated.by == "psnr"
    assert list(evaluated.best) == order[:3]
    assert list(evaluated.worst) == order[::-1][:3]
    assert assessed.pictures.keys() == {*evaluated.best, *evaluated.worst}
    first, made, wanted = assessed.pictures["c"]
    sample = samples.evaluating(2)
    np.testing.assert_array_equal(first, sample["input"])
    np.testing.assert_array_equal(wanted, sample["target"])
    assert np.abs(made.astype(int) - sample["input"] - 25.5).max() <= 0.5


def test_each_score_is_the_mean_of_its_images_and_lies_in_its_interval():
    evaluated = found(Known(list("abcdefgh"))).evaluated
    for metric in ("psnr", "ssim", "mae"):
        figure = evaluated.scores["model"][metric]
        assert figure.value == pytest.approx(np.mean([values[metric] for values in evaluated.each.values()]))
        assert figure.low < figure.value < figure.high
        gain = evaluated.gains["copying"][metric]
        assert gain.value == pytest.approx(figure.value - evaluated.scores["copying"][metric].value)
        assert gain.low < gain.value < gain.high


def test_what_a_game_measures_itself_is_there_without_a_direction():
    evaluated = found(Known(list("abcd"))).evaluated
    assert evaluated.metrics["brightness"].higher_is_better is None
    assert evaluated.scores["model"]["brightness"].value == pytest.approx(
        np.mean([values["brightness"] for values in evaluated.each.values()])
    )


def test_what_is_made_of_noise_is_not_ranked():
    assessed = found(Known(list("abcd")), Brightening(noise=3))
    assert (assessed.evaluated.by, assessed.evaluated.best, assessed.evaluated.worst) == ("", (), ())
    assert not assessed.pictures


def test_images_of_one_name_are_told_apart():
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]
    assert len(found(Known(["a", "a", "b"])).evaluated.each) == 3


def test_a_run_keeps_what_it_was_scored_by(finished):
    kept = Evaluated.read(finished.evaluation)
    facts = finished.facts()
    assert plain(kept) == facts["scores"]
    assert kept.digest
    assert len(kept.each) == kept.images
    for name in (*kept.worst, *kept.best):
        assert name in kept.each
    for sheet in ("worst.png", "best.png"):
        assert read(finished.evaluation / sheet).size > (90, 90)
