"""The runs of a folder, a line for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from i2i.errors import I2IError, RunError
from i2i.report.sections import length
from i2i.report.told import is_right, last_step
from i2i.training.run import Run, runs
from i2i.training.standing import standing

Order = Literal["time", "score", "name"]


@dataclass(frozen=True)
class Row:
    """A run; validation: its best score, test: the final one, by `metric`, where there are such."""

    name: str
    plugin: str
    state: str
    step: int | None
    length: str | None
    metric: str | None
    validation: float | None
    test: float | None
    started: str
    higher_is_better: bool = True

    def shown(self) -> tuple[str, ...]:
        """As text."""
        best = "" if self.validation is None else f"{self.metric} {self.validation:.4g}"
        test = "" if self.test is None else f"{self.metric} {self.test:.4g}"
        step = "" if self.step is None else f"{self.step:,}"
        return (
            self.name,
            self.plugin,
            self.state,
            step,
            self.length or "",
            best,
            test,
            self.started[:16].replace("T", " "),
        )


def listed(root: Path, order: Order | str = "time") -> tuple[list[Row], list[str]]:
    """The runs directly below a folder, and a sentence for each that is damaged; raises I2IError where it is none.

    order: by the time at which they were begun, by name, or by score: within each metric the best first.
    """
    if not root.is_dir() and root.exists():
        raise I2IError(f"{root}: is a file", "Give a folder that holds runs.")
    rows, damaged = [], []
    for run in runs(root):
        try:
            facts = run.facts()
        except RunError as error:
            damaged.append(error.message)
            continue
        if wrong := [name for name, fact in facts.items() if not is_right(name, fact)]:
            damaged.append(f"{run.path / 'run.json'}: '{wrong[0]}' is damaged")
            continue
        rows.append(_row(run, facts))
    if order == "score":
        rows.sort(key=lambda row: (row.metric or "~", row.validation is None, _badness(row)))
    elif order == "time":
        rows.sort(key=lambda row: row.started)
    return rows, damaged


def newest(root: Path) -> Run:
    """The run that was begun last; raises RunError where there is none."""
    rows, _ = listed(root)
    if not rows:
        raise RunError(f"no run under {root}/", "Give one: `i2i report RUN`; or train one: `i2i train pix2pix`.")
    return Run.open(root / rows[-1].name)


def _row(run: Run, facts: Mapping[str, Any]) -> Row:
    best, scores = facts.get("best"), facts.get("scores")
    metric = best.get("metric") if isinstance(best, dict) else None
    model = scores.get("model") if isinstance(scores, dict) else None
    step = facts.get("step")
    return Row(
        name=run.path.name,
        plugin=str(facts.get("plugin", "?")),
        state=standing(facts),
        step=step if isinstance(step, int) else last_step(run),
        length=length(facts),
        metric=metric,
        validation=_number(best.get("score")) if isinstance(best, dict) else None,
        test=_number(model.get(metric)) if isinstance(model, dict) else None,
        started=str(facts.get("started", "")),
        higher_is_better=not isinstance(best, dict) or bool(best.get("higher_is_better", True)),
    )


def _badness(row: Row) -> float:
    value = row.validation or 0.0
    return -value if row.higher_is_better else value


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
