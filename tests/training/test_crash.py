"""Kills, and second processes on one run."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from i2i.errors import RunError
from i2i.training.run import Run

HOLDING = """
import errno
import sys
from pathlib import Path
from i2i.training.run import Run
if len(sys.argv) > 2:  # a file system without locks
    import fcntl
    def refuse(*_):
        raise OSError(getattr(errno, sys.argv[2]), "no locks here")
    fcntl.flock = refuse
with Run.open(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone_even_if_it_was_killed(tmp_path):
    run = Run.create(tmp_path / "run", "pix2pix")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(RunError, match=rf"being trained by another process, {first.pid} on \S+\n.*stop"),
            run.locked(),
        ):
            pass
        assert run.facts()["process"]["pid"] == first.pid  # to look stays possible
        first.kill()
    with run.locked():
        assert run.facts()["process"]["pid"] == os.getpid()
    assert "process" not in run.facts()


@pytest.mark.skipif(os.name == "nt", reason="a system without flock")
@pytest.mark.parametrize("number", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_killed_process_leaves_no_lock_where_the_file_system_has_none(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")
    run = Run.create(tmp_path / "run", "pix2pix")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(run.path), number], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "held\n"
        first.kill()

    def refuse(*_):
        raise OSError(getattr(errno, number), "no locks here")

    with run.locked():  # on a machine that sees locks
        pass
    monkeypatch.setattr(fcntl, "flock", refuse)
    with run.locked():
        pass


def test_a_stage_is_locked_by_itself_and_swept_by_nobody_else(tmp_path):
    run = Run.create(tmp_path / "run", "srgan")
    stage = Run.create(run.stages / "content", "srgan")
    written = stage.path / ".metrics.jsonl.0123abcd.tmp"
    with stage.locked():
        written.write_text("half")
        with run.locked():
            assert written.exists()
        with pytest.raises(RunError, match="being trained by another process"), Run(stage.path).locked():
            pass


def test_half_written_models_are_removed_but_not_those_of_an_export_that_is_under_way(tmp_path):
    run = Run.create(tmp_path / "run", "cyclegan")
    left = [
        run.path / f".{name}.0123abcd.tmp"
        for name in ("model.onnx", "model.BtoA.onnx", "model.int8.onnx", "parity.json")
    ]

    def write():
        for path in left:
            path.write_bytes(b"half")

    write()
    with run.locked():
        assert not any(path.exists() for path in left)
    with run.exporting():
        write()
        with run.locked():
            assert all(path.exists() for path in left)
    with run.exporting():
        assert not any(path.exists() for path in left)


def test_what_killed_processes_left_is_removed_by_the_next_one(tmp_path):
    run = Run.create(tmp_path / "run", "pix2pix")
    stage = Run.create(run.stages / "content", "pix2pix")
    left = [
        run.path / ".run.json.0123abcd.tmp",
        run.samples / ".step-0000001.png.0123abcd.tmp",
        run.examples / ".0.png.0123abcd.tmp",
        stage.path / ".metrics.jsonl.0123abcd.tmp",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    mine = run.path / ".notes.0123abcd.tmp"
    mine.write_text("of somebody else")
    with run.locked(), stage.locked():
        assert [path for path in left if path.exists()] == []
    assert mine.exists()


def test_what_was_killed_before_there_was_a_run_is_no_obstacle_to_it(tmp_path):
    (tmp_path / ".run.json.0123abcd.tmp").write_text("{")
    assert Run.create(tmp_path, "pix2pix").state() == "running"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork and kill -9")
@pytest.mark.parametrize(
    "count",
    [
        3,
        pytest.param(
            30, marks=pytest.mark.skipif(os.environ.get("I2I_SLOW") != "1", reason="takes minutes: set I2I_SLOW=1")
        ),
    ],
)
def test_a_run_that_is_killed_at_random_moments_ends_as_one_that_is_not(count):
    place = Path(__file__).parents[1] / "benchmarks" / "kills.py"
    command = [sys.executable, str(place), "--count", str(count), "--steps", str(20 * count)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kills, *_, damaged, _, equal = [cell.strip() for cell in ended.stdout.splitlines()[-1].strip("|").split("|")]
    assert (kills, damaged, equal) == (str(count), "0", "all equal, bit for bit")
