"""Losses and gradients that are no ground for a step: caught before it, named, tried again, given up."""

import json
import math

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from i2i import api
from i2i.config import ObjectiveConfig, TrainerConfig
from i2i.errors import TrainingError
from i2i.training.guard import BrokenStepError, Guard
from i2i.training.observer import Observer
from i2i.training.run import Run
from i2i.training.trainer import Trainer
from i2i_pix2pix.game import Pix2Pix


@pytest.mark.parametrize(("value", "said"), [(math.nan, "no number"), (math.inf, "infinite"), (-math.inf, "infinite")])
def test_a_loss_or_a_gradient_that_is_not_finite_is_named(value, said):
    guard = Guard(1000)
    with pytest.raises(BrokenStepError, match=f"step 7: the generators' loss l1 is {said}"):
        guard.check(7, "generators", {"adversarial": 0.5, "l1": value}, {"G": 1.0})
    with pytest.raises(BrokenStepError, match=rf"the gradient of discriminators\.B is {said}"):
        guard.check(7, "discriminators", {"discriminator": 0.5}, {"A": 1.0, "B": value})


def test_a_loss_explodes_at_so_many_times_its_running_mean():
    guard = Guard(100)
    for _ in range(30):
        guard.check(0, "generators", {"l1": 4.0}, {})
    guard.check(30, "generators", {"l1": 399.0}, {})
    mean = (30 * 4 + 399) / 31
    guard.check(31, "generators", {"l1": 99 * mean}, {})
    mean = (31 * mean + 99 * mean) / 32
    with pytest.raises(BrokenStepError, match=r"the generators' loss l1 explodes: .*, after about"):
        guard.check(32, "generators", {"l1": 101 * mean}, {})
    guard.check(32, "generators", {"l1": 99 * mean}, {})  # what was refused is not remembered


@pytest.mark.parametrize("explosion", [100.0, 0.0])
def test_small_losses_may_become_ordinary_ones_and_nothing_explodes_at_first_or_where_that_is_off(explosion):
    guard = Guard(explosion)
    guard.check(0, "generators", {"l1": 1e-6}, {})
    guard.check(1, "generators", {"l1": 1e6 if explosion == 0 else 1e3}, {})
    calm = Guard(explosion)
    for step in range(50):
        calm.check(step, "generators", {"l1": 1e-6}, {})
    calm.check(50, "generators", {"l1": 99.0}, {})
    if explosion:
        with pytest.raises(BrokenStepError):
            calm.check(51, "generators", {"l1": 101.0 * (1 + 99 / 51)}, {})


def test_a_guard_that_is_restored_knows_what_it_knew():
    guard, other = Guard(10), Guard(10)
    for step in range(40):
        guard.check(step, "generators", {"l1": 5.0 + step % 3, "a.b": 0.5}, {})
    other.restore(guard.state())
    assert {name: pair.tolist() for name, pair in other.state().items()} == {
        name: pair.tolist() for name, pair in guard.state().items()
    }
    with pytest.raises(BrokenStepError):
        other.check(40, "generators", {"l1": 70.0}, {})


class Poisoned(Pix2Pix):
    """Its L1 is no number, or far too much, for red targets."""

    worth = math.nan
    spared = 0
    seen = 0

    def terms(self, batch, outputs):
        terms = dict(super().terms(batch, outputs))
        red = (batch["target"][:, 0] > 0.99).flatten(1).all(1) & (batch["target"][:, 1] < -0.99).flatten(1).all(1)
        if red.any():
            type(self).seen += 1
            terms["l1"] = terms["l1"] * (self.worth if self.seen > self.spared else 1)
        return terms


@pytest.fixture
def poisoned(merged, small, tmp_path, monkeypatch):
    """Settings of a run on 24 pairs of which one is poison."""
    folder = tmp_path / "data"
    for side in "AB":
        (folder / side).mkdir(parents=True)
        for number in range(24):
            colour = "red" if number == 11 and side == "B" else (number, 9 * number, 100)
            Image.new("RGB", (40, 40), colour).save(folder / side / f"{number:02d}.png")
    monkeypatch.setattr("i2i_pix2pix.game.Pix2Pix", Poisoned)
    monkeypatch.setattr(Poisoned, "worth", math.nan)
    monkeypatch.setattr(Poisoned, "seen", 0)
    monkeypatch.setattr(Poisoned, "spared", 0)
    settings = merged(small, data={"source": str(folder), "rotate": 0, "zoom": 0, "validation": 0.2})
    return merged(settings, trainer={"steps": 30, "validate_every": 5, "precision": "float32"})


def test_no_weight_is_changed_by_a_step_that_is_broken(play):
    class Bad(Pix2Pix):
        def terms(self, batch, outputs):
            return {"l1": outputs["fake"].mean() * math.nan}

    from i2i_pix2pix.config import Pix2PixConfig, Pix2PixGame

    game = Pix2PixGame(filters=4, discriminator_filters=4, discriminator_layers=2)
    config = Pix2PixConfig(data={"size": 32}, game=game)
    trainer = Trainer(Bad(config), ObjectiveConfig(), TrainerConfig(precision="float32"), torch.device("cpu"))
    before = {name: value.clone() for name, value in trainer.game.generators.named_parameters()}
    images = torch.zeros(2, 3, 32, 32)
    with pytest.raises(BrokenStepError, match="the generators' loss l1 is no number") as caught:
        trainer.play([{"input": images, "target": images}])
    assert any("the gradient of generators.G" in cause for cause in caught.value.causes)
    assert all(torch.equal(value, before[name]) for name, value in trainer.game.generators.named_parameters())


class Hears(Observer):
    def __init__(self):
        self.lines = []

    def said(self, message):
        self.lines.append(message)


@pytest.mark.parametrize(("worth", "what"), [(math.nan, "no number"), (1e9, "explodes")])
def test_a_batch_that_breaks_a_step_is_named_and_left_out(poisoned, tmp_path, monkeypatch, worth, what, merged):
    monkeypatch.setattr(Poisoned, "worth", worth)
    if what == "explodes":  # after it is known how large the loss is
        monkeypatch.setattr(Poisoned, "spared", 3)
        poisoned = merged(poisoned, trainer={"steps": 60, "validate_every": 20})
    heard = Hears()
    run = api.train("pix2pix", poisoned, out=tmp_path / "run", observer=heard)
    facts = run.facts()
    assert facts["state"] == "finished"
    first, *_ = facts["recoveries"]
    assert "11" in first["images"]
    assert what in first["causes"][0]
    (said, *_) = [line for line in heard.lines if "attempt 1 of 3" in line]
    assert "l1" in said
    assert "without these and with 0.5 times the learning rate" in said
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    played = {line["step"]: line["lr"] for line in lines if line["kind"] == "train"}
    assert sorted(played) == list(range(1, poisoned["trainer"]["steps"] + 1))
    slowed = played[first["from"] + 1] / played[max(first["from"], 1)] if first["from"] else played[1] / 2e-4
    again = sum(each["from"] == first["from"] for each in facts["recoveries"])
    assert slowed == pytest.approx(0.5**again, rel=0.1)  # and the schedule's part


def test_going_on_after_a_recovery_is_bit_for_bit_what_was_played(poisoned, tmp_path):
    whole = api.train("pix2pix", poisoned, out=tmp_path / "whole")
    assert whole.facts()["recoveries"]

    class Stop(Observer):
        def played(self, step, losses, images_per_second):
            if step == 22:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        api.train("pix2pix", poisoned, out=tmp_path / "cut", observer=Stop())
    cut = api.resume(tmp_path / "cut")
    one, other = (load_file(run.checkpoints / "step-0000030" / "weights.safetensors") for run in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_breaks_again_and_again_ends_with_the_checkpoint_kept(poisoned, tmp_path, merged):
    settings = merged(poisoned, trainer={"guard": {"skip": False}})
    with pytest.raises(TrainingError, match=r"images: .*11.*3 times tried again from there in vain") as caught:
        api.train("pix2pix", settings, out=tmp_path / "run")
    assert "--resume" in caught.value.hint
    run = Run.open(tmp_path / "run")
    facts = run.facts()
    assert facts["state"] == "failed"
    assert "recoveries" not in facts  # to be done again: none has helped
    assert [tried["rate"] for tried in facts["recoveries_in_vain"]] == [0.5] * 3
    tried = Poisoned.seen
    assert tried >= 4
    resumed = api.resume(run.path, {"trainer": {"guard": {"skip": True}}})
    assert resumed.facts()["state"] == "finished"


def test_no_attempts_is_none(poisoned, tmp_path, merged):
    with pytest.raises(TrainingError, match=r"the checkpoint of step .* is kept"):
        api.train("pix2pix", merged(poisoned, trainer={"guard": {"attempts": 0}}), out=tmp_path / "run")
    assert Poisoned.seen == 1


def test_what_scored_best_is_forgotten_where_its_checkpoint_is_damaged(poisoned, tmp_path, monkeypatch):
    """Going back beyond the best step plays that step again, to other weights."""

    class Damages(Observer):
        """Spoils the checkpoint of step 10, once it is there, and everything after."""

        def played(self, step, losses, images_per_second):
            path = tmp_path / "run" / "checkpoints" / "step-0000010" / "weights.safetensors"
            if step == 11 and path.exists() and not damaged:
                damaged.append(path)
                path.write_bytes(path.read_bytes()[:-8])
                monkeypatch.setattr(Poisoned, "spared", -1)

    damaged = []
    monkeypatch.setattr(Poisoned, "spared", 10**9)
    scores = iter([50.0, 99.0, 60.0, 55.0, 54.0, 53.0, 52.0])
    monkeypatch.setattr("i2i.training.validating.evaluate", lambda *_: {"psnr": next(scores)})
    run = api.train("pix2pix", poisoned, out=tmp_path / "run", observer=Damages())
    facts = run.facts()
    assert facts["recoveries"][0]["from"] == 5
    assert (facts["best"]["step"], facts["best"]["score"]) == (10, 60.0)
