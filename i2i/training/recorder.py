"""The curves of a run: one JSON object a line, and the same as TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType

from i2i.files import refuse, write_text
from i2i.training.events import Events
from i2i.training.run import Run


class Recorder:
    """Appends to `metrics.jsonl` and `tensorboard/`; on resume forgets what lies after the step it goes on from.

    Raises I2IError where the system refuses, here as everywhere below.
    """

    def __init__(self, run: Run, first: int) -> None:
        self._path = run.metrics
        with ExitStack() as opened:
            try:
                if run.metrics.exists():
                    # A crash may leave half a line, or after a loss of power bytes that are no text.
                    lines = run.metrics.read_text(encoding="utf-8", errors="replace").split("\n")
                    write_text(run.metrics, "".join(f"{line}\n" for line in lines if _step_of(line) <= first))
                self._lines = opened.enter_context(run.metrics.open("a", encoding="utf-8"))
                self._events = Events(run.tensorboard, first + 1)
                opened.callback(self._events.close)
            except OSError as error:
                refuse(run.path, error)
            self._opened = opened.pop_all()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._opened.close()
        except OSError as failure:
            if error is None:  # otherwise it only follows from that
                refuse(self._path, failure)

    def record(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Notes `values` of a kind ("train", "validation", "signs") after `step` steps."""
        self.tell(step, kind, values)
        try:
            self._events.record(step, {f"{kind}/{name}": value for name, value in values.items()})
        except OSError as error:
            refuse(self._path, error)

    def tell(self, step: int, kind: str, told: Mapping[str, object]) -> None:
        """Notes what is no curve, such as a "diagnosis" in words, in `metrics.jsonl` alone."""
        try:
            self._lines.write(json.dumps({"step": step, "kind": kind, **told}) + "\n")
            self._lines.flush()
        except OSError as error:
            refuse(self._path, error)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line that a crash cut short
        return float("inf")
