"""Requests that wait for a device: in turn, together where the model takes several at a time, never in the way."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, final

from i2i.errors import OutOfMemoryError
from i2i.serving.errors import BusyError
from i2i.serving.observer import Observer

_MOVING: Final = 0.2  # weight of the newest run in the moving mean of their times
_MOST: Final = 60.0  # seconds that anyone is told to wait
_LEAST: Final = 1.0  # seconds after which to come again: HTTP knows whole ones


@dataclass(frozen=True)
class Group:
    """Work that may be done together: what has an equal key is, up to `most` images.

    run: gives a result for each load, in their order; called on a thread, and told whether it may take all cores.
    narrow: it can keep to one. large: it takes long and much memory.
    """

    key: Hashable
    most: int
    run: Callable[[Sequence[Any], bool], Sequence[Any]] = field(compare=False)
    narrow: bool = False
    large: bool = False


@dataclass(frozen=True)
class Done:
    """A result, how long its work waited and took, in seconds, and of how many images the run was."""

    result: Any
    queued: float
    computed: float
    batch: int


@dataclass(eq=False)
class _Job:
    group: Group
    load: Any
    images: int
    place: Place
    future: asyncio.Future[Done]
    since: float = field(default_factory=time.monotonic)


@final
class Queue:
    """The requests of one model that have been let in and are not being computed yet.

    most: of them. wait: seconds that a run which could take more waits for what is being prepared. Used on one event
    loop.
    """

    def __init__(self, name: str, device: Device, most: int, wait: float, observer: Observer) -> None:
        self.name = name
        self.jobs: deque[_Job] = deque()
        self.inside = 0  # requests that wait, their loads prepared or not
        self.pace = 0.0  # seconds of the device for a request, a moving mean
        self.device = device
        self._most = most
        self._wait = wait
        self._observer = observer
        device.queues.append(self)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place in the queue, for a block that prepares a load and has it run; raises BusyError where all are taken.

        The place is free again when the run begins. Where the block is left before that, its work is dropped.
        """
        if self.inside >= self._most:
            raise self.busy()
        place = Place(self)
        self._count(1)
        try:
            yield place
        finally:
            self.jobs = deque(job for job in self.jobs if job.place is not place)
            self.free(place)
            self.device.go()

    def busy(self, message: str | None = None) -> BusyError:
        """That a request is refused, for too much waits; message: where it is not that model's requests."""
        self._observer.refused(self.name, "busy")
        return BusyError(
            message or f"{self.inside} requests wait for model '{self.name}' already",
            "Try again later, or let fewer requests go on at once.",
            self.device.patience(),
        )

    def free(self, place: Place) -> None:
        """Lets another request have the place, once."""
        if place.held:
            place.held = False
            self._count(-1)

    def take(self, now: float, *, large: bool) -> list[_Job]:
        """The jobs of the next run, which then wait no longer; none where it is still to be waited for others.

        large: whether it may be a large one.
        """
        group = next((job.group for job in self.jobs if large or not job.group.large), None)
        if group is None:
            return []
        room, taken = group.most, list[_Job]()
        for job in self.jobs:
            if job.group == group and (job.images <= room or not taken):
                taken.append(job)
                room -= job.images
        preparing = self.inside - len(self.jobs)
        if room > 0 and preparing and now < (end := taken[0].since + self._wait):
            self.device.wake(end - now)
            return []
        self.jobs = deque(job for job in self.jobs if job not in taken)
        for job in taken:
            self.free(job.place)
            self._observer.queued(self.name, now - job.since)
        return taken

    def took(self, jobs: Sequence[_Job], seconds: float) -> None:
        """Takes note of a run."""
        each = seconds / len(jobs)
        if not jobs[0].group.large:  # which would tell nothing of what most wait for
            self.pace = self.pace + _MOVING * (each - self.pace) if self.pace else each
        self._observer.ran(self.name, sum(job.images for job in jobs), seconds)

    def _count(self, change: int) -> None:
        self.inside += change
        self._observer.waiting(self.name, self.inside)


@final
class Place:
    """A request's place in a queue."""

    def __init__(self, queue: Queue) -> None:
        self.held = True
        self._queue = queue

    async def run(self, group: Group, load: Any, images: int = 1) -> Done:
        """Waits for the result of a load; raises what the work raises, and OutOfMemoryError."""
        job = _Job(group, load, images, self, asyncio.get_running_loop().create_future())
        self._queue.jobs.append(job)
        self._queue.device.go()
        return await job.future


@final
class Device:
    """What computes: so many runs at once, of all queues in turn.

    A run that could keep to one lane has all of them where nothing else is there to be done: so it is over soonest.
    Under load each keeps to one, which makes more images. Of large runs there is one at a time, beside the others where
    there are several lanes.
    """

    def __init__(self, lanes: int = 1) -> None:
        self.queues: deque[Queue] = deque()
        self._lanes = lanes
        self._free = lanes
        self._large = False  # one is going on
        self._pool = ThreadPoolExecutor(lanes + 1, thread_name_prefix="i2i-lane")
        self._timer: asyncio.TimerHandle | None = None

    def go(self) -> None:
        """Begins the runs for which there are jobs and lanes."""
        now = time.monotonic()
        empty = 0
        while self._free and empty < len(self.queues):
            queue = self.queues[0]
            self.queues.rotate(-1)
            if jobs := queue.take(now, large=not self._large):
                self._begin(queue, jobs)
                empty = 0
            else:
                empty += 1

    def wake(self, seconds: float) -> None:
        """Looks again after so long."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._woken)

    def patience(self) -> float:
        """Seconds until what waits now will have begun, as far as the last runs tell."""
        return min(_MOST, max(_LEAST, sum(queue.inside * queue.pace for queue in self.queues) / self._lanes))

    def close(self) -> None:
        """Lets go of the threads, when there is nothing more to do."""
        self._pool.shutdown(wait=False)

    def _woken(self) -> None:
        self._timer = None
        self.go()

    def _begin(self, queue: Queue, jobs: list[_Job]) -> None:
        group, idle = jobs[0].group, self._free == self._lanes and not any(each.jobs for each in self.queues)
        large = group.large
        wide = large or not group.narrow or (idle and not self._large)
        taken = 0 if large and self._lanes > 1 else self._lanes if group.narrow and wide else 1
        self._free -= taken
        self._large |= large
        begun = time.monotonic()
        running = asyncio.get_running_loop().run_in_executor(self._pool, _outcomes, jobs, wide)

        def ended(running: asyncio.Future[list[Any]]) -> None:
            self._free += taken
            self._large &= not large
            seconds = time.monotonic() - begun
            queue.took(jobs, seconds)
            batch = sum(job.images for job in jobs)
            for job, outcome in zip(jobs, running.result(), strict=True):
                if job.future.done():  # nobody waits for it any more
                    continue
                if isinstance(outcome, BaseException):
                    job.future.set_exception(outcome)
                else:
                    job.future.set_result(Done(outcome, begun - job.since, seconds, batch))
            self.go()

        running.add_done_callback(ended)


def _outcomes(jobs: Sequence[_Job], wide: bool) -> list[Any]:
    """What each job comes to, a result or an error; where they fail together, each is tried alone."""
    try:
        return list(jobs[0].group.run([job.load for job in jobs], wide))
    except MemoryError as error:
        failed: Exception = OutOfMemoryError("the work does not fit into memory", "Send less at once.")
        failed.__cause__ = error
    except Exception as error:
        failed = error
    return [failed] if len(jobs) == 1 else [outcome for job in jobs for outcome in _outcomes([job], wide)]
