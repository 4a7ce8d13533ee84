"""One measurement of a model in a process of its own: `python -m i2i.runtime.measure.probe JOB RESULT`.

Only a new process has a cold start to measure, and a peak of memory that is its own.
"""

from __future__ import annotations

import math
import re
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from i2i.artifact import INPUT, LABEL, NOISE, Kind
from i2i.cgroup import text
from i2i.errors import DeviceError, I2IError
from i2i.runtime.devices import cuda
from i2i.runtime.devices.device import usable_cores
from i2i.runtime.measure.peak import matrix_peak
from i2i.runtime.session import Session, open_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from i2i.artifact import Description

if sys.platform != "win32":
    import resource

_LEAST_RUNS: Final = 5
_MOST_RUNS: Final = 10_000
_FASTER: Final = 0.95  # of the best before: the model is still warming up
_CALM: Final = 2  # runs in a row that are no faster


class Job(BaseModel):
    """What to measure.

    what: the model, or the machine's matrix products, where and as the model runs. batch, height, width: of what goes
    in, or, of a model that makes images, of what comes out. seconds: of timed runs. started: when the process was
    started, by `time.monotonic`.
    """

    model_config = ConfigDict(frozen=True)

    what: Literal["model", "matrices"]
    model: Path
    kind: Kind
    device: str
    batch: int
    height: int
    width: int
    seconds: float
    started: float

    @property
    def work(self) -> str:
        """What there is to do, for the errors."""
        return f"{f'{self.batch} times ' if self.batch > 1 else ''}{self.width} x {self.height} pixels"


class Cold(BaseModel):
    """Seconds from the start of the process to the first result, part by part; the files are in the disk's cache."""

    model_config = ConfigDict(frozen=True)

    start: float
    open: float
    first: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.start + self.open + self.first


class Warm(BaseModel):
    """Seconds of a run after warming up: half of the runs took at most `p50`, and 95 % at most `p95`."""

    model_config = ConfigDict(frozen=True)

    runs: int
    p50: float
    p95: float


class Measured(BaseModel):
    """What was found.

    memory: the process's peak, in bytes. gpu, gpu_memory: which one it was, and the bytes in use on it at the end, by
    whomever. peak: multiplications per second of matrix products. None: not there, not known here, or not asked for.
    error: why there is nothing.
    """

    model_config = ConfigDict(frozen=True)

    device: str = ""
    provider: str = ""
    note: str | None = None
    threads: int = 0
    cold: Cold | None = None
    warm: Warm | None = None
    memory: int | None = None
    gpu: str | None = None
    gpu_memory: int | None = None
    peak: float | None = None
    error: str | None = None


def measure(job: Job) -> Measured:
    """Does the job in this process; an I2IError, or a lack of memory, becomes the result's `error`."""
    loaded = time.monotonic()
    try:
        session = open_session(job.model, job.kind, job.device)
        opened = time.monotonic()
        found: dict[str, Any] = {
            "device": session.device,
            "provider": session.provider,
            "note": session.note,
            "threads": usable_cores(),
        }
        if job.what == "matrices":
            return Measured(**found, peak=matrix_peak(session))
        run = _work(session, job)
        first = run()
        cold = Cold(start=loaded - job.started, open=opened - loaded, first=first)
        warm = _warm(run, job.seconds)
        gpu, in_use = gpu_in_use(session.device) or (None, None)
        return Measured(**found, cold=cold, warm=warm, memory=peak_memory(), gpu=gpu, gpu_memory=in_use)
    except I2IError as error:
        return Measured(error=str(error))
    except MemoryError:
        return Measured(error=f"{job.work} do not fit into memory")


def peak_memory() -> int | None:
    """The most memory that this process had resident at any time, in bytes; None where the system does not say."""
    if sys.platform == "linux":
        # Not by getrusage: its figure begins with what the parent had when it started this process.
        found = re.search(r"^VmHWM:\s+(\d+) kB", text(Path("/proc/self/status")), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    if sys.platform == "win32":
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def gpu_in_use(device: str) -> tuple[str, int] | None:
    """The name of the GPU that a device like `cuda:0` is, and the bytes in use on it, by whomever; None of others."""
    kind, _, index = device.partition(":")
    if kind not in ("cuda", "tensorrt"):
        return None
    with suppress(DeviceError):  # what was measured holds without it
        gpu = cuda.gpu(int(index))
        return gpu.name, gpu.memory - cuda.free_memory(int(index))
    return None


def _work(session: Session, job: Job) -> Callable[[], float]:
    """A run on random input, which gives the seconds that it took."""
    said = session.description
    inputs = _inputs(said, job)
    promised = (job.batch, job.height * said.scale, job.width * said.scale, said.channels_out)

    def run() -> float:
        start = time.perf_counter()
        session.run(inputs, promised, job.work)
        return time.perf_counter() - start

    return run


def _inputs(said: Description, job: Job) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    if said.kind == "image":
        return {INPUT: rng.integers(0, 256, (job.batch, job.height, job.width, said.channels_in), np.uint8)}
    noise = {NOISE: rng.standard_normal((job.batch, said.noise), np.float32)}
    if not said.classes:
        return noise
    return {**noise, LABEL: rng.integers(0, len(said.classes), job.batch, np.int64)}


def _warm(run: Callable[[], float], seconds: float) -> Warm:
    """Runs until that makes it no faster, for half of `seconds` at most; then at least five times, for all of them."""
    best, calm, begun = math.inf, 0, time.monotonic()
    while calm < _CALM and (best == math.inf or time.monotonic() - begun < seconds / 2):
        taken = run()
        calm = 0 if taken < _FASTER * best else calm + 1
        best = min(best, taken)
    runs: list[float] = []
    begun = time.monotonic()
    while len(runs) < _LEAST_RUNS or (len(runs) < _MOST_RUNS and time.monotonic() - begun < seconds):
        runs.append(run())
    runs.sort()
    return Warm(runs=len(runs), p50=statistics.median(runs), p95=runs[math.ceil(0.95 * len(runs)) - 1])


def _main() -> None:
    job = Job.model_validate_json(sys.argv[1])
    Path(sys.argv[2]).write_text(measure(job).model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    _main()
