"""Many files through one translator: reading and writing in threads, beside the inference.

An image is read by one of a few threads, translated on one of the translator's lanes, alone or in a batch of one shape,
and written by one of a few threads. What an output holds never depends on what else is on its way.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Final, final

from i2i.errors import I2IError, ImageError
from i2i.files import DiskFullError, cannot_write, remove_asides, replacing
from i2i.images import QUALITY, encode_for, read_whole
from i2i.metadata import NOTHING, Metadata
from i2i.runtime.devices.device import usable_cores
from i2i.runtime.folder.inputs import Refused
from i2i.runtime.folder.jobs import Job, refuse_existing
from i2i.runtime.folder.lanes import Budget, ClosedError, Ready
from i2i.runtime.folder.manifest import Made, Manifest, digest, open_manifest, weigh
from i2i.runtime.folder.parts import parts
from i2i.runtime.folder.rendering import PLAIN, Rendering, Result, joined, remarks
from i2i.runtime.strips.large import is_large

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from PIL import Image

    from i2i.runtime.translator import Translator

_PIXELS: Final = 2**24  # that may be in memory as images, of each lane and of what waits before and after


def translate_files(
    translator: Translator,
    tasks: Sequence[Job | Refused],
    rendering: Rendering = PLAIN,
    *,
    resume: bool = False,
    watch: Callable[[int], None] = lambda done: None,
) -> Generator[Result, None, None]:
    """Translates the jobs and yields a result for each task, in order; an image that fails stops no other.

    resume: jobs of a folder with a manifest that are done already are kept as they are. watch: is told, on some thread,
    how many frames or rows of a video or of a very large image are done.
    Closing the iterator, or an exception such as KeyboardInterrupt, drops what has not been started and leaves
    whole files only. Raises DiskFullError where there is no space left, since all others would fail as well, and
    I2IError, before anything is made, where another process writes to an output folder.
    """
    jobs = [task for task in tasks if isinstance(task, Job) and task.root is not None]
    with ExitStack() as stack:
        manifests = {
            root: stack.enter_context(open_manifest(root, read=resume))
            for root in sorted({job.root for job in jobs if job.root is not None})
        }
        remove_asides(job.target for job in jobs if job.root is not None and manifests[job.root].locked)
        work = digest(translator.path, rendering.of_images() | {"tile": translator.tile}) if manifests else ""
        run = stack.enter_context(_Run(translator, rendering, manifests, work, resume, watch))
        yield from run.results(tasks)


@dataclass(frozen=True, slots=True)
class _Image:
    """An image on its way; without a picture, what goes from file to file by parts. made: for the manifest."""

    job: Job
    result: Future[Result]
    picture: Image.Image | None
    made: Made | None
    seconds: float
    remarks: tuple[str, ...]
    beside: Metadata = NOTHING
    pixels: int = 0  # of the budget


@final
class _Run:
    """The threads of one call, and what waits between them."""

    def __init__(
        self,
        translator: Translator,
        rendering: Rendering,
        manifests: dict[Path, Manifest],
        work: str,
        resume: bool,
        watch: Callable[[int], None],
    ) -> None:
        self._translator = translator
        self._rendering = rendering
        self._manifests = manifests
        self._work = work
        self._resume = resume
        self._watch = watch
        lanes, threads = translator.lanes, max(2, usable_cores())
        self._ahead = 2 * (threads + max(lanes, translator.batch(1, 1)))
        self._budget = Budget(_PIXELS * (lanes + 2))
        self._ready: Ready[_Image] = Ready()
        self._one_by_parts = (
            Lock()
        )  # each has threads of its own for all lanes, and takes memory that the budget does not know
        self._readers = ThreadPoolExecutor(threads, thread_name_prefix="i2i-read")
        self._writers = ThreadPoolExecutor(threads, thread_name_prefix="i2i-write")
        self._lanes = ThreadPoolExecutor(lanes, thread_name_prefix="i2i-lane")
        for _ in range(lanes):
            self._lanes.submit(self._lane)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        """Drops what has not been started, and waits for what has."""
        self._budget.close()
        self._ready.close()
        for pool in (self._readers, self._lanes, self._writers):
            pool.shutdown(wait=True, cancel_futures=True)

    def results(self, tasks: Iterable[Job | Refused]) -> Generator[Result, None, None]:
        """A result for each task, in order."""
        coming = iter(tasks)
        under_way = deque(self._start(task) for task in islice(coming, self._ahead))
        while under_way:
            try:
                result = under_way.popleft().result()
            except DiskFullError:
                yield from (it.result() for it in under_way if it.done() and it.exception() is None)
                raise
            yield result
            under_way.extend(self._start(task) for task in islice(coming, 1))

    def _start(self, task: Job | Refused) -> Future[Result]:
        result: Future[Result] = Future()
        if isinstance(task, Refused):
            result.set_result(Result(task.name, error=task.error))
        else:
            self._readers.submit(self._read, task, result)
        return result

    def _read(self, job: Job, result: Future[Result]) -> None:
        start = perf_counter()
        taken = 0

        def take(width: int, height: int) -> None:
            nonlocal taken, start
            waiting = perf_counter()
            taken = self._budget.take(width * height * self._translator.description.scale**2)
            start += perf_counter() - waiting

        try:
            made = self._look_up(job)
            if isinstance(made, Result):
                result.set_result(made)
                return
            said = remarks(job.source, job.name, self._rendering) if job.kind == "image" else ()
            if self._is_for_parts(job):
                self._ready.put((0, 0), _Image(job, result, None, made, perf_counter() - start, said))
                return
            picture, beside = read_whole(
                job.source,
                name=job.name,
                max_pixels=self._rendering.max_pixels,
                everything=self._rendering.keep_metadata,
                before=take,
            )
        except ClosedError:
            result.cancel()
        except BaseException as error:
            self._budget.give_back(taken)
            self._fail(job, result, error, perf_counter() - start)
        else:
            image = _Image(job, result, picture, made, perf_counter() - start, said, beside, taken)
            self._ready.put((picture.height, picture.width), image)

    def _is_for_parts(self, job: Job) -> bool:
        if job.kind != "image" or not isinstance(job.source, Path):
            return job.kind != "image"
        scale = self._translator.description.scale
        return is_large(job.source, max_pixels=self._rendering.max_pixels, scale=scale)

    def _look_up(self, job: Job) -> Made | Result | None:
        """What the manifest is to say of the output, where there is one, or why nothing is to be made."""
        if job.root is None:
            return None
        manifest = self._manifests[job.root]
        try:
            made = manifest.made(job.source, self._work)
        except OSError as error:
            raise ImageError(f"{job.name}: {error.strerror}") from None
        if self._resume and manifest.has(job.listed, made):
            return Result(job.name, job.target, kept=True)
        # Looked for again now that the folder is ours alone: another process may have made it in between.
        refused = None if manifest.knows(job.listed) and not os.path.isdir(job.target) else refuse_existing(job)  # noqa: PTH112
        return made if refused is None else Result(job.name, error=refused.error)

    def _lane(self) -> None:
        while True:
            try:
                images = self._ready.take(self._translator.batch)
            except ClosedError:
                return
            for image in images:
                if image.picture is None:
                    with self._one_by_parts:
                        self._by_parts(image)
            pictures = [image.picture for image in images if image.picture is not None]
            if pictures:
                self._translate(images, pictures)

    def _translate(self, images: list[_Image], pictures: list[Image.Image]) -> None:
        start = perf_counter()
        width, height = pictures[0].size
        try:
            translated = self._translator.pictures(pictures, flatten=self._rendering.flatten)
            note = self._translator.approximate(width, height)  # only now known: memory may not have sufficed
        except BaseException as error:
            for image in images:
                self._budget.give_back(image.pixels)
                self._fail(image.job, image.result, error, image.seconds + perf_counter() - start)
            return
        seconds = (perf_counter() - start) / len(images)
        for image, picture in zip(images, translated, strict=True):
            done = replace(image, seconds=image.seconds + seconds)
            self._writers.submit(self._write, done, picture, note)

    def _write(self, image: _Image, picture: Image.Image, note: str | None) -> None:
        start = perf_counter()
        job = image.job
        try:
            data = encode_for(picture, job.target, quality=self._rendering.quality or QUALITY, beside=image.beside)
            # Without power an output may be lost or empty; the manifest then has it made again.
            with replacing(job.target, flush=image.made is None) as aside:
                aside.write_bytes(data)
                if job.root is not None and image.made is not None:
                    sha256 = hashlib.sha256(data).hexdigest()
                    self._manifests[job.root].add(job.listed, image.made, len(data), sha256)
        except BaseException as error:
            self._fail(job, image.result, error, image.seconds + perf_counter() - start)
        else:
            seconds = image.seconds + perf_counter() - start
            image.result.set_result(
                Result(job.name, job.target, picture.size, seconds, note=joined(*image.remarks, note))
            )
        finally:
            self._budget.give_back(image.pixels)

    def _by_parts(self, image: _Image) -> None:
        start = perf_counter()
        job, made = image.job, image.made
        manifest = None if job.root is None else self._manifests[job.root]
        size: tuple[int, int] | None = None
        note = None
        try:
            if self._ready.closed:
                raise ClosedError
            if manifest is not None and made is not None:
                manifest.add(job.listed, made, -1, "")  # what comes of it is ours, and not yet to be believed
            with closing(parts(self._translator, job, self._rendering)) as coming:
                for part in coming:
                    if self._ready.closed:
                        raise ClosedError
                    self._watch(part.done)
                    size = part.size
            if size is not None:
                scale = self._translator.description.scale
                note = self._translator.approximate(size[0] // scale, size[1] // scale)
            if manifest is not None and made is not None:
                manifest.add(job.listed, made, *weigh(job.target))
        except ClosedError:
            image.result.cancel()
        except BaseException as error:
            mine = cannot_write(job.target, error) if isinstance(error, OSError) else error
            self._fail(job, image.result, mine, image.seconds + perf_counter() - start)
        else:
            seconds = image.seconds + perf_counter() - start
            image.result.set_result(Result(job.name, job.target, size, seconds, note=joined(*image.remarks, note)))

    @staticmethod
    def _fail(job: Job, result: Future[Result], error: BaseException, seconds: float) -> None:
        """An image's own mistake is its result; what would fail all others, or is a mistake of ours, ends the run."""
        if isinstance(error, MemoryError):
            error = ImageError(f"{job.name}: does not fit into memory", "Make it smaller.")
        if isinstance(error, I2IError) and not isinstance(error, DiskFullError):
            result.set_result(Result(job.name, seconds=seconds, error=error))
        else:
            result.set_exception(error)
