"""Full disks and lost permissions, at every call: a checkpoint is whole or absent."""

import errno
import functools
import io
import itertools
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import nn

from i2i import api, images
from i2i import plugin as plugins
from i2i.config import Layer, ObjectiveConfig, TrainerConfig
from i2i.errors import I2IError
from i2i.games.game import Game, Match
from i2i.training import checkpoint as checkpoints
from i2i.training.recorder import Recorder
from i2i.training.run import Run
from i2i.training.session import Session
from i2i.training.trainer import Trainer

REFUSALS = [errno.ENOSPC, errno.EACCES]
SLOW = os.environ.get("I2I_SLOW") == "1"
OPEN, NONBLOCK = os.open, getattr(os, "O_NONBLOCK", 0)


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Conv2d(2, 1, 3)

    def forward(self, image, condition):
        return self.net(torch.cat([condition, image], 1))


class Plain(Game):
    def __init__(self):
        super().__init__()
        self.generators = nn.ModuleDict({"G": nn.Conv2d(1, 1, 3, padding=1)})
        self.discriminators = nn.ModuleDict({"D": Judge()})

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["input"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"], batch["input"])

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"]}

    def exports(self):
        return {}


@pytest.fixture(scope="module")
def played():
    """A trainer, and a function that plays a step of it."""
    torch.manual_seed(0)
    trainer = Trainer(
        Plain(), ObjectiveConfig(), TrainerConfig(steps=10, pool=3, precision="float32"), torch.device("cpu")
    )

    def play():
        generator = torch.Generator().manual_seed(trainer.step)
        trainer.play([{name: torch.rand(2, 1, 8, 8, generator=generator) for name in ("input", "target")}])

    play()
    return trainer, play


@pytest.fixture
def two(played, tmp_path):
    """A folder with one checkpoint, a trainer a step later, and the tensors of both by their steps."""
    trainer, play = played
    before = checkpoints.save(trainer, None, tmp_path / "before").tensors()
    folder = tmp_path / "checkpoints"
    shutil.copytree(tmp_path / "before", folder)
    first = trainer.step
    play()
    after = checkpoints.save(trainer, None, tmp_path / "after").tensors()
    return folder, trainer, {first: before, first + 1: after}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Refusing:
    """A system that refuses a call that writes: the one numbered `at`, or all from that one on."""

    def __init__(self, patch, at, number, lasting):
        self.at, self.number, self.lasting = at, number, lasting
        self.count = 0
        for name in ("mkdir", "rename", "replace", "fsync", "open", "unlink", "rmdir"):
            patch.setattr(os, name, self.refusing(getattr(os, name)))
        patch.setattr(io, "open", self.opening(io.open))
        patch.setattr(checkpoints, "save_file", self.saving(checkpoints.save_file))

    @property
    def refused(self):
        return self.count >= self.at

    def due(self):
        self.count += 1
        return self.count == self.at or (self.lasting and self.count > self.at)

    def check(self):
        if self.due():
            raise OSError(self.number, os.strerror(self.number))

    def refusing(self, real):
        def call(*arguments, **named):
            if real is not OPEN or not arguments[1] & NONBLOCK:  # as images are opened, to be read
                self.check()
            return real(*arguments, **named)

        return call

    def opening(self, real):
        def call(path, mode="r", *arguments, **named):
            if set(mode).isdisjoint("wax+"):
                return real(path, mode, *arguments, **named)
            self.check()
            file = real(path, mode, *arguments, **named)
            write = file.write

            def half(data):
                if self.due():
                    write(data[: len(data) // 2])
                    raise OSError(self.number, os.strerror(self.number))
                return write(data)

            return Watched(file, half)

        return call

    def saving(self, real):
        def call(tensors, path):
            real(tensors, path)
            if self.due():
                os.truncate(path, path.stat().st_size // 2)
                reason = f"{os.strerror(self.number)} (os error {self.number})"
                raise SafetensorError(f"Error while serializing: I/O error: {reason}")

        return call


class Watched:
    """A file whose writing is another function."""

    def __init__(self, file, write):
        self._file, self.write = file, write

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


def attempted(action):
    """The error by which `action` says that the system refuses, if it does."""
    try:
        action()
    except I2IError as error:
        return error
    return None


def check_whole_or_absent(folder, expected):
    """All that is visible is one of `expected`, bit for bit, and something is."""
    newest, passed = checkpoints.newest_whole(folder)
    assert passed == []
    assert newest is not None
    found = checkpoints.find(folder)
    assert sorted(path.name for path in folder.glob("[!.]*")) == sorted(each.path.name for each in found)
    for each in found:
        assert same(each.tensors(), expected[each.step])


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_a_refusal_at_any_call_of_saving_and_pruning_leaves_whole_checkpoints(two, monkeypatch, number, lasting):
    folder, trainer, expected = two
    refusals = []

    def save():
        checkpoints.save(trainer, None, trial)
        checkpoints.prune(trial, 1, None)

    for at in itertools.count(1):
        trial = folder.with_name(f"trial-{at}")
        shutil.copytree(folder, trial)
        with monkeypatch.context() as patch:
            system = Refusing(patch, at, number, lasting)
            if error := attempted(save):
                refusals.append(error)
                assert error.message.startswith(str(trial))
                assert f"cannot be written: {os.strerror(number)}" in error.message
                assert error.hint
        check_whole_or_absent(trial, expected)
        checkpoints.sweep(trial)
        assert list(trial.glob(".*")) == []
        save()
        assert [each.step for each in checkpoints.find(trial)] == [max(expected)]
        if not system.refused:
            break
    assert at > 10
    assert len(refusals) > 8


@contextmanager
def limit(size):
    """No file of this process may grow beyond `size` bytes."""
    resource = pytest.importorskip("resource", reason="a system without limits")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_a_limit_at_any_byte_of_a_checkpoint_leaves_the_one_before(two):
    folder, trainer, expected = two
    (weights,) = folder.glob("*/weights.safetensors")
    (state,) = folder.glob("*/state.json")
    for size in {*range(0, weights.stat().st_size, 499), state.stat().st_size // 2}:
        with limit(size), pytest.raises(I2IError, match=r"cannot be written: File too large[\s\S]*Free some space"):
            checkpoints.save(trainer, None, folder)
        check_whole_or_absent(folder, expected)
        assert [each.step for each in checkpoints.find(folder)] == [min(expected)]
        assert list(folder.glob(".*")) == []


@pytest.fixture
def disk(tmp_path):
    """A file system of 256 KiB, where this user may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_with_too_little_space_leaves_the_checkpoint_before(two, disk):
    folder, trainer, expected = two
    there = Path(shutil.copytree(folder, disk / "checkpoints"))
    outcomes = set()
    for free in range(12):
        filler = disk / "filler"
        block = os.statvfs(disk).f_frsize
        filler.write_bytes(bytes(block * (os.statvfs(disk).f_bavail - free)))
        if error := attempted(lambda: checkpoints.save(trainer, None, there)):
            assert "No space left on device" in error.message
        outcomes.add("saved" if error is None else "refused")
        check_whole_or_absent(there, expected)
        assert list(there.glob(".*")) == []
        filler.unlink()
        shutil.rmtree(there / f"step-{max(expected):07d}", ignore_errors=True)
    assert outcomes == {"saved", "refused"}


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_a_refusal_leaves_the_facts_of_a_run_as_they_were(tmp_path, monkeypatch, number):
    run = Run.create(tmp_path / "run", "pix2pix")
    before = run.facts()
    for at in itertools.count(1):
        with monkeypatch.context() as patch:
            system = Refusing(patch, at, number, lasting=True)
            if error := attempted(functools.partial(run.note, best={"step": at})):
                assert str(run.path / "run.json") in error.message
        if not system.refused:
            break
        assert run.facts() in (before, {**before, "best": {"step": at}})
    assert at > 4
    assert run.facts()["best"] == {"step": at}


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_a_refusal_leaves_whole_lines_of_records(tmp_path, monkeypatch, number):
    run = Run.create(tmp_path / "run", "pix2pix")

    def record():
        with Recorder(run, 0) as recorder:
            for step in (1, 2):
                recorder.record(step, "train", {"loss": 0.5})

    for at in itertools.count(1):
        with monkeypatch.context() as patch:
            system = Refusing(patch, at, number, lasting=False)
            if error := attempted(record):
                assert "cannot be written" in error.message
        if not system.refused:
            break
        with Recorder(run, 1) as recorder:
            recorder.record(2, "train", {"loss": 0.25})
        recorded = [json.loads(line) for line in run.metrics.read_text().splitlines()]
        assert [line["step"] for line in recorded] in ([1, 2], [2])
        assert recorded[-1]["loss"] == 0.25
    assert at > 4


@pytest.mark.parametrize("number", REFUSALS, ids=errno.errorcode.get)
def test_a_refusal_leaves_the_picture_before(tmp_path, monkeypatch, number):
    path = tmp_path / "step.png"
    images.write(Image.new("RGB", (8, 8), "red"), path)
    for at in itertools.count(1):
        before = np.asarray(Image.open(path)).copy()
        with monkeypatch.context() as patch:
            system = Refusing(patch, at, number, lasting=True)
            new = Image.new("RGB", (8, 8), (at, 0, 0))
            if error := attempted(functools.partial(images.write, new, path)):
                assert str(path) in error.message
        after = np.asarray(Image.open(path))
        if not system.refused:
            break
        assert any(np.array_equal(after, each) for each in (before, np.asarray(new)))
    assert np.array_equal(after, np.asarray(new))


def test_metrics_with_half_a_line_and_bytes_that_are_no_text_are_gone_on_with(tmp_path):
    run = Run.create(tmp_path / "run", "pix2pix")
    with Recorder(run, 0) as recorder:
        for step in (1, 2):
            recorder.record(step, "train", {"loss": 0.5})
    with run.metrics.open("ab") as file:
        file.write(b'{"step": 2, "kind": "trai\xff\x00\x00\n\x00\x00')
    with Recorder(run, 2) as recorder:
        recorder.record(3, "train", {"loss": 0.5})
    assert [json.loads(line)["step"] for line in run.metrics.read_text().splitlines()] == [1, 2, 3]


def play(settings, run):
    """Trains without the export at the end, from the newest whole checkpoint if there is one."""
    plugin = plugins.load("pix2pix")
    session = Session(plugin, api.configure(plugin, [Layer("test", settings)]))
    newest, passed = checkpoints.newest_whole(run.checkpoints)
    assert passed == []
    if newest is not None:
        session.resume(newest)
    session.play(run)
    return checkpoints.newest_whole(run.checkpoints)[0].tensors()


def test_a_refusal_at_any_call_of_a_training_is_said_and_it_goes_on_to_the_same_bits(small, tmp_path, monkeypatch):
    small["trainer"] |= {"steps": 3, "validate_every": 2}
    small["data"]["workers"] = 0
    with monkeypatch.context() as patch:
        system = Refusing(patch, 10**9, errno.ENOSPC, lasting=False)
        expected = play(small, Run.create(tmp_path / "whole", "pix2pix"))
    calls = system.count
    assert calls > 100
    for at in range(1, calls + 1, 1 if SLOW else calls // 5):
        run = Run.create(tmp_path / f"at-{at}", "pix2pix")
        with monkeypatch.context() as patch:
            number = REFUSALS[at % 2]
            Refusing(patch, at, number, lasting=False)
            if error := attempted(functools.partial(play, small, run)):
                assert f"{run.path}" in error.message
                assert f"cannot be written: {os.strerror(number)}" in error.message
        with run.locked():  # removes what is half-written, as whoever goes on does
            checkpoints.sweep(run.checkpoints)
            assert same(play(small, run), expected)
        assert [path for path in run.path.rglob(".*") if path.suffix != ".lock" and path.name != ".lock"] == []
