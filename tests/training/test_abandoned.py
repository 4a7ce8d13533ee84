"""Trainings that are stopped where there is nothing to save: while they are scored or exported, or at once."""

import os
import signal
import time

import pytest
import yaml
from click.testing import CliRunner

from i2i import api, cli
from i2i import plugin as plugins
from i2i.config import Layer, dump
from i2i.errors import TrainingError
from i2i.training import launch
from i2i.training.run import Run
from i2i.training.trainer import Trainer

OTHERS = [
    pytest.param(getattr(signal, name), id=name)
    for name in ("SIGTERM", "SIGUSR1")
    if name in signal.Signals.__members__
]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a system without these signals")


def train(small, tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small))
    out = tmp_path / "run"
    return CliRunner().invoke(cli.cli, ["train", "pix2pix", "--config", str(path), "--out", str(out)]), Run(out)


@pytest.mark.parametrize("number", OTHERS)
def test_a_signal_while_the_model_is_exported_is_answered_by_its_own_status(small, tmp_path, monkeypatch, number):
    def sent(*_):
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("i2i.course.export_run", sent)
    result, run = train(small, tmp_path)
    assert result.exit_code == 128 + number
    assert "Stopped after step 6; everything is saved" in result.output
    assert (run.facts()["state"], run.facts()["signal"], run.facts()["step"]) == ("interrupted", number.name, 6)


@pytest.mark.parametrize("number", OTHERS)
def test_a_second_signal_abandons_the_step_and_ends_by_its_own_status(small, tmp_path, monkeypatch, number):
    play = Trainer.play

    def disturbed(trainer, batches):
        if trainer.step == 4:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            time.sleep(10)
        return play(trainer, batches)

    monkeypatch.setattr(Trainer, "play", disturbed)
    result, run = train(small, tmp_path)
    assert result.exit_code == 128 + number
    facts = run.facts()
    assert (facts["state"], facts["signal"]) == ("interrupted", number.name)
    assert "step" not in facts


@pytest.mark.parametrize("number", [signal.SIGINT, *OTHERS])
def test_several_processes_that_abandoned_a_step_end_by_the_status_of_the_signal(small, tmp_path, monkeypatch, number):
    def together(arguments, count, said):
        run = Run.create(tmp_path / "run", "pix2pix")
        run.note(state="interrupted", signal=number.name)  # as one notes it that has no time to save
        return 128 + number, str(run.path)

    monkeypatch.setattr(launch, "together", together)
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small))
    command = ["train", "pix2pix", "--config", str(path), "--out", str(tmp_path / "run"), "--devices", "2"]
    result = CliRunner().invoke(cli.cli, command)
    assert result.exit_code == 128 + number
    assert "everything is saved" not in result.output
    assert f"i2i train --resume {tmp_path / 'run'}" in result.output


def test_processes_that_fail_to_go_on_with_what_was_interrupted_are_not_said_to_have_saved(
    small, tmp_path, monkeypatch
):
    run = Run.create(tmp_path / "run", "pix2pix")
    run.config.write_text(dump(api.configure(plugins.load("pix2pix"), [Layer("test", small)])))
    run.finish("interrupted", step=3, signal="SIGINT")
    monkeypatch.setattr(launch, "together", lambda *_: (1, str(run.path)))
    with pytest.raises(TrainingError, match="ended with status 1"):
        api.resume(run.path, devices=2)
