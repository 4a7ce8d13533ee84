"""What is said of a run that goes on, and which checkpoints it takes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from i2i import api
from i2i.errors import RunError
from i2i.training import checkpoint as checkpoints
from i2i.training import saved
from i2i.training.observer import Observer
from i2i.training.run import Run


class Listening(Observer):
    def __init__(self):
        self.lines = []

    def said(self, line):
        self.lines.append(line)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:1000])


def test_changed_data_is_compared_with_what_the_checkpoint_was_played_with(small, pairs, tmp_path, merged, play):
    other = shutil.copytree(pairs, tmp_path / "other")
    for side in "AB":
        shutil.copy(other / side / "00.png", other / side / "new.png")
    settings = merged(small, data={"source": str(other)}, trainer={"steps": 9})
    run = play(small, tmp_path / "run")
    (*_, first) = checkpoints.find(run.checkpoints)

    def said(wanted, resumed):
        heard = Listening()
        play(wanted, run.path, heard, resumed)
        return [line for line in heard.lines if "are not those of" in line]

    for _ in range(2):  # the first time, nothing is played with the others: the second time they are others still
        assert len(said(merged(settings, trainer={"steps": 6}), first)) == 1
    assert said(merged(small, trainer={"steps": 6}), first) == []
    assert len(said(settings, first)) == 1
    (*_, last) = checkpoints.find(run.checkpoints)
    assert said(settings, last) == []
    assert len(said(merged(small, trainer={"steps": 9}), last)) == 1


def test_of_a_run_of_an_earlier_version_it_says_what_is_not_known_and_compares_the_file(
    finished, tmp_path, monkeypatch
):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    monkeypatch.setattr("i2i.course.export_run", lambda *_: {run.model: SimpleNamespace(kind="image", digest="")})
    for state in run.checkpoints.glob("*/state.json"):
        told = json.loads(state.read_text())
        state.write_text(json.dumps({"step": told["step"], "best": told["best"], "torch": told["versions"]["torch"]}))
    run.note(digests=None, names="0123abcd")
    heard = Listening()
    api.resume(run.path, {"trainer": {"steps": 13, "lr": 0.125}}, observer=heard)
    said = [line.partition(": ")[2] for line in heard.lines if line.startswith("changed since step 12: ")]
    assert sorted(said) == ["trainer.lr: 0.0006, now 0.125", "trainer.steps: 12, now 13"]
    assert sum("kept no digest of the images" in line for line in heard.lines) == 1
    again = Listening()
    api.resume(run.path, {"trainer": {"steps": 14}}, observer=again)
    assert not any("kept no digest" in line for line in again.lines)


def test_somebodys_copy_of_a_checkpoint_is_neither_resumed_from_nor_removed(small, tmp_path, merged, play):
    run = play(small, tmp_path / "run")
    copies = [
        Path(shutil.copytree(run.checkpoints / "step-0000003", run.checkpoints / name))
        for name in ("step-0000003.good", "step-3", "step-00000009")
    ]
    newest, passed = checkpoints.newest_whole(run.checkpoints)
    assert (newest.step, passed) == (6, [])
    play(merged(small, trainer={"steps": 9, "keep": 1}), run.path, resumed=newest)
    assert all(copy.is_dir() for copy in copies)
    shutil.copytree(copies[0], run.checkpoints / "step-0000012")
    newest, (passed,) = checkpoints.newest_whole(run.checkpoints)
    assert newest.step == 9
    assert "state.json is of step 3" in passed


def test_where_the_best_checkpoint_is_damaged_and_no_step_is_left_the_newest_is_scored(
    small, tmp_path, monkeypatch, merged, play
):
    run = play(merged(small, trainer={"steps": 8, "validate_every": 1, "keep": 2}), tmp_path / "run")
    newest, _ = checkpoints.newest_whole(run.checkpoints)
    other = next(checkpoint for checkpoint in checkpoints.find(run.checkpoints) if checkpoint.step < 8)
    checkpoints.note_best(newest, replace(newest.best, step=other.step))
    cut_short(other.path / "weights.safetensors")
    run.note(state="finished")
    with pytest.raises(RunError, match=rf"{other.path.name}: .*lost or damaged[\s\S]*--resume"):
        api.export(run.path)
    monkeypatch.setattr("i2i.course.export_run", lambda *_: {run.model: SimpleNamespace(kind="image", digest="")})
    heard = Listening()
    assert api.resume(run.path, observer=heard).facts()["state"] == "finished"
    assert any(f"{other.path}: damaged" in line for line in heard.lines)
    assert checkpoints.newest_whole(run.checkpoints)[0].best.step == 8
    assert run.facts()["best"]["step"] == 8


def test_a_checkpoint_is_read_once_to_be_verified(small, tmp_path, monkeypatch, play):
    run = play(small, tmp_path / "run")
    read = []
    real = saved.digest_of
    monkeypatch.setattr(saved, "digest_of", lambda path: read.append(path) or real(path))
    newest, _ = checkpoints.newest_whole(run.checkpoints)
    newest.tensors()
    assert read.count(newest.path / "weights.safetensors") == 1
