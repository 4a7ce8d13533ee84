"""The curves of a run: one JSON object a line, and the same as TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from i2i.files import refuse, write_text
from i2i.training.run import Run


class Recorder:
    """Appends to `metrics.jsonl` and `tensorboard/`; on resume forgets what lies after the step it goes on from."""

    def __init__(self, run: Run, first: int) -> None:
        if run.metrics.exists():
            lines = run.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(run.metrics, "".join(line for line in lines if _step_of(line) <= first))
        self._path = run.metrics
        try:
            self._lines = run.metrics.open("a", encoding="utf-8")
            self._events = SummaryWriter(str(run.tensorboard), purge_step=first + 1)
        except OSError as error:
            refuse(run.path, error)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lines.close()
        self._events.close()

    def record(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Notes `values` of a kind ("train", "validation") after `step` steps; raises I2IError on a full disk."""
        try:
            self._lines.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
            self._lines.flush()
            for name, value in values.items():
                self._events.add_scalar(f"{kind}/{name}", value, step)
        except OSError as error:
            refuse(self._path, error)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line that a crash cut short
        return float("inf")
