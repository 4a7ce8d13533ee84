"""Stopping and going on: bit for bit, whole or absent."""

import errno
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from i2i import api
from i2i.errors import I2IError, RunError, TrainingError
from i2i.training import checkpoint as checkpoints
from i2i.training.observer import Observer
from i2i.training.run import Run
from i2i.version import __version__


def weights(run, step):
    return load_file(run.checkpoints / f"step-{step:07d}" / "weights.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


# Everything that has a state: pool, k, lazy penalties, warm-up, both precisions, all augmentation.
EVENTFUL = {
    "data": {"rotate": 10, "zoom": 0.1, "workers": 2},
    "objective": {"gradient_penalty": {"weight": 1.0, "interval": 2}, "r1": {"weight": 1.0, "interval": 3}},
    "trainer": {"k": 2, "pool": 3, "steps": 7, "schedule": {"name": "cosine", "warmup": 2}},
}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_one_seed_gives_the_same_weights_bit_for_bit(small, tmp_path, precision, merged, play):
    settings = merged(small, **EVENTFUL)
    settings["trainer"]["precision"] = precision
    one, other = (play(settings, tmp_path / name) for name in "ab")
    assert same(weights(one, 7), weights(other, 7))
    third = play({**settings, "seed": 1}, tmp_path / "c")
    assert not same(weights(one, 7), weights(third, 7))


class Crash(Observer):
    """Ends a training as a crash would, in the step after `step`."""

    def __init__(self, step):
        self.step = step

    def played(self, step, losses, images_per_second):
        if step == self.step + 1:
            raise ZeroDivisionError


@pytest.mark.parametrize("step", range(1, 7))
def test_stopping_at_any_step_and_going_on_changes_no_bit(small, tmp_path, step, merged, play):
    settings = merged(small, **EVENTFUL)
    settings["trainer"]["validate_every"] = step
    whole = play(settings, tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        play(settings, tmp_path / "cut", Crash(step))
    *_, cut = checkpoints.find(tmp_path / "cut" / "checkpoints")
    assert cut.step == step
    resumed = play(settings, tmp_path / "cut", resumed=cut)
    assert same(weights(whole, 7), weights(resumed, 7))
    steps = [json.loads(line)["step"] for line in resumed.metrics.read_text().splitlines()]
    assert steps == [json.loads(line)["step"] for line in whole.metrics.read_text().splitlines()]


def test_how_many_threads_read_and_whether_images_are_kept_changes_no_bit(small, tmp_path, merged, play):
    variants = [{"workers": 0}, {"workers": 3}, {"cache": 0.0}]
    runs = [play(merged(small, data=variant), tmp_path / str(n)) for n, variant in enumerate(variants)]
    first, *others = (weights(run, 6) for run in runs)
    assert all(same(first, other) for other in others)


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_leaves_the_checkpoint_before_and_says_so(small, tmp_path, monkeypatch, refusal):
    real = checkpoints.save_file
    written = []

    def full(tensors, path):
        if len(written) == 2:  # before the first step, and after the third
            Path(path).write_bytes(b"half")
            raise refusal
        written.append(path)
        real(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(I2IError, match=r"step-0000006.*cannot be written: .*No space left on device"):
        api.train("pix2pix", small, out=tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["step-0000000", "step-0000003"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"
    monkeypatch.undo()
    assert api.resume(tmp_path / "run").facts()["state"] == "finished"


def test_the_best_and_the_newest_are_kept(small, tmp_path, merged, play):
    settings = merged(small, trainer={"steps": 8, "validate_every": 1, "keep": 2})
    run = play(settings, tmp_path / "run")
    best = run.facts()["best"]["step"]
    assert {checkpoint.step for checkpoint in checkpoints.find(run.checkpoints)} == {7, 8, best}
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    scores = {line["step"]: line["psnr"] for line in lines if line["kind"] == "validation"}
    assert best == max(scores, key=scores.get)


class Listening(Observer):
    def __init__(self):
        self.lines = []

    def said(self, message):
        self.lines.append(message)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:1000])


def changed_in_one_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def emptied(path):
    path.with_name("state.json").write_text("")


@pytest.mark.parametrize("damage", [cut_short, changed_in_one_bit, emptied, Path.unlink])
def test_a_damaged_checkpoint_is_passed_over_and_named(small, tmp_path, damage, play):
    run = play(small, tmp_path / "run")
    whole = {name: tensor.clone() for name, tensor in weights(run, 6).items()}  # not a view of the file
    damage(run.checkpoints / "step-0000006" / "weights.safetensors")
    before, (passed,) = checkpoints.newest_whole(run.checkpoints)
    assert passed.startswith(f"{run.checkpoints / 'step-0000006'}: damaged: ")
    assert before.step == 3
    play(small, run.path, resumed=before)
    assert same(weights(run, 6), whole)
    assert checkpoints.newest_whole(run.checkpoints)[1] == []


def test_resuming_says_what_it_passes_over(small, tmp_path, monkeypatch, play):
    run = play(small, tmp_path / "run")
    run.note(state="interrupted")
    cut_short(run.checkpoints / "step-0000006" / "weights.safetensors")
    monkeypatch.setattr("i2i.course.export_run", lambda *_: {run.model: SimpleNamespace(kind="image", digest="")})
    heard = Listening()
    api.resume(run.path, observer=heard)
    assert any("step-0000006: damaged" in line for line in heard.lines)


def test_a_best_checkpoint_that_is_damaged_is_none(small, tmp_path, merged, play):
    run = play(merged(small, trainer={"steps": 8, "validate_every": 1, "keep": 2}), tmp_path / "run")
    newest, _ = checkpoints.newest_whole(run.checkpoints)
    assert newest.best is not None
    other = next(checkpoint for checkpoint in checkpoints.find(run.checkpoints) if checkpoint.step < 8)
    state = newest.path / "state.json"
    for step, known in ((other.step, True), (other.step - 5, False)):
        state.write_text(json.dumps({**json.loads(state.read_text()), "best": {**asdict(newest.best), "step": step}}))
        assert (checkpoints.newest_whole(run.checkpoints)[0].best is not None) == known
    state.write_text(json.dumps({**json.loads(state.read_text()), "best": {**asdict(newest.best), "step": other.step}}))
    changed_in_one_bit(other.path / "weights.safetensors")
    assert checkpoints.newest_whole(run.checkpoints)[0].best is None


def test_a_damaged_newer_checkpoint_does_not_outlive_the_only_whole_one(small, tmp_path, merged, play):
    settings = merged(small, trainer={"keep": 1})
    run = play(settings, tmp_path / "run")
    (only,) = [each for each in checkpoints.find(run.checkpoints) if each.step == 6]
    damaged = shutil.copytree(only.path, run.checkpoints / "step-0000008")  # it looks whole, as long as none reads it
    state = json.loads((damaged / "state.json").read_text())
    (damaged / "state.json").write_text(json.dumps({**state, "step": 8}))
    changed_in_one_bit(damaged / "weights.safetensors")
    play(merged(settings, trainer={"steps": 7}), run.path, resumed=only)
    assert checkpoints.newest_whole(run.checkpoints)[0].step == 7
    assert not damaged.exists()


def test_a_checkpoint_of_an_earlier_version_is_taken(small, tmp_path, play):
    run = play(small, tmp_path / "run")
    path = run.checkpoints / "step-0000006"
    state = json.loads((path / "state.json").read_text())
    old = {"step": 6, "best": state["best"], "torch": "2.11.0"}
    (path / "state.json").write_text(json.dumps(old))
    newest, passed = checkpoints.newest_whole(run.checkpoints)
    assert (newest.step, newest.told, passed) == (6, {"torch": "2.11.0"}, [])
    cut_short(path / "weights.safetensors")
    newest, (passed,) = checkpoints.newest_whole(run.checkpoints)
    assert newest.step == 3
    assert "step-0000006: damaged" in passed


def test_every_so_manieth_is_kept_for_good(small, tmp_path, merged, play):
    settings = merged(small, trainer={"steps": 9, "validate_every": 1, "keep": 1, "keep_every": 3})
    run = play(settings, tmp_path / "run")
    best = run.facts()["best"]["step"]
    assert {checkpoint.step for checkpoint in checkpoints.find(run.checkpoints)} == {3, 6, 9, best}


def test_a_checkpoint_tells_its_configuration_and_versions(small, tmp_path, play):
    run = play(small, tmp_path / "run")
    newest, _ = checkpoints.newest_whole(run.checkpoints)
    assert newest.told["config"]["trainer"]["steps"] == 6
    assert newest.told["torch"] == str(torch.__version__)
    assert newest.told["i2i"] == __version__


def test_a_checkpoint_of_other_networks_is_refused(small, tmp_path, play):
    run = play(small, tmp_path / "run")
    with pytest.raises(RunError, match="of other networks"):
        api.resume(run.path, {"trainer": {"steps": 9}, "game": {"filters": 8}})


def test_resuming_what_is_finished_or_is_no_run(finished, tmp_path):
    with pytest.raises(RunError, match=r"is finished: 12 steps of 12[\s\S]*--steps 24"):
        api.resume(finished.path)
    with pytest.raises(RunError, match="is no run"):
        api.resume(tmp_path)


def test_a_resume_that_does_not_fit_leaves_the_run_as_it_was(finished, tmp_path):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    before = run.config.read_text(), run.facts()
    with pytest.raises(RunError, match="of other networks"):
        api.resume(run.path, {"trainer": {"steps": 14}, "game": {"filters": 4}})
    assert (run.config.read_text(), run.facts()) == before


def test_a_longer_run_that_is_cut_short_in_its_export_can_be_gone_on_with(finished, tmp_path, monkeypatch):
    from i2i import course

    def cut(*_):
        raise KeyboardInterrupt

    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    old = run.model.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(course, "export_run", cut)
        assert api.resume(run.path, {"trainer": {"steps": 14}}).facts()["state"] == "interrupted"
    assert run.model.read_bytes() == old
    assert api.resume(run.path).facts()["state"] == "finished"
    assert run.model.read_bytes() != old


def test_weights_that_are_not_finite_are_never_saved(small, tmp_path, merged, play):
    settings = merged(small, trainer={"lr": 1e30, "log_every": 100, "validate_every": 2})
    with pytest.raises(TrainingError, match=r"is no number|is infinite|score no number"):
        play(settings, tmp_path / "run")
    for checkpoint in checkpoints.find(tmp_path / "run" / "checkpoints"):
        assert all(torch.isfinite(tensor.float()).all() for tensor in checkpoint.tensors().values())


def test_another_metric_forgets_the_best_score_of_the_first(small, tmp_path, merged, play):
    run = play(small, tmp_path / "run")
    (*_, last) = checkpoints.find(run.checkpoints)
    resumed = play(merged(small, trainer={"steps": 8, "best_by": "ssim"}), run.path, resumed=last)
    assert checkpoints.find(resumed.checkpoints)[-1].best.metric == "ssim"


def test_changed_data_is_said_on_resuming(finished, pairs, tmp_path):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    other = shutil.copytree(pairs, tmp_path / "other")
    for side in "AB":
        shutil.copy(other / side / "00.png", other / side / "new.png")
    heard = Listening()
    api.resume(run.path, {"trainer": {"steps": 13}, "data": {"source": str(other)}}, observer=heard)
    assert any("are not those of step 12" in line for line in heard.lines)


def test_a_changed_configuration_is_said_on_resuming(finished, tmp_path, monkeypatch):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    monkeypatch.setattr("i2i.course.export_run", lambda *_: {run.model: SimpleNamespace(kind="image", digest="")})
    heard = Listening()
    api.resume(run.path, {"trainer": {"steps": 13, "lr": 0.125}, "data": {"workers": 1}}, observer=heard)
    said = [line.partition(": ")[2] for line in heard.lines if line.startswith("changed since step 12: ")]
    assert sorted(said) == ["trainer.lr: 0.0006, now 0.125", "trainer.steps: 12, now 13"]


def test_what_a_killed_process_left_is_removed(small, tmp_path, play):
    run = play(small, tmp_path / "run")
    left = run.checkpoints / ".step-0000009.0a1b2c3d.tmp"
    left.mkdir()
    api.resume(run.path, {"trainer": {"steps": 7}})
    assert not left.exists()
