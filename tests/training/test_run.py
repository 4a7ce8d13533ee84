"""What a training leaves, and how it ends."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from i2i import api, cli, config, images
from i2i.errors import ConfigError, DataError, DeviceError, RunError, TrainingError
from i2i.training.observer import Observer
from i2i.training.run import Run, newest_model
from i2i_pix2pix.config import Pix2PixConfig


def lines(run, kind):
    read = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [line for line in read if line["kind"] == kind]


def test_a_run_leaves_what_the_readme_promises(finished):
    facts = finished.facts()
    assert facts["state"] == "finished"
    resolved = config.resolve(Pix2PixConfig, [config.read_yaml(finished.config)])
    assert (resolved.trainer.steps, resolved.data.size, resolved.game.statistics) == (12, 32, "image")
    assert [line["step"] for line in lines(finished, "train")] == [2, 4, 6, 8, 10, 12]
    assert {"discriminator", "accuracy", "adversarial", "l1", "lr", "images_per_second"} <= lines(finished, "train")[
        0
    ].keys()
    assert [line["step"] for line in lines(finished, "validation")] == [4, 8, 12]
    assert sorted(path.name for path in finished.samples.iterdir()) == [f"step-{n:07d}.png" for n in (4, 8, 12)]
    assert finished.model.is_file()
    assert facts["best"]["score"] == max(line["psnr"] for line in lines(finished, "validation"))


def test_tensorboard_shows_the_same_curves(finished):
    events = EventAccumulator(str(finished.tensorboard)).Reload()
    for kind, name in (("train", "l1"), ("validation", "psnr")):
        shown = events.Scalars(f"{kind}/{name}")
        assert [event.step for event in shown] == [line["step"] for line in lines(finished, kind)]
        assert [event.value for event in shown] == pytest.approx([line[name] for line in lines(finished, kind)])


def test_sample_grids_show_input_output_and_target(finished, pairs):
    grid = np.asarray(Image.open(finished.samples / "step-0000012.png"))
    rows = len(list(finished.examples.iterdir()))
    assert grid.shape == (rows * 34 + 2, 3 * 34 + 2, 3)
    shown = np.asarray(Image.open(finished.examples / "0.png"))
    assert np.array_equal(grid[2:34, 2:34], shown)
    targets = [
        np.asarray(Image.open(path).resize((32, 32), Image.Resampling.BICUBIC)) for path in (pairs / "B").iterdir()
    ]
    assert any(np.array_equal(grid[2:34, 70:102], target) for target in targets)


def test_the_reported_score_is_that_of_the_exported_file(finished, pairs):
    """PSNR by its definition, on what the ONNX file makes of the validation images."""
    translate = api.load(finished.path)
    by_stem = {path.stem: path for path in (pairs / "A").iterdir()}
    held_out = []
    for path in by_stem.values():
        image = images.resize(images.to_pixels(images.read(path), 3), 32, 32)
        if any(np.array_equal(image, np.asarray(Image.open(shown))) for shown in finished.examples.iterdir()):
            target = images.resize(images.to_pixels(images.read(pairs / "B" / path.name), 3), 32, 32)
            held_out.append((image, target))
    scores = finished.facts()["scores"]
    assert len(held_out) == scores["images"] == len(list(finished.examples.iterdir()))

    def psnr(image, target):
        return 10 * np.log10(255**2 / np.mean((image.astype(float) - target) ** 2))

    copied = np.mean([psnr(*pair) for pair in held_out])
    assert scores["baselines"]["copying"]["psnr"] == pytest.approx(copied, rel=1e-5)
    made = np.mean([psnr(translate(image), target) for image, target in held_out])
    assert scores["model"]["psnr"] == pytest.approx(made, abs=0.02)  # values on an edge may be rounded otherwise


@pytest.mark.parametrize("name", ["minimax", "nonsaturating", "lsgan", "hinge", "wasserstein", "relativistic"])
@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1", "r2"])
def test_any_objective_and_penalty_trains_by_configuration_alone(small, tmp_path, name, penalty):
    from i2i import plugin as plugins
    from i2i.training.session import Session

    settings = {**small, "objective": {"name": name, penalty: {"weight": 1.0, "interval": 2}}}
    manifest = plugins.load("pix2pix")
    run = Run.create(tmp_path / "run", "pix2pix")
    session = Session(manifest, api.configure(manifest, [config.Layer("test", settings)]))
    assert session.play(run).step == 6
    shown = [penalty in line for line in lines(run, "train")]
    assert shown == [True, False] * 3
    assert all(np.isfinite(list(line.values())[2:]).all() for line in lines(run, "train"))


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 3), (4, 1), (2, 4)])
def test_channels_are_free(small, tmp_path, channels_in, channels_out):
    small["data"] |= {"input_channels": channels_in, "target_channels": channels_out}
    run = api.train("pix2pix", small, out=tmp_path / "run")
    made = api.load(run.path)(np.zeros((40, 50, channels_in), np.uint8))
    assert made.shape == (40, 50, channels_out)
    assert run.facts()["scores"]["baselines"] == {}


def test_what_is_missing_is_said_before_anything_is_written(small, tmp_path):
    wrong = [
        ({"data": {**small["data"], "source": str(tmp_path / "none")}}, DataError, "no folder"),
        ({"device": "cuda:7"}, DeviceError, "torch sees"),
        ({"trainer": {"stepz": 3}}, ConfigError, "did you mean 'steps'"),
        ({"data": {**small["data"], "validation": 0.0}}, DataError, "0 left to validate on"),
    ]
    for settings, error, reason in wrong:
        with pytest.raises(error, match=reason):
            api.train("pix2pix", {**small, **settings}, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_training_and_is_named(small, tmp_path):
    small["trainer"]["lr"] = 1e30
    with pytest.raises(TrainingError, match=r"discriminator is no number.*in vain[\s\S]*trainer\.lr"):
        api.train("pix2pix", small, out=tmp_path / "run")
    assert Run.open(tmp_path / "run").facts()["state"] == "failed"


def test_an_observer_hears_of_everything(small, tmp_path):
    heard = []

    class Listening(Observer):
        def started(self, first, total):
            heard.append(("started", first, total))

        def played(self, step, losses, images_per_second):
            heard.append(("played", step))

        def validated(self, step, scores, best):
            heard.append(("validated", step))

        def finished(self):
            heard.append(("finished",))

    api.train("pix2pix", small, out=tmp_path / "run", observer=Listening())
    played = [("played", n) for n in range(1, 7)]
    assert heard == [("started", 0, 6), *played[:3], ("validated", 3), *played[3:], ("validated", 6), ("finished",)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_go_on_and_loses_nothing(pairs, tmp_path, number, status):
    out = tmp_path / "run"
    arguments = ["--data", str(pairs), "--steps", "100000", "--device", "cpu", "--out", str(out)]
    settings = [
        "data.size=32",
        "game.filters=4",
        "game.discriminator_filters=4",
        "trainer.batch=2",
        "trainer.log_every=1",
    ]
    command = [sys.executable, "-m", "i2i", "train", "pix2pix", *arguments, *(f"--set={each}" for each in settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (out / "metrics.jsonl").exists() or len((out / "metrics.jsonl").read_text()) < 100:
            assert time.monotonic() < deadline, "no step was played"
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.kill(process.pid, number)
        said, complaints = process.communicate(timeout=120)
    assert process.returncode == status
    assert f"i2i train --resume {out}" in said
    assert "Traceback" not in complaints
    run = Run.open(out)
    step = run.facts()["step"]
    assert run.facts()["state"] == "interrupted"
    assert (run.checkpoints / f"step-{step:07d}" / "weights.safetensors").is_file()
    resume = [sys.executable, "-m", "i2i", "train", "--resume", str(out), "--steps", str(step + 2)]
    resumed = subprocess.run(resume, capture_output=True, text=True, check=True)
    assert f"i2i translate {out}" in resumed.stdout
    assert run.facts()["state"] == "finished"
    assert (run.checkpoints / f"step-{step + 2:07d}").is_dir()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="a system without SIGUSR1")
def test_sigusr1_is_a_wish_to_stop_too(small, tmp_path):
    out = tmp_path / "run"
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**small, "trainer": {**small["trainer"], "steps": 100_000}}))

    def send():
        while not (out / "metrics.jsonl").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send)
        result = CliRunner().invoke(cli.cli, ["train", "pix2pix", "--config", str(path), "--out", str(out)])
        sent.result(timeout=60)
    assert result.exit_code == 138
    run = Run.open(out)
    assert f"i2i train --resume {out}" in result.output
    assert (run.facts()["state"], run.facts()["signal"]) == ("interrupted", "SIGUSR1")
    assert (run.checkpoints / f"step-{run.facts()['step']:07d}").is_dir()


def test_the_newest_run_is_told_by_numbers_where_a_clock_was_set_back(tmp_path):
    old, first, second = (Run.next(tmp_path, "pix2pix", "pix2pix") for _ in range(3))
    for run in (old, second, first):
        run.model.write_bytes(b"")
        run.finish("finished")
    old.note(order=None, ended="2030-01-01T00:00:00+00:00")  # of a version that knew no numbers
    second.note(ended="2031-01-01T00:00:00+00:00")
    assert newest_model(tmp_path) == first.model
    for run in (first, second):
        run.note(order=None)
    assert newest_model(tmp_path) == second.model


@pytest.mark.parametrize("denied", ["a neighbour", "all"])
def test_what_may_not_be_looked_at_beside_a_run_does_not_fail_it(tmp_path, monkeypatch, denied):
    run = Run.create(tmp_path / "run", "pix2pix")
    run.model.write_bytes(b"")
    (tmp_path / "systemd-private").mkdir()
    stat, listdir = os.stat, os.listdir

    def refused(path, *arguments, **named):
        if "systemd-private" in str(path) and str(path) != str(tmp_path / "systemd-private"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, *arguments, **named)

    def unlisted(path="."):
        if denied == "all" and str(path) == str(tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "stat", refused)
    monkeypatch.setattr(os, "listdir", unlisted)
    run.finish("finished")
    assert run.facts()["state"] == "finished"
    if denied == "all":
        with pytest.raises(RunError, match="no finished run"):
            newest_model(tmp_path)
    else:
        assert newest_model(tmp_path) == run.model
    with pytest.raises(RunError, match="is no run"):
        Run.open(tmp_path / "systemd-private")


def test_runs_are_numbered_and_the_newest_finished_one_is_found(tmp_path):
    with pytest.raises(RunError, match=r"no finished run[\s\S]*i2i train pix2pix"):
        newest_model(tmp_path)
    first, second, third = (Run.next(tmp_path, "pix2pix", "pix2pix") for _ in range(3))
    assert [run.path.name for run in (first, second, third)] == ["pix2pix-001", "pix2pix-002", "pix2pix-003"]
    for run in (second, first):
        run.model.write_bytes(b"")
        run.finish("finished")
    third.model.write_bytes(b"")
    third.finish("interrupted")
    assert newest_model(tmp_path) == first.model


def test_a_run_does_not_overwrite_what_is_there(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    with pytest.raises(RunError, match="is not empty"):
        Run.create(tmp_path, "pix2pix")
    with pytest.raises(RunError, match="is a file"):
        Run.create(tmp_path / "photo.png", "pix2pix")


def test_runs_that_start_together_get_numbers_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Run.next(tmp_path, "pix2pix", "pix2pix").path.name, range(24)))
    assert sorted(made) == [f"pix2pix-{number:03d}" for number in range(1, 25)]


def test_a_damaged_run_does_not_hide_the_others(tmp_path):
    good, bad = (Run.next(tmp_path, "pix2pix", "pix2pix") for _ in range(2))
    good.model.write_bytes(b"")
    good.finish("finished")
    (bad.path / "run.json").write_text("{")
    assert newest_model(tmp_path) == good.model
