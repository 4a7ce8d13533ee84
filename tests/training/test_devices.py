"""`i2i train --devices`, the real command: stopped, killed, gone on with, and back from a broken step."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from i2i.training import checkpoint as checkpoints

SLOW = pytest.mark.skipif("I2I_SLOW" not in os.environ, reason="takes a minute: set I2I_SLOW")


def train(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "i2i", "train", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def rank_of(path):
    """The rank that /proc shows a process to be started with; None where it has none."""
    try:
        variables = (path / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((int(each[5:]) for each in variables if each.startswith(b"RANK=")), None)


def ranks_below(parent):
    """The numbers of the processes that `parent` has started, by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            above = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if above == parent and (rank := rank_of(path)) is not None:
            found[rank] = int(path.name)
    return found


@pytest.fixture
def settings(pairs, tmp_path):
    given = {
        "device": "cpu",
        "data.source": pairs,
        "data.size": 32,
        "data.workers": 0,
        "game.filters": 4,
        "game.discriminator_filters": 4,
        "game.discriminator_layers": 2,
        "trainer.batch": 4,
        "trainer.pool": 3,
        "trainer.precision": "float64",
        "trainer.validate_every": 3,
    }
    return [word for key, value in given.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture
def training(tmp_path, settings):
    """The command in two processes, in the middle of a training, and its run."""
    run = tmp_path / "run"
    process = train("pix2pix", *settings, "--steps", 30_000, "--out", run, "--devices", 2)
    until(process, (run / "checkpoints" / "step-0000006").exists)
    return process, run


def until(process, reached):
    while not reached():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_ctrl_c_ends_all_after_the_same_step_with_its_checkpoint(training):
    process, run = training
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    facts = json.loads((run / "run.json").read_text())
    assert (facts["state"], facts["signal"]) == ("interrupted", "SIGINT")
    whole, passed = checkpoints.newest_whole(run / "checkpoints")
    assert (whole.step, passed) == (facts["step"], [])
    assert said.count("stopping after this step") == 1  # the first alone speaks
    assert "Traceback" not in said


@SLOW
def test_ctrl_c_twice_ends_all_at_once_with_the_checkpoint_before(training):
    process, run = training
    process.send_signal(signal.SIGINT)
    time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert json.loads((run / "run.json").read_text())["state"] == "interrupted"
    whole, _ = checkpoints.newest_whole(run / "checkpoints")
    assert whole.step >= 6


RECOVERING = """
import json, sys
import math
from pathlib import Path
import i2i_pix2pix.game
from i2i import api

class Poisoned(i2i_pix2pix.game.Pix2Pix):
    def terms(self, batch, outputs):
        terms = dict(super().terms(batch, outputs))
        black = (batch["target"] < -0.99).flatten(1).all(1).any()  # in the part of one process alone
        return {**terms, "l1": terms["l1"] * (math.nan if black else 1)}

i2i_pix2pix.game.Pix2Pix = Poisoned
api.train("pix2pix", json.loads(sys.argv[1]), out=Path(sys.argv[2]))
"""


def test_two_processes_go_back_from_a_broken_step_as_one_does(tmp_path, small):
    script, folder = tmp_path / "recovering.py", tmp_path / "data"
    script.write_text(RECOVERING)
    for side in "AB":
        (folder / side).mkdir(parents=True)
        for number in range(16):
            colour = "black" if number == 7 and side == "B" else (200, 9 * number, 100)
            Image.new("RGB", (40, 40), colour).save(folder / side / f"{number:02d}.png")
    trainer = {**small["trainer"], "steps": 8, "precision": "float64"}
    data = {**small["data"], "source": str(folder), "rotate": 0, "zoom": 0, "validation": 0.2, "workers": 0}
    told = json.dumps({**small, "data": data, "trainer": trainer})
    found = []
    for count in (1, 2):
        run = tmp_path / f"run-{count}"
        ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        started = [*(ranks if count > 1 else []), script, told, run]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *started], env=environment, capture_output=True, timeout=120, check=True)
        weights = load_file(run / "checkpoints" / "step-0000008" / "weights.safetensors")
        found.append((json.loads((run / "run.json").read_text())["recoveries"], weights))
    (one, wanted), (two, got) = found
    assert one == two
    assert any("07" in name for name in one[0]["images"])
    assert wanted.keys() == got.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(got[name], tensor, rtol=1e-6, atol=1e-9, msg=name)


APART = """
import json, os, sys
import i2i_pix2pix.game
from i2i import api

class Nudged(i2i_pix2pix.game.Pix2Pix):
    def terms(self, batch, outputs):
        if os.environ["RANK"] == "1":
            for parameter in self.generators.parameters():
                parameter.data += 1e-3
        return super().terms(batch, outputs)

i2i_pix2pix.game.Pix2Pix = Nudged
api.train("pix2pix", json.loads(sys.argv[1]), out=sys.argv[2])
"""


@SLOW
def test_processes_whose_weights_have_come_apart_are_ended_at_the_next_checkpoint(tmp_path, small):
    script, run = tmp_path / "apart.py", tmp_path / "run"
    script.write_text(APART)
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, json.dumps(small), run]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *ranks], env=environment, capture_output=True, timeout=120, check=False)
    assert b"have come apart: steps, losses or weights differ" in done.stderr
    assert [each.step for each in checkpoints.find(run / "checkpoints")] == [0]


def killed(run, settings, steps):
    """Trains in two processes into `run`, of which the second is killed; gives what the command said, and seconds."""
    process = train("pix2pix", *settings, "--steps", steps, "--out", run, "--devices", 2)
    until(process, (run / "checkpoints" / "step-0000006").exists)
    ranks = ranks_below(process.pid)
    os.kill(ranks[1], signal.SIGKILL)
    began = time.monotonic()
    said = process.communicate(timeout=60)[1]
    seconds = time.monotonic() - began
    assert not any(Path(f"/proc/{number}").exists() for number in ranks.values())
    assert process.returncode == 1
    return said, seconds


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc")


@linux
def test_killing_one_of_a_training_ends_it_with_its_checkpoints(tmp_path, settings):
    run = tmp_path / "run"
    said, seconds = killed(run, settings, 3000)
    assert "process 1 of 2 was ended by SIGKILL" in said
    assert f"i2i train --resume {run}" in said
    assert "Traceback" not in said
    assert seconds < 30
    whole, passed = checkpoints.newest_whole(run / "checkpoints")
    assert whole.step >= 6
    assert passed == []


@linux
@SLOW
def test_a_training_that_lost_a_process_goes_on_with_any_number_of_them(tmp_path, settings):
    steps = 60

    def through(run, *arguments):
        process = train(*arguments)
        _, said = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return load_file(run / "checkpoints" / f"step-{steps:07d}" / "weights.safetensors")

    quiet, run = tmp_path / "quiet", tmp_path / "run"
    wanted = through(quiet, "pix2pix", *settings, "--steps", steps, "--out", quiet, "--devices", 2)
    killed(run, settings, steps)
    for count in (2, 1, 4):
        again = shutil.copytree(run, tmp_path / f"again-{count}")
        got = through(again, "--resume", again, "--devices", count)
        assert wanted.keys() == got.keys()
        for name, tensor in wanted.items():
            if count == 2:
                assert torch.equal(got[name], tensor), name
            else:
                torch.testing.assert_close(got[name], tensor, rtol=1e-6, atol=1e-9, msg=name)
