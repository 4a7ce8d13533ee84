"""The checkpoints of a run on the disk: which there are, which of them are whole, and which may go."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from i2i.errors import RunError
from i2i.files import refuse, write_text

WEIGHTS: Final = "weights.safetensors"
STATE: Final = "state.json"
_NAME: Final = re.compile(r"step-(\d{7,})")


@dataclass(frozen=True)
class Best:
    """The step whose averaged generators scored best on the validation images."""

    step: int
    metric: str
    score: float


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk.

    told: what decided it: `config`, as its section and keys in JSON, the versions of `i2i`, `python` and `torch`, and
    what the `machine` was. digest: of its tensors' file; None in those of earlier versions, which kept none. verified:
    whether that has been compared with the file.
    """

    path: Path
    step: int
    best: Best | None
    told: Mapping[str, Any] = field(default_factory=dict)
    digest: str | None = None
    verified: bool = False

    def tensors(self) -> dict[str, Tensor]:
        """All its tensors, on the CPU; raises RunError where the file is damaged."""
        if not self.verified:
            self.verify()
        try:
            return load_file(self.path / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise _damaged(self.path, str(error)) from error

    def verify(self) -> None:
        """Reads it all; raises RunError where a byte is not as it was written."""
        if self.digest is None:
            return
        try:
            found = digest_of(self.path / WEIGHTS)
        except OSError as error:
            raise _damaged(self.path, str(error)) from error
        if found != self.digest:
            raise _damaged(self.path, f"{WEIGHTS} is not what was written")


def find(folder: Path) -> list[Checkpoint]:
    """The checkpoints in `folder`, oldest first.

    Those of which anything is missing, as far as one sees without reading all, are passed over; what was never
    finished has another name.
    """
    found = []
    for path in paths(folder):
        with suppress(RunError):
            found.append(look(path))
    return found


def paths(folder: Path) -> list[Path]:
    """The folders of checkpoints in `folder`, whole or not, oldest first; one of another name is somebody's own."""
    return [path for _, path in sorted(_numbered(folder))]


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("step-*"):
        named = _NAME.fullmatch(path.name)
        if named and path == place(folder, int(named[1])):
            yield int(named[1]), path


def newest_whole(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint in `folder` of which every byte is as it was written, and what is wrong with others.

    These are newer ones, and that of its best score: it is without that where its checkpoint is no longer whole.
    """
    passed: list[str] = []
    for path in reversed(paths(folder)):
        try:
            last = verified(path)
        except RunError as error:
            passed.append(error.message)
            continue
        if last.best is not None and last.best.step != last.step:
            try:
                verified(place(folder, last.best.step))
            except RunError as error:
                passed.append(f"the best one, {error.message}")
                last = replace(last, best=None)
        return last, passed
    return None, passed


def sweep(folder: Path) -> None:
    """Removes what a process that was killed in the middle of saving or pruning has left."""
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)


def prune(folder: Path, keep: int, best: Best | None, keep_every: int | None = None) -> None:
    """Removes all but the `keep` newest checkpoints, the best one, and those at multiples of `keep_every` steps.

    What is damaged counts as none of them, so that the only whole one always stays. Raises I2IError where the system
    refuses.
    """
    for checkpoint in find(folder)[:-keep]:
        lasting = keep_every is not None and checkpoint.step > 0 and checkpoint.step % keep_every == 0
        if not lasting and (best is None or checkpoint.step != best.step):
            discard(checkpoint.path)


def place(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step is."""
    return folder / f"step-{step:07d}"


def look(path: Path) -> Checkpoint:
    """The checkpoint at `path`, as far as one sees without reading all of it; raises RunError where it is damaged."""
    weights = path / WEIGHTS
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        best = None if state["best"] is None else Best(**state["best"])
        versions = state.get("versions", {"torch": state.get("torch")})
        told = {**versions, **{name: state[name] for name in ("config", "machine") if name in state}}
        known = state.get("weights", {})
        size = weights.stat().st_size
        step = int(state["step"])
        if path.name != place(path.parent, step).name:
            raise ValueError(f"{STATE} is of step {step}")
        if size != known.get("size", size):
            raise ValueError(f"{WEIGHTS} has {size} bytes instead of {known['size']}")
        if not known:
            with safe_open(weights, framework="pt"):  # compares the header with the file's length
                pass
        return Checkpoint(path, step, best, told, known.get("sha256"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise _damaged(path, str(error)) from error


def whole(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, if every byte of it is as it was written."""
    with suppress(RunError):
        return verified(path)
    return None


def verified(path: Path) -> Checkpoint:
    """The checkpoint at `path`, of which every byte is as it was written; raises RunError where one is not."""
    found = look(path)
    found.verify()
    return replace(found, verified=True)


def note_best(checkpoint: Checkpoint, best: Best) -> Checkpoint:
    """Writes into a checkpoint that is there which step was the best one until then."""
    path = checkpoint.path / STATE
    state = json.loads(path.read_text(encoding="utf-8"))
    write_text(path, json.dumps({**state, "best": asdict(best)}, indent=2) + "\n")
    return replace(checkpoint, best=best)


def digest_of(path: Path) -> str:
    """SHA-256 of the content of a file in hexadecimal: processors compute it, which makes it the fastest here."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(path: Path) -> None:
    """Removes a checkpoint; a crash in the middle leaves no half one of its name."""
    doomed = path.with_name(f".{path.name}.old")
    try:
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
    except OSError as error:
        refuse(path, error)
    shutil.rmtree(doomed, ignore_errors=True)


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(f"{path}: damaged: {reason}", "Remove this folder; `--resume` then takes the checkpoint before it.")
