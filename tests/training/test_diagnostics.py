"""Each failure, provoked on a small game by the trainer, is found and explained; what is healthy is left alone."""

import importlib.util
import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from i2i.config import RunConfig
from i2i.training.diagnostics import DETECTORS, Diagnostics, Facts, diagnose

PLACE = Path(__file__).parents[1] / "benchmarks" / "detectors.py"


@cache
def games():
    spec = importlib.util.spec_from_file_location("i2i_detectors", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def played(name, helped=False):
    return getattr(games(), name)(helped)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_failure_that_is_provoked_is_found(name):
    records, watch = played(name)
    found = watch.found[name]
    assert found.step < records[-1]["step"]
    assert watch.levels[name] >= 1
    assert re.search(r"\d", found.evidence)
    assert str(found).startswith(f"{name.replace('_', ' ')}, found at step {found.step}: ")


def test_a_healthy_game_is_left_alone():
    records, watch = played("healthy")
    assert watch.found == {}
    assert watch.levels.keys() == DETECTORS.keys()
    assert max(watch.levels.values()) < 0.8
    errors = [record["error"] for record in records if record["kind"] == "validation"]
    assert errors[-1] < errors[0] / 5  # it is healthy indeed


@pytest.mark.parametrize("name", ["oscillation", "discriminator_overfits"])
def test_what_is_advised_helps(name):
    assert name not in played(name, helped=True)[1].found


def test_what_is_found_follows_from_the_written_records_and_is_said_once():
    for name in ("healthy", "mode_collapse", "losses_say_nothing"):
        records, watch = played(name)
        facts = facts_of(records[-1]["step"], metric="error", higher=False)
        lines = [json.loads(json.dumps(record)) for record in records]
        whole = diagnose(lines, facts)
        assert [found.name for found in whole] == list(watch.found)
        # Stopped and gone on with in the middle: nothing is said again, or differently.
        for middle in (len(lines) // 3, 2 * len(lines) // 3):
            first, second = Diagnostics(facts), Diagnostics(facts)
            said = [found for line in lines[:middle] for found in first.add(line)]
            for line in lines[:middle]:
                second.add(line)
            said += [found for line in lines[middle:] for found in second.add(line)]
            assert said == whole


def facts_of(steps=1000, objective="nonsaturating", *, metric="psnr", higher=True, discriminators=1, **more):
    return Facts(steps, objective, discriminators, metric, higher, **more)


def keys_of(model, before=""):
    for name, field in model.model_fields.items():
        yield before + name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys_of(kind, f"{before}{name}.")


@pytest.mark.parametrize("more", [{}, {"r1": 2.0, "spectral": True, "instance_noise": 0.1, "augmented": True}])
def test_what_is_advised_can_be_set_and_is_not_set_already(more):
    named = set()
    for name in DETECTORS:
        records = played(name)[0]
        objective = "wasserstein" if name == "divergence" else "nonsaturating"
        facts = facts_of(records[-1]["step"], objective, metric="error", higher=False, **more)
        advice = next(found.advice for found in diagnose(records, facts) if found.name == name)
        named |= set(re.findall(r"[a-z]\w*(?:\.[a-z]\w*)+(?:=[\w.]+\w)?", advice))
    assert named
    assert {word.partition("=")[0] for word in named} <= set(keys_of(RunConfig))
    if more:
        assert not {"objective.r1.weight=1", "stability.spectral=true", "stability.instance_noise=0.1"} & named
        assert {"objective.r1.weight=20", "stability.instance_noise=0.2"} <= named


# Records as they might be.


def train(steps, every=20, **series):
    """A line for every so many steps; each figure is a number or a function of the step."""
    for step in range(every, steps + 1, every):
        figures = {name: value(step) if callable(value) else value for name, value in series.items()}
        yield {"step": step, "kind": "train", "lr": 1e-4, "images_per_second": 9.0, **figures}


def at(steps, every=50, kind="signs", **series):
    for step in range(every, steps + 1, every):
        figures = {name: value(step) if callable(value) else value for name, value in series.items()}
        yield {"step": step, "kind": kind, **figures}


def merged(*parts):
    order = {"train": 0, "validation": 1, "signs": 2}
    return sorted((record for part in parts for record in part), key=lambda each: (each["step"], order[each["kind"]]))


def found(records, facts=None):
    return [each.name for each in diagnose(records, facts or facts_of())]


CERTAIN = {"real_train": 1.0, "real_held": 1.0, "fake": 1.0}


def test_winning_takes_images_that_are_not_known_and_a_loss_that_is_gone():
    ahead = merged(train(1000, discriminator=0.004, adversarial=9.0, accuracy=1.0), at(1000, **CERTAIN))
    assert found(ahead) == ["discriminator_wins"]
    half = merged(train(1000, discriminator=0.3, adversarial=3.0, accuracy=1.0), at(1000, **CERTAIN))
    assert found(half) == []
    known = merged(train(1000, discriminator=0.004, accuracy=1.0), at(1000, **{**CERTAIN, "real_held": 0.8}))
    assert found(known) == []


def test_a_critic_may_be_ahead():
    records = merged(train(1000, discriminator=-3.0, adversarial=2.0, accuracy=1.0), at(1000, **CERTAIN))
    assert found(records, facts_of(objective="wasserstein")) == []


@pytest.mark.parametrize(("objective", "guess"), [("lsgan", 0.25), ("hinge", 2.0), ("relativistic", math.log(2))])
def test_a_loss_is_measured_by_that_of_a_guess_and_by_how_many_play(objective, guess):
    for share, expected in ((0.007, ["discriminator_wins"]), (0.02, [])):
        records = merged(train(1000, discriminator=2 * share * guess, accuracy=1.0), at(1000, **CERTAIN))
        assert found(records, facts_of(objective=objective, discriminators=2)) == expected


def test_smoothed_labels_leave_a_loss_that_cannot_be_had_away():
    least = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    records = merged(train(1000, discriminator=least + 0.005, accuracy=1.0), at(1000, **CERTAIN))
    assert found(records) == []
    assert found(records, facts_of(smoothing=0.1)) == ["discriminator_wins"]


def test_overfitting_is_the_way_from_training_images_to_fakes():
    losses = list(train(1000, discriminator=0.5, accuracy=0.9))
    assert found(merged(losses, at(1000, real_train=0.95, real_held=0.1, fake=0.95))) == ["discriminator_overfits"]
    assert found(merged(losses, at(1000, real_train=0.95, real_held=0.6, fake=0.95))) == []
    # It cannot tell fakes either, so what is not real_train says nothing about what it knows by heart.
    assert found(merged(losses, at(1000, real_train=0.95, real_held=0.1, fake=-0.9))) == []
    augmented = diagnose(merged(losses, at(1000, real_train=1.0, real_held=0.0, fake=1.0)), facts_of(augmented=True))
    assert "more images" in augmented[0].advice


def swing(period):
    return lambda step: 0.5 + 0.5 * math.sin(2 * math.pi * step / period)


def test_swings_are_found_whatever_the_records_are_of():
    for every, period in ((1, 150), (5, 150), (20, 200)):
        records = merged(train(1000, every, discriminator=1.4, accuracy=swing(period)), at(1000, fake=0.5))
        assert found(records) == ["oscillation"], (every, period)


def test_fast_swings_show_in_a_loss_above_that_of_a_guess():
    records = merged(train(1000, discriminator=2.5, accuracy=0.5), at(1000, fake=0.5))
    assert found(records) == ["oscillation"]
    assert "1.8 times that of a guess" in diagnose(records, facts_of())[0].evidence


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("every", "images"), [(1, 1), (1, 8), (20, 20)])
def test_chance_is_no_swing(every, images, seed):
    rng = np.random.default_rng(seed)
    records = train(1000, every, discriminator=1.4, accuracy=lambda step: rng.binomial(images, 0.5) / images)
    assert found(merged(records, at(1000, fake=0.5))) == []


def test_growth_is_measured_by_the_first_fifth():
    def grows(step):
        return 0.5 + (0 if step < 400 else ((step - 400) / 60) ** 2)

    for name, scale in (("l1", 1e-3), ("gradient_generators", 10.0)):
        slow = train(1000, discriminator=1.0, **{name: lambda step, scale=scale: scale * (1 + step / 200)})
        assert found(merged(slow, at(1000, fake=0.5))) == []
        fast = train(1000, discriminator=1.0, **{name: lambda step, scale=scale: scale * grows(step)})
        assert found(merged(fast, at(1000, fake=0.5))) == ["divergence"]
    flat = merged(train(1000, discriminator=1.0, l1=lambda step: 500 / step), at(1000, fake=0.5))
    assert found(flat) == []
    # The generators' part of the game is large wherever the discriminator is ahead.
    behind = merged(train(1000, discriminator=0.2, adversarial=lambda step: 0.1 + step / 100), at(1000, fake=0.5))
    assert found(behind) == []


def test_a_gradient_that_is_small_may_have_been_smaller():
    small = train(1000, discriminator=1.0, gradient_discriminators=lambda step: 1e-6 * step**2)
    assert found(merged(small, at(1000, fake=0.5))) == []


def test_outputs_that_are_alike_or_lack_classes_are_found_unless_they_are_on_their_way():
    losses = list(train(1000, discriminator=1.2, accuracy=0.6))
    for name in ("diversity", "diversity_class", "coverage"):
        assert found(merged(losses, at(1000, **{name: 0.1}))) == ["mode_collapse"]
        assert found(merged(losses, at(1000, **{name: 0.8}))) == []
    rising = merged(losses, at(1000, diversity=lambda step: step / 1000))
    assert found(rising) == []
    falling = merged(losses, at(1000, diversity=lambda step: 1 - step / 1000))
    assert found(falling) == ["mode_collapse"]
    assert found(merged(losses, at(150, diversity=0.1))) == []  # it has hardly begun


def test_a_metric_that_falls_while_losses_stand_is_found_in_either_direction():
    def rises_then_falls(step):
        return 20 + min(step, 300) / 100 - max(0, step - 300) / 100

    losses = list(train(1000, discriminator=1.2, l1=lambda step: 10 - step / 500))
    scores = list(at(1000, kind="validation", psnr=rises_then_falls))
    said = diagnose(merged(losses, scores), facts_of())
    assert [each.name for each in said] == ["losses_say_nothing"]
    assert "psnr was 23 at step 300" in said[0].evidence
    assert "step 300" in said[0].advice
    distances = list(at(1000, kind="validation", kid=lambda step: -rises_then_falls(step)))
    assert found(merged(losses, distances), facts_of(metric="kid", higher=False)) == ["losses_say_nothing"]
    assert found(merged(losses, distances), facts_of(metric="kid", higher=True)) == []
    # Losses that get worse do tell; and a game without discriminators has a loss of its own.
    worse = train(1000, discriminator=1.2, l1=lambda step: 10 + step / 100)
    assert found(merged(worse, scores)) == []
    assert found(merged(losses, scores), facts_of(discriminators=0)) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_metric_that_is_only_noisy_is_left_alone(seed):
    rng = np.random.default_rng(seed)
    noisy = at(1000, kind="validation", psnr=lambda step: 20 + 3 * (1 - math.exp(-step / 100)) + rng.normal(0, 0.5))
    assert found(merged(train(1000, discriminator=1.2, l1=5.0), noisy)) == []


def test_no_game_is_judged_by_how_it_begins():
    ahead = merged(train(150, 1, discriminator=0.004, accuracy=1.0), at(150, 10, **CERTAIN, diversity=0.1))
    assert found(ahead, facts_of(150)) == []
    assert {
        each.step for each in diagnose(merged(train(300, 1, discriminator=0.004), at(300, **CERTAIN)), facts_of(300))
    } == {200}


def test_little_and_strange_records_are_no_ground_for_anything():
    assert diagnose([], facts_of()) == []
    assert found(at(1000, **CERTAIN)) == []
    broken = [
        {"step": 20, "kind": "train", "discriminator": float("nan")},
        {"step": 20, "kind": "validation", "psnr": float("nan")},
        {"step": 20, "kind": "signs"},
        {"step": 20, "kind": "something else", "psnr": 3.0},
    ]
    assert found(broken * 30) == []
    content = merged(train(1000, mse=0.01), at(1000, kind="validation", psnr=20.0), at(1000))
    assert found(content, facts_of(discriminators=0)) == []


def test_facts_are_those_of_a_configuration():
    config = RunConfig.model_validate(
        {
            "plugin": "mine",
            "objective": {"name": "lsgan", "r1": {"weight": 3.0}},
            "stability": {"smoothing": 0.1, "spectral": True, "instance_noise": 0.2, "augment": {"cutout": True}},
            "trainer": {"steps": 123},
        }
    )
    assert Facts.of(config, 2, "psnr", higher_is_better=True) == Facts(
        123, "lsgan", 2, "psnr", True, smoothing=0.1, instance_noise=0.2, r1=3.0, spectral=True, augmented=True
    )
