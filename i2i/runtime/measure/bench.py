"""How fast a model runs: by size, batch, device and file, each measured in a process of its own."""

from __future__ import annotations

import itertools
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from i2i.artifact import Description
from i2i.cgroup import text
from i2i.errors import ArtifactError, I2IError
from i2i.runtime.devices.device import choose
from i2i.runtime.measure.probe import Job, Measured
from i2i.runtime.model.find import find_model, read_description

SIZES: Final = (256, 512)  # pixels, rounded up to what a model takes

Size = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True)
class Configuration:
    """What is measured: a model on a device, with `batch` images of `width` x `height` pixels.

    Of a model that translates these go in; of one that makes images they come out.
    """

    model: Path
    description: Description
    device: str
    batch: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Of a batch."""
        return self.batch * self.width * self.height

    @property
    def multiplications(self) -> float:
        """Of a run; 0 where the model does not say."""
        return self.description.operations * self.pixels


@dataclass(frozen=True)
class Result:
    """A configuration and what was measured of it.

    peak: the multiplications per second of float32 matrix products by the same provider and threads; None: not known.
    """

    configuration: Configuration
    measured: Measured
    peak: float | None

    @property
    def images_per_second(self) -> float | None:
        """Warm; None where the measurement failed."""
        return self.configuration.batch / self.measured.warm.p50 if self.measured.warm else None

    @property
    def megapixels_per_second(self) -> float | None:
        """Warm, of the images that go in, or of those that are made from noise."""
        return self.configuration.pixels / self.measured.warm.p50 / 1e6 if self.measured.warm else None

    @property
    def share_of_peak(self) -> float | None:
        """The model's multiplications per second as a share of `peak`; None where one of the two is not known."""
        work, warm = self.configuration.multiplications, self.measured.warm
        return work / warm.p50 / self.peak if work and warm and self.peak else None


def configurations(
    paths: Iterable[Path], devices: Sequence[str], batches: Sequence[int], sizes: Sequence[Size] = ()
) -> list[Configuration]:
    """Each model file on each device, at each batch and size; of a run, its model and that one's variants.

    Files of one size follow each other, so that they are compared in the same minute. Without `sizes`, 256 and 512
    pixels. Raises ArtifactError for a file that is no artifact, DeviceError for a device that is not there, and
    I2IError for a size that a model does not take.
    """
    for device in devices:
        choose(device)
    files = [(file, read_description(file)) for path in paths for file in _files(path)]
    taken = [_sizes(file, said, sizes) for file, said in files]
    return [
        Configuration(file, said, device, batch, *size)
        for device in devices
        for batch in batches
        for each in itertools.zip_longest(*taken)
        for (file, said), size in zip(files, each, strict=True)
        if size is not None
    ]


def measure(wanted: Sequence[Configuration], seconds: float) -> Generator[Result, None, None]:
    """Measures one after another, for about `seconds` each when warm; what fails says so and does not stop the others.

    Closing the iterator, or an exception such as KeyboardInterrupt, ends the process that is measuring.
    """
    peaks: dict[str, float | None] = {}
    tried: set[tuple[str, Path]] = set()  # a model that cannot be opened tells nothing of the device
    for each in wanted:
        if peaks.get(each.device) is None and (each.device, each.model) not in tried:
            tried.add((each.device, each.model))
            peaks[each.device] = _in_a_process("matrices", each, seconds).peak
        yield Result(each, _in_a_process("model", each, seconds), peaks[each.device])


def processor() -> str:
    """What the machine's processor calls itself."""
    named = re.search(r"^model name\s*: (.+)$", text(Path("/proc/cpuinfo")), re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def _files(path: Path) -> list[Path]:
    """The model that `path` names; of a run, also those beside it that are the same in another precision."""
    named = find_model(path)
    if not path.is_dir():
        return [named]
    first = read_description(named)
    variants = []
    for other in sorted(path.glob("model.*.onnx")):
        with suppress(ArtifactError):  # a broken file is no reason to refuse the others
            said = read_description(other)
            if said.direction == first.direction and said.precision != first.precision:
                variants.append(other)
    return [named, *variants]


def _sizes(path: Path, said: Description, sizes: Sequence[Size]) -> list[Size]:
    if said.kind == "noise":
        if sizes:
            raise I2IError(f"{path}: makes images of {said.size} x {said.size} pixels alone", "Leave out the sizes.")
        return [(said.size, said.size)]

    def taken(side: int) -> int:
        return -(-max(side, said.minimum) // said.multiple) * said.multiple

    for width, height in sizes:
        if (taken(width), taken(height)) != (width, height):
            least = f" and at least {said.minimum}" if said.minimum > said.multiple else ""
            raise I2IError(
                f"{path}: takes no {width} x {height} pixels: its sides are multiples of {said.multiple}{least}",
                f"Measure {taken(width)}x{taken(height)}, to which `i2i translate` would pad.",
            )
    return list(sizes) or list(dict.fromkeys((taken(side), taken(side)) for side in SIZES))


def _in_a_process(what: Literal["model", "matrices"], wanted: Configuration, seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch, "result.json")
        job = Job(
            what=what,
            model=wanted.model,
            kind=wanted.description.kind,
            device=wanted.device,
            batch=wanted.batch,
            height=wanted.height,
            width=wanted.width,
            seconds=seconds,
            started=time.monotonic(),
        )
        # -P: what is imported does not depend on the working directory.
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "i2i.runtime.measure.probe", job.model_dump_json(), str(result)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                _, said = process.communicate()
            finally:
                process.kill()
        if process.returncode == 0:
            return Measured.model_validate_json(result.read_text(encoding="utf-8"))
        return Measured(error=_death(process.returncode, said))


def _death(status: int, said: str) -> str:
    if status == -getattr(signal, "SIGKILL", 9):
        return "its process was killed, as a system does that has no more memory"
    if status < 0:
        return f"its process died of signal {-status}"
    return said.strip().rpartition("\n")[2] or f"its process ended with status {status}"
