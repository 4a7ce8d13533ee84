"""One training in several processes of this machine, each told the same configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from i2i.config import RunConfig, dump
from i2i.errors import DeviceError, TrainingError
from i2i.training import launch
from i2i.training.run import Run
from i2i.training.session import check_parts
from i2i.training.world import World

if TYPE_CHECKING:
    from i2i.training.observer import Observer


def train_together(config: RunConfig, devices: int, words: Sequence[str], observer: Observer | None) -> Run:
    """Trains in so many processes by `i2i train WORDS`, and returns the run, which may have been told to stop.

    Raises DeviceError inside one of several processes, ConfigError where a batch cannot be shared out among them, and
    TrainingError where they fail, of which they have said why.
    """
    if "RANK" in os.environ:
        raise DeviceError(
            f"--devices {devices}: this is one of several processes already", "Leave it out where torchrun starts them."
        )
    check_parts(config.trainer, World(0, devices, 0))
    with TemporaryDirectory() as folder:
        told = Path(folder) / "config.yaml"
        told.write_text(dump(config), encoding="utf-8")
        said = (lambda line: None) if observer is None else observer.said
        status, path = launch.together(["train", *words, "--config", str(told)], devices, said)
    run = None if path is None else Run(Path(path))
    interrupted = run is not None and run.state() == "interrupted"
    if status in launch.STOPPED and not interrupted:  # before there was anything to go on with
        raise KeyboardInterrupt
    if run is not None and (status == 0 or status in launch.STOPPED):
        return run
    raise TrainingError(
        f"the {devices} processes have ended with status {status}: what is wrong is said above",
        None if run is None else f"Mend it, and go on: i2i train --resume {run.path} --devices {devices}",
    )
