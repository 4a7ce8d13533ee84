"""Kills a real `i2i train` at random moments, goes on each time, and compares the end with an undisturbed run's.

    python tests/benchmarks/kills.py --count 100

Each attempt is a process of its own, forked from this one once all is imported; with `--fresh`, a new interpreter.
Every step is followed by a validation, a picture and a checkpoint, so that many kills fall into the writing of one.
Prints a line of a table: kills; of these early, before a step was played; of these while something was being written;
attempts that had to begin anew; damaged checkpoints; steps; and whether all tensors of the last checkpoint, all records
and the scores are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import i2i.__main__
import i2i.course
from i2i.files import asides
from i2i.testing.drawn import draw
from i2i.training import checkpoint as checkpoints
from i2i.training.run import Run
from i2i.training.saved import whole

SETTINGS = {
    "data.size": 32,
    "data.workers": 1,
    "game.filters": 4,
    "game.discriminator_filters": 4,
    "game.discriminator_layers": 2,
    "objective.r1.weight": 1,
    "objective.r1.interval": 3,
    "trainer.pool": 5,
    "trainer.batch": 2,
    "trainer.log_every": 1,
    "trainer.validate_every": 1,
    "trainer.precision": "float32",
}


@dataclass
class Tally:
    """What was met with on the way."""

    kills: int = 0
    early: int = 0
    writing: int = 0
    anew: int = 0
    damaged: int = 0


class Attempt:
    """A process that runs `i2i ARGUMENTS`."""

    def __init__(self, arguments: list[str], log: Path, *, fresh: bool) -> None:
        self._log = log
        self.status: int | None = None
        """As of a shell; None while it runs."""
        with log.open("w") as file:
            self.pid = _started(arguments, file.fileno()) if fresh else _forked(arguments, file.fileno())

    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def kill(self) -> None:
        """Ends it, as `kill -9` does."""
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> None:
        """Waits for its end; raises SystemExit where it failed by itself."""
        while self.running():
            time.sleep(0.01)
        if self.status is not None and self.status > 0:
            raise SystemExit(f"ended with status {self.status}:\n{self._log.read_text()}")


def _started(arguments: list[str], log: int) -> int:
    redirected = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    command = [sys.executable, "-m", "i2i", *arguments]
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=redirected)


def _forked(arguments: list[str], log: int) -> int:
    """With all modules there, of which this process has run nothing yet: their import takes seconds."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["i2i", *arguments]
        i2i.__main__.run()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@dataclass(frozen=True)
class Trial:
    """Where runs are made, of what, how long, and how processes are started."""

    folder: Path
    steps: int
    fresh: bool

    def begin(self, out: Path) -> Attempt:
        """Starts a training as a person would, or goes on with it: by `--resume` once there is a run."""
        arguments = ["train", "--resume", str(out)]
        if not (out / "run.json").exists():
            settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
            data = ["--data", str(self.folder / "data"), f"--steps={self.steps}"]
            arguments = ["train", "pix2pix", *data, "--device=cpu", "--out", str(out), *settings]
        return Attempt(arguments, self.folder / "log", fresh=self.fresh)


def lines(out: Path) -> int:
    """How much has been recorded."""
    path = out / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def played(out: Path) -> int:
    """The last step that has been recorded."""
    path = out / "metrics.jsonl"
    told = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return int(json.loads(told.splitlines()[-1])["step"]) if told else 0


def wait(attempt: Attempt, seconds: float) -> bool:
    """Waits so long; whether the process is still there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and attempt.running():
        time.sleep(0.002)
    return attempt.running()


def wait_for(attempt: Attempt, out: Path, step: int) -> None:
    """Waits until a step is recorded that this process has played, and it has come to `step`, if it lasts so long."""
    before = lines(out)
    while attempt.running() and (lines(out) == before or played(out) < step):
        time.sleep(0.002)


def disturb(trial: Trial, out: Path, count: int, pace: float, seed: int) -> Tally:
    """Kills a training `count` times, every fifth time at any moment from its start on, else by the steps it played.

    pace: seconds a step; only where in a step it is killed depends on it.
    """
    tally, moments = Tally(), random.Random(seed)
    startup = 0.0
    while tally.kills < count:
        begun = time.monotonic()
        tally.anew += tally.kills > 0 and not (out / "run.json").exists()
        attempt = trial.begin(out)
        early = tally.kills % 5 == 4
        if early:
            there = wait(attempt, moments.uniform(0, startup))
        else:
            last = newest(out)
            most = int(1.6 * (trial.steps - last) / (count - tally.kills + 1))
            wait_for(attempt, out, 1)
            startup = time.monotonic() - begun
            wait_for(attempt, out, last + moments.randint(0, most))
            there = wait(attempt, moments.uniform(0, pace))
        attempt.kill()
        if not there:
            break  # finished before the last kill
        tally.kills += 1
        tally.early += early
        tally.writing += any([*asides(out), *asides(out / "samples"), *(out / "checkpoints").glob(".step-*")])
        tally.damaged += sum(whole(path) is None for path in (out / "checkpoints").glob("step-*"))
    return tally


def newest(out: Path) -> int:
    """The step of the last checkpoint."""
    found = checkpoints.find(out / "checkpoints")
    return found[-1].step if found else 0


def told(run: Run) -> list[dict[str, object]]:
    """All that was recorded, but for what depends on the clock."""
    records = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "images_per_second"} for record in records]


def differing(one: Path, other: Path) -> list[str]:
    """What is not equal at the end of two runs: tensors, records, exported files."""
    (mine, *_), (theirs, *_) = (checkpoints.newest_whole(path / "checkpoints") for path in (one, other))
    assert mine is not None
    assert theirs is not None
    first, second = mine.tensors(), theirs.tensors()
    found = sorted(first.keys() ^ second.keys())
    found += [name for name in first.keys() & second.keys() if not torch.equal(first[name], second[name])]
    if (mine.step, mine.best) != (theirs.step, theirs.best):
        found.append("the best step")
    if told(Run(one)) != told(Run(other)):
        found.append("the records")
    if Run(one).facts()["scores"] != Run(other).facts()["scores"]:
        found.append("the scores")
    return found


def compare(trial: Trial, count: int, seed: int) -> tuple[Tally, list[str]]:
    """An undisturbed run and one that is killed `count` times; what differs in the end."""
    straight, disturbed = trial.folder / "straight", trial.folder / "disturbed"
    draw(trial.folder / "data", "paired", 40)
    attempt = trial.begin(straight)
    wait_for(attempt, straight, 1)
    begun = time.monotonic()
    while newest(straight) < trial.steps and attempt.running():
        time.sleep(0.05)
    pace = (time.monotonic() - begun) / trial.steps
    attempt.end()
    tally = disturb(trial, disturbed, count, pace, seed)
    if Run(disturbed).state() != "finished":
        trial.begin(disturbed).end()
    return tally, differing(straight, disturbed)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="start an interpreter for each attempt, which takes long")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        trial = Trial(Path(folder), given.steps, given.fresh)
        tally, other = compare(trial, given.count, given.seed)
    equal = f"{len(other)} differ: {', '.join(other[:3])}" if other else "all equal, bit for bit"
    print("| kills | early | while writing | begun anew | damaged | steps | tensors, records, scores |")
    print("|---|---|---|---|---|---|---|")
    figures = (tally.kills, tally.early, tally.writing, tally.anew, tally.damaged, given.steps)
    print(f"| {' | '.join(map(str, figures))} | {equal} |")
    sys.exit(bool(other))


if __name__ == "__main__":
    main()
