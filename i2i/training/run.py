"""A run: the directory that a training leaves, and how to find one. Imports no torch, so that any command can look."""

from __future__ import annotations

import errno
import itertools
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from i2i.artifact import Kind, Precision
from i2i.errors import I2IError, RunError
from i2i.files import asides, refuse, remove_asides, sweep, write_text
from i2i.training.standing import now, played

RUNS = Path("runs")  # where runs are made and looked for, unless told otherwise
_DOES: dict[Kind, tuple[str, str, str]] = {
    "image": ("translates images", "pix2pix", "-m model.onnx"),
    "noise": ("makes images from noise", "dcgan", "i2i generate model.onnx"),
}
State = Literal["running", "interrupted", "failed", "finished"]
_LOCKLESS: Final = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}  # of network file systems without locks


class Run:
    """A run's directory and what is in it.

    config: the resolved configuration. metrics, tensorboard: the curves. samples: the fixed validation images over
    time; examples: their inputs, as files. checkpoints: `step-N`, each all that is needed to go on. model, parity: the
    export, and what each of the exports was found to differ by. evaluation: the scores of the best weights, image by
    image. report, card: the run as a page, and the model as the hub shows it. stages: the runs that came before, where
    a run has stages. `run.json` holds the facts: how it was started, how it ended, its scores.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.jsonl"
        self.tensorboard = path / "tensorboard"
        self.samples = path / "samples"
        self.examples = path / "examples"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model.onnx"
        self.parity = path / "parity.json"
        self.evaluation = path / "evaluation"
        self.report = path / "report.html"
        self.card = path / "README.md"
        self.stages = path / "stages"
        self._facts = path / "run.json"
        self._lock = path / ".lock"
        self._exporting = path / ".export.lock"

    @classmethod
    def create(cls, path: Path, plugin: str) -> Run:
        """Makes an empty run of `plugin` at `path`; raises RunError where it is not empty, I2IError if refused."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if {*path.iterdir()} - {*asides(path)}:  # what was killed before there was a run is no obstacle
                raise RunError(
                    f"{path}: is not empty", f"Go on with it by `i2i train --resume {path}`, or choose another --out."
                )
        except FileExistsError:
            raise RunError(f"{path}: is a file", "Choose another folder with --out.") from None
        except OSError as error:
            refuse(path, error)
        run = cls(path)
        run.note(plugin=plugin, state="running", started=now())
        return run

    @classmethod
    def next(cls, root: Path, plugin: str, name: str) -> Run:
        """Makes the next numbered run below `root`: `NAME-001`, `NAME-002`, ..."""
        numbers = [int(tail) for other in _names(root) if (tail := other.removeprefix(f"{name}-")).isdigit()]
        for number in itertools.count(max(numbers, default=0) + 1):
            path = root / f"{name}-{number:03d}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if not root.is_dir():
                    raise RunError(f"{root}: is a file", "Choose another folder with --out.") from None
                continue  # somebody else was faster
            except OSError as error:
                refuse(path, error)
            return cls.create(path, plugin)
        raise AssertionError("numbers do not end")

    @classmethod
    def open(cls, path: Path) -> Run:
        """The run at `path`; raises RunError where there is none."""
        run = cls(path)
        if not _so(run._facts.is_file):
            others = [str(other.path) for other in runs(path.parent)]
            known = f"Runs there: {', '.join(others)}" if others else "A run is a folder that `i2i train` made."
            raise RunError(f"{path}: is no run: it has no run.json", known)
        run.facts()
        return run

    def model_for(self, export: str, precision: Precision = "fp32") -> Path:
        """The file of the export of that name, "" being the default one: `model.onnx`, `model.BtoA.int8.onnx`."""
        parts = ["model", *([export] if export else []), *([precision] if precision != "fp32" else []), "onnx"]
        return self.path / ".".join(parts)

    def examples_for(self, export: str) -> Path:
        """The folder of inputs for the export of that name, "" being the default one."""
        return self.examples / export if export else self.examples

    def facts(self) -> dict[str, Any]:
        """What `run.json` holds; raises RunError where it is damaged."""
        try:
            facts = json.loads(self._facts.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self._facts}: cannot be read: {error}", "Restore it.") from error
        if not isinstance(facts, dict):
            raise RunError(f"{self._facts}: holds no mapping", "Restore it.")
        return facts

    def state(self) -> str | None:
        """How far it is; None where nothing has begun."""
        return str(self.facts().get("state")) if self._facts.is_file() else None

    def note(self, **facts: object) -> None:
        """Adds `facts` to `run.json`, which is replaced as a whole; None removes one."""
        known = (self.facts() if self._facts.is_file() else {}) | facts
        kept = {name: fact for name, fact in known.items() if fact is not None}
        write_text(self._facts, json.dumps(kept, indent=2) + "\n")

    def begin(self, **facts: object) -> None:
        """Notes that the run is under way, and `facts`; how an earlier attempt ended is no longer true."""
        over = dict.fromkeys(("ended", "error", "signal", "scores", "stage", "step"))
        self.note(state="running", **{**over, **facts})

    def finish(self, state: State, **facts: object) -> None:
        """Notes how the run ended and when, and of the runs beside it which number it is to do so."""
        here = self.path.absolute()
        others = (_order(beside) for run, beside in told(here.parent) if run.path.name != here.name)
        seconds = played({**self.facts(), "ended": None})
        order = 1 + max(others, default=0)
        self.note(state=state, ended=now(), begun=None, seconds=seconds, order=order, **facts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from playing this run; the system lets go of it when this process dies, however.

        What an earlier one left half-written when it was killed is removed. Raises RunError, which names the other
        process, where one plays the run; to look at it and to export it stay possible. A stage has a lock of its own. A
        file system without locks cannot tell: there a second process is not refused.
        """
        with ExitStack() as held:
            if not held.enter_context(_held(self._lock, blocking=False)):
                raise RunError(
                    f"{self.path}: is being trained by another process{self._player()}",
                    "Wait until it has ended, or stop that one: it saves and can be gone on with.",
                )
            self._sweep()
            self.note(process={"pid": os.getpid(), "host": platform.node()}, begun=now())
            try:
                yield
            finally:
                with suppress(I2IError):  # nothing depends on it
                    self.note(process=None, begun=None)

    @contextmanager
    def exporting(self) -> Iterator[None]:
        """Has other processes wait that export this run meanwhile; what one left half-written is removed."""
        with _held(self._exporting, blocking=True):
            self._sweep_models()
            yield

    def _sweep(self) -> None:
        remove_asides([self._facts, self.config, self.metrics, self.evaluation, self.report, self.card])
        for folder in (self.samples, self.examples):
            sweep(folder)
        with _held(self._exporting, blocking=False) as alone:
            if alone:
                self._sweep_models()

    def _sweep_models(self) -> None:
        for left in asides(self.path):
            if left.name.startswith((".model.", f".{self.parity.name}.")):
                with suppress(OSError):
                    left.unlink()

    def _player(self) -> str:
        """Which process has noted that it plays this run."""
        with suppress(RunError):
            process = self.facts().get("process")
            if isinstance(process, dict):
                return f", {process.get('pid')} on {process.get('host')}"
        return ""


def runs(root: Path) -> Iterator[Run]:
    """The runs directly below `root`, by name."""
    for name in _names(root):
        if _so((root / name / "run.json").is_file):
            yield Run(root / name)


def told(root: Path) -> Iterator[tuple[Run, dict[str, Any]]]:
    """The runs directly below `root` with what they say of themselves; a damaged one does not hide the others."""
    for run in runs(root):
        try:
            facts = run.facts()
        except RunError:
            continue
        yield run, facts


def newest_model(root: Path, kind: Kind = "image") -> Path:
    """The `model.onnx` of the run below `root` that finished last with a model of `kind`; RunError where none has."""
    finished = []
    for run, facts in told(root):
        if facts.get("state") == "finished" and facts.get("kind", "image") == kind and _so(run.model.is_file):
            # By number, as clocks may be set back; runs of earlier versions have none.
            finished.append((_order(facts), str(facts.get("ended", "")), run.path.name, run.model))
    if not finished:
        does, plugin, model = _DOES[kind]
        raise RunError(
            f"no finished run under {root}/ {does}", f"Train one: `i2i train {plugin}`; or give a model: `{model}`."
        )
    return max(finished)[-1]


def _order(facts: Mapping[str, Any]) -> int:
    order = facts.get("order")
    return order if isinstance(order, int) else 0


def _names(root: Path) -> list[str]:
    """Of the folders in `root`; none where it may not be looked at."""
    with suppress(OSError):
        return sorted(path.name for path in root.iterdir() if _so(path.is_dir))
    return []


def _so(ask: Callable[[], bool]) -> bool:
    """What is asked of a path; False where it may not be looked at, for which Python raises before 3.14."""
    with suppress(OSError):
        return ask()
    return False


@contextmanager
def _held(lock: Path, *, blocking: bool) -> Iterator[bool]:
    """Whether a lock is held, which the system lets go of when this process dies; True where there are no locks."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - of the extra `train`

    with ExitStack() as stack:
        try:
            # A soft one would be a file that stays when this process is killed.
            stack.enter_context(FileLock(lock, blocking=blocking, fallback_to_soft=False))
        except Timeout:
            yield False
            return
        except OSError as error:
            if error.errno not in _LOCKLESS:
                refuse(lock, error)
        yield True
