"""What a run's files say; what cannot be read is said in a sentence, and hides nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from i2i.errors import I2IError
from i2i.evaluated import MODEL, About, Evaluated, Figure
from i2i.runtime.model.find import read_description
from i2i.training.run import Run
from i2i.training.standing import standing

if TYPE_CHECKING:
    from pathlib import Path

    from i2i.artifact import Description

KINDS: Final = ("train", "validation")
_TAIL: Final = 2**16  # bytes at the end of the records
_OF: Final[dict[str, type]] = {
    **dict.fromkeys(("plugin", "state", "started"), str),
    **dict.fromkeys(("best", "versions", "scores"), dict),
    **dict.fromkeys(("diagnoses", "recoveries", "recoveries_in_vain", "notes", "resumed"), list),
    "step": int,
}
Curve = list[tuple[float, float]]
"""Steps and values, in the order in which they were recorded."""


@dataclass
class Told:
    """A run, and what its files say: `missing` has a sentence for each thing that could not be read."""

    run: Run
    facts: dict[str, Any]
    config: str = ""
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)
    samples: list[tuple[int, Path]] = field(default_factory=list)
    evaluated: Evaluated | None = None
    models: dict[str, Description] = field(default_factory=dict)
    stages: list[Told] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.run.path.absolute().name

    @property
    def running(self) -> bool:
        """Whether it is being trained, as far as its files tell."""
        return self.facts.get("state") == "running"  # "killed" of one that has no process any more


def tell(run: Run) -> Told:
    """Reads a run; raises RunError where it is none."""
    told = Told(run, {})
    for name, fact in run.facts().items():
        if is_right(name, fact):
            told.facts[name] = fact
        else:
            told.missing.append(f"{run.path / 'run.json'}: '{name}' is damaged")
    told.facts["state"] = standing(told.facts)
    told.config = _text(run.config, told) or ""
    told.curves = _curves(run.metrics, told)
    told.samples = _samples(run.samples)
    if run.evaluation.is_dir():
        try:
            told.evaluated = Evaluated.read(run.evaluation)
        except I2IError as error:
            told.missing.append(error.message)
    else:
        told.evaluated = _earlier(told.facts)
    for path in sorted(run.path.glob("model*.onnx")):
        try:
            told.models[path.name] = read_description(path)
        except I2IError as error:
            told.missing.append(error.message)
    if run.stages.is_dir():
        for path in sorted(run.stages.iterdir()):
            try:
                told.stages.append(tell(Run(path)))
            except I2IError as error:
                told.missing.append(error.message)
    return told


def _earlier(facts: Mapping[str, Any]) -> Evaluated | None:
    """The scores of a run of an earlier version, which kept the figures alone."""
    scores = facts.get("scores")
    if not isinstance(scores, dict):
        return None
    try:
        by_what = {MODEL: scores["model"], **scores["baselines"]}
        return Evaluated(
            model=str(facts.get("plugin")),
            data=str(facts.get("data")),
            split=scores["split"],
            images=scores["images"],
            metrics={name: About(key=name) for name in scores["model"]},
            scores={
                what: {name: Figure(value=value) for name, value in each.items()} for what, each in by_what.items()
            },
        )
    except (KeyError, TypeError, AttributeError, ValidationError):
        return None


def last_step(run: Run) -> int | None:
    """The last step that was recorded, by the last whole line of the records."""
    try:
        with run.metrics.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return None


def is_right(name: str, fact: object) -> bool:
    """Whether a fact of `run.json` is of the kind that is written there, as far as it is computed with."""
    kind = _OF.get(name)
    if kind is not None and not isinstance(fact, kind):
        return False
    if name == "best" and isinstance(fact, dict):
        return (
            isinstance(fact.get("step"), int)
            and isinstance(fact.get("score"), int | float)
            and isinstance(fact.get("metric"), str)
            and isinstance(fact.get("validation", {}), dict)
        )
    return True


def _text(path: Path, told: Told) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        told.missing.append(f"{path}: cannot be read: {error.strerror}")
        return None


def _curves(path: Path, told: Told) -> dict[str, dict[str, Curve]]:
    """By kind and name; lines that are cut short, and what is no number, are left out."""
    found: dict[str, dict[str, Curve]] = {kind: {} for kind in KINDS}
    broken = 0
    for line in (_text(path, told) or "").splitlines():
        try:
            record = json.loads(line)
            kind, step = str(record.pop("kind")), float(record.pop("step"))
        except (ValueError, KeyError, TypeError, AttributeError):
            broken += 1
            continue
        if kind in found and math.isfinite(step):
            for name, value in record.items():
                if isinstance(value, int | float):
                    found[kind].setdefault(name, []).append((step, float(value)))
    if broken:
        told.missing.append(f"{path}: {broken} line{'s' if broken > 1 else ''} cannot be read")
    return found


def _samples(folder: Path) -> list[tuple[int, Path]]:
    numbered = []
    for path in folder.glob("step-*.png") if folder.is_dir() else ():
        number = path.stem.removeprefix("step-")
        if number.isdecimal():
            numbered.append((int(number), path))
    return sorted(numbered)
