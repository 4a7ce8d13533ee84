"""Curves as TensorBoard reads them, written in this thread: what is refused is known at once."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

_NAME: Final = re.compile(r"events\.out\.tfevents\.(\d+)")


class Events:
    """A file of events in `folder`, which hides what earlier files there hold from the step `first` on.

    TensorBoard reads a folder's files by name, the time at which they were begun; where clocks were set back this one
    is numbered behind the others all the same. Raises OSError.
    """

    def __init__(self, folder: Path, first: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = [int(name[1]) for path in folder.iterdir() if (name := _NAME.match(path.name))]
        number = max(int(time.time()), max(earlier, default=0) + 1)
        self._file = (folder / f"events.out.tfevents.{number:010d}.i2i").open("wb")
        self._records = RecordWriter(self._file)
        try:
            self._add(Event(file_version="brain.Event:2", step=first))
            self._add(Event(session_log=SessionLog(status=SessionLog.START), step=first))
            self._file.flush()
        except OSError:
            self.close()
            raise

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Notes `values` by their curves' names; raises OSError."""
        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(Event(summary=Summary(value=points), step=step))
        self._file.flush()

    def close(self) -> None:
        """Ends the file; raises OSError."""
        self._file.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
