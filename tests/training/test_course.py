"""Runs of several stages, and runs that start from others."""

import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file

from i2i import api
from i2i.errors import ConfigError, DataError, RunError
from i2i.training.best import best_checkpoint
from i2i.training.observer import Observer
from i2i.training.run import Run

STILL = 1e-30  # a learning rate that changes no weight


@pytest.fixture
def upscaling(pairs):
    """Settings of a srgan run of two stages that takes seconds."""
    return {
        "device": "cpu",
        "data": {"source": str(pairs / "B"), "size": 32, "scale": 2, "validation": 0.3, "evaluation_size": 32},
        "game": {"filters": 8, "blocks": 1, "discriminator_filters": 4, "perceptual": "mse"},
        "content": {"times": 2.0, "lr": 1e-3},
        "trainer": {"steps": 2, "batch": 2, "validate_every": 1, "log_every": 1, "precision": "float32"},
    }


def weights(run, step):
    return load_file(run.checkpoints / f"step-{step:07d}" / "weights.safetensors")


def generators(tensors, prefix):
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def learned(tensors):
    """Parameters without the running averages of batch norms, which move without a learning rate."""
    return {key: value for key, value in tensors.items() if "running" not in key and "num_batches" not in key}


def best_averaged(run):
    checkpoint, _ = best_checkpoint(run)
    return learned(generators(checkpoint.tensors(), "average."))


def test_a_stage_starts_from_the_best_averaged_weights_of_the_one_before(upscaling, tmp_path):
    upscaling["trainer"]["lr"] = STILL
    run = api.train("srgan", upscaling, out=tmp_path / "run")
    content = Run(run.stages / "content")
    assert content.facts()["state"] == run.facts()["state"] == "finished"
    assert content.model.is_file()
    assert "mse" in content.metrics.read_text()
    assert "adversarial" not in content.metrics.read_text()
    assert "adversarial" in run.metrics.read_text()
    handed_over, got = best_averaged(content), learned(generators(weights(run, 2), "generators."))
    assert handed_over.keys() == got.keys()
    assert all(torch.equal(handed_over[key], got[key]) for key in got)


class Interrupting(Observer):
    """Stops a training at its so manieth validation."""

    def __init__(self, after):
        self.left = after

    def validated(self, step, scores, best):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("after", [1, 3, 5])  # in the first stage, twice, and in the second
def test_a_run_that_is_stopped_in_any_stage_ends_as_if_it_had_not_been(upscaling, tmp_path, after):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        stopped = api.train("srgan", upscaling, out=tmp_path / "stopped", observer=Interrupting(after))
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.facts()["state"] == "interrupted"
    content = Run(stopped.stages / "content")
    assert (content.facts()["state"] == "interrupted") == (after < 4)
    assert stopped.model.exists() is False
    ended = content.facts()["ended"]
    resumed = api.resume(stopped.path)
    assert resumed.facts()["state"] == "finished"
    assert (content.facts()["ended"] == ended) == (after > 4)  # a finished stage is not played again
    straight = api.train("srgan", upscaling, out=tmp_path / "straight")
    one, other = weights(straight, 2), weights(resumed, 2)
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


def test_an_earlier_stage_that_was_removed_is_not_played_again(upscaling, tmp_path):
    run = api.train("srgan", upscaling, out=tmp_path / "run")
    shutil.rmtree(run.stages)
    resumed = api.resume(run.path, {"trainer": {"steps": 3}})
    assert resumed.facts()["state"] == "finished"
    assert not run.stages.exists()


def test_a_finished_first_stage_says_how_to_go_on_in_its_own_measure(upscaling, tmp_path):
    run = api.train("srgan", {**upscaling, "stage": "content"}, out=tmp_path / "run")
    with pytest.raises(RunError, match=r"finished: 4 steps of 4[\s\S]*--steps 4"):
        api.resume(run.path)
    assert api.resume(run.path, {"trainer": {"steps": 3}}).facts()["step"] == 6


def test_the_last_stage_alone_wants_a_run_to_start_from(upscaling, tmp_path):
    with pytest.raises(ConfigError, match=r"stage gan[\s\S]*--init RUN"):
        api.train("srgan", {**upscaling, "stage": "gan"}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_init_takes_the_best_weights_of_another_run(small, finished, tmp_path):
    small["game"] = {"filters": 8, "discriminator_filters": 8, "statistics": "image"}
    small["trainer"] |= {"steps": 1, "lr": STILL}
    run = api.train("pix2pix", {**small, "init": str(finished.path)}, out=tmp_path / "run")
    handed_over, got = best_averaged(finished), learned(generators(weights(run, 1), "generators."))
    assert all(torch.equal(handed_over[key], got[key]) for key in got)
    assert any(str(finished.path) in note for note in run.facts()["notes"])


def test_init_from_other_networks_or_from_nothing_is_refused_before_anything_is_written(small, finished, tmp_path):
    with pytest.raises(RunError, match="its generators are other networks"):
        api.train("pix2pix", {**small, "init": str(finished.path)}, out=tmp_path / "run")
    with pytest.raises(RunError, match="is no run"):
        api.train("pix2pix", {**small, "init": str(tmp_path)}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_image_is_not_its_own_restoration(upscaling, tmp_path):
    upscaling["data"]["scale"] = 1
    upscaling["game"] |= {"network": "rrdbnet", "growth": 4}
    with pytest.raises(DataError, match=r"data\.scale 1[\s\S]*DIR/A and DIR/B"):
        api.train("srgan", upscaling, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
