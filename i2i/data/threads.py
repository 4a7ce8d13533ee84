"""Work done ahead by threads and handed over in order.

Threads, not processes: Pillow, OpenCV and zlib let go of the interpreter's lock where the time goes, the decoded images
are shared, and a script that trains needs no `if __name__ == "__main__"`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Progress = Callable[[int, int, str], None]
"""Called from the caller's thread with how many are done, of how many, and what is being done."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def thread_count(workers: int | None, beside: int = 1) -> int:
    """`DataConfig.workers`, or one for each core that this process may use, 8 at most.

    beside: so many processes of this machine, with this one, share the cores.
    """
    if workers is not None:
        return workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(1, cores // beside))


def read_ahead(
    make: Callable[[Item], Made], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[Made, None, None]:
    """Yields `make(item)` for each of `items` in their order, while up to `ahead` more are made by `threads` threads.

    With no threads each is made when it is asked for. What `make` raises comes out in its turn. Closing the generator
    drops what has not begun and returns when what has begun is done.
    """
    if threads == 0:
        yield from map(make, items)
        return
    executor = ThreadPoolExecutor(threads, thread_name_prefix="i2i-data")
    try:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(executor.submit(make, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
