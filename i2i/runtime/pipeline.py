"""Many files through one translator: reading and writing in threads, beside the inference."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

from i2i.errors import I2IError, ImageError
from i2i.images import read, write
from i2i.runtime.jobs import Job, Refused

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from PIL import Image

    from i2i.runtime.translator import Translator

_AHEAD = 4  # images decoded before their turn, and as many waiting to be written: this bounds the memory
_THREADS = 4  # Pillow lets go of the interpreter while it decodes and encodes


@dataclass(frozen=True)
class Result:
    """What became of one input."""

    name: str
    output: Path | None = None
    size: tuple[int, int] | None = None  # width and height of the output
    seconds: float = 0.0  # reading, translating and writing, without waiting
    error: I2IError | None = None


@dataclass(frozen=True)
class _Step:
    """An image on its way, or the error that ended it, and the seconds spent so far."""

    image: Image.Image | None
    seconds: float
    error: I2IError | None = None


def translate_files(
    translator: Translator, tasks: Sequence[Job | Refused], *, flatten: bool = False
) -> Generator[Result, None, None]:
    """Translates the jobs and yields a result for each task, in order; an image that fails stops no other.

    Closing the iterator, or an exception such as KeyboardInterrupt, drops what has not been started and leaves
    whole files only.
    """
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="i2i-images")
    coming = iter(tasks)
    reading: deque[tuple[Job, Future[_Step]] | Refused] = deque()
    writing: deque[Future[Result] | Result] = deque()

    def read_ahead(count: int) -> None:
        for task in islice(coming, count):
            reading.append(task if isinstance(task, Refused) else (task, pool.submit(_read, task)))

    try:
        read_ahead(_AHEAD)
        while reading:
            task = reading.popleft()
            read_ahead(1)
            if isinstance(task, Refused):
                writing.append(Result(task.name, error=task.error))
            else:
                job, future = task
                translated = _translate(translator, future.result(), flatten)
                writing.append(pool.submit(_write, job, translated))
            while len(writing) > _AHEAD or (writing and _finished(writing[0])):
                yield _result(writing.popleft())
        while writing:
            yield _result(writing.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(job: Job) -> _Step:
    start = perf_counter()
    try:
        image = read(job.source, name=job.name)
    except I2IError as error:
        return _Step(None, perf_counter() - start, error)
    return _Step(image, perf_counter() - start)


def _translate(translator: Translator, step: _Step, flatten: bool) -> _Step:
    if step.image is None:
        return step
    start = perf_counter()
    try:
        translated = translator(step.image, flatten=flatten)
    except I2IError as error:
        return _Step(None, step.seconds + perf_counter() - start, error)
    except MemoryError:
        too_large = ImageError(f"{step.image.width} x {step.image.height} pixels do not fit into memory")
        return _Step(None, step.seconds + perf_counter() - start, too_large)
    return _Step(translated, step.seconds + perf_counter() - start)


def _write(job: Job, step: _Step) -> Result:
    start = perf_counter()
    error = step.error
    if step.image is not None:
        try:
            write(step.image, job.target)
        except I2IError as refusal:
            error = refusal
        else:
            return Result(job.name, job.target, step.image.size, step.seconds + perf_counter() - start)
    return Result(job.name, seconds=step.seconds + perf_counter() - start, error=error)


def _finished(waiting: Future[Result] | Result) -> bool:
    return isinstance(waiting, Result) or waiting.done()


def _result(waiting: Future[Result] | Result) -> Result:
    return waiting if isinstance(waiting, Result) else waiting.result()
