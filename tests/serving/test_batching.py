import asyncio
import threading
from typing import Any

import pytest

from i2i.errors import OutOfMemoryError
from i2i.serving import batching
from i2i.serving.batching import Device, Group, Queue
from i2i.serving.errors import BusyError
from i2i.serving.observer import Observer


class Doubling:
    """Doubles numbers, and keeps what each run was given; while the gate is shut, runs wait there."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.wide: list[bool] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.error: Exception = ValueError("thirteen")

    def __call__(self, loads: Any, wide: bool) -> list[int]:
        self.runs.append(list(loads))
        self.wide.append(wide)
        self.begun.release()
        assert self.gate.wait(20)
        if 13 in loads:
            raise self.error
        return [2 * load for load in loads]

    def group(self, most: int, key: str = "doubled") -> Group:
        return Group(key, most, self)


class Heard(Observer):
    def __init__(self) -> None:
        self.most_waiting = 0
        self.reasons: list[str] = []
        self.images: list[int] = []

    def waiting(self, model: str, requests: int) -> None:
        self.most_waiting = max(self.most_waiting, requests)
        self.now = requests

    def refused(self, model: str, reason: str) -> None:
        self.reasons.append(reason)

    def ran(self, model: str, images: int, seconds: float) -> None:
        self.images.append(images)


async def submit(queue: Queue, group: Group, load: int, images: int = 1) -> Any:
    with queue.place() as place:
        return await place.run(group, load, images)


async def begun(work: Doubling) -> None:
    assert await asyncio.to_thread(work.begun.acquire, timeout=20)


async def held_up(queue: Queue, work: Doubling) -> asyncio.Task[Any]:
    """Begins a run that waits at the gate."""
    work.gate.clear()
    first = asyncio.create_task(submit(queue, work.group(1, "first"), 0))
    await begun(work)
    return first


def queue_of(device: Device, *, most: int = 8, wait: float = 0.0, observer: Observer | None = None) -> Queue:
    return Queue("m", device, most, wait, observer or Observer())


def test_what_waits_goes_together_by_key_and_up_to_the_most():
    work, heard = Doubling(), Heard()

    async def main() -> list[Any]:
        queue = queue_of(Device(), observer=heard)
        first = await held_up(queue, work)
        pairs = [(1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "b")]
        others = [asyncio.create_task(submit(queue, work.group(2, key), load)) for load, key in pairs]
        await asyncio.sleep(0)
        work.gate.set()
        return [await task for task in (first, *others)]

    done = asyncio.run(main())
    assert [each.result for each in done] == [0, 2, 4, 6, 8, 10]
    assert work.runs == [[0], [1, 3], [2, 5], [4]]
    assert [each.batch for each in done] == [1, 2, 2, 2, 1, 2]
    assert heard.images == [1, 2, 2, 1]
    assert (heard.most_waiting, heard.now) == (5, 0)


def test_a_request_of_many_images_takes_their_room():
    work = Doubling()

    async def main() -> None:
        queue = queue_of(Device())
        first = await held_up(queue, work)
        tasks = [asyncio.create_task(submit(queue, work.group(8), load, load)) for load in (5, 4, 3, 20)]
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(first, *tasks)

    asyncio.run(main())
    assert work.runs == [[0], [5, 3], [4], [20]]


def test_models_of_a_device_take_turns():
    work = Doubling()

    async def main() -> None:
        device = Device()
        one, other = queue_of(device), queue_of(device)
        first = await held_up(one, work)
        tasks = [asyncio.create_task(submit(one, work.group(1), load)) for load in (1, 2, 3)]
        tasks += [asyncio.create_task(submit(other, work.group(1), load)) for load in (101, 102)]
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(first, *tasks)

    asyncio.run(main())
    order = [run[0] for run in work.runs[1:]]
    assert order == [101, 1, 102, 2, 3]


def test_a_lone_run_has_all_cores_and_of_several_each_has_one():
    work = Doubling()
    group = Group("narrow", 1, work, narrow=True)

    async def main() -> None:
        queue = queue_of(Device(lanes=3))
        work.gate.clear()
        lone = asyncio.create_task(submit(queue, group, 1))
        await begun(work)
        others = [asyncio.create_task(submit(queue, group, load)) for load in (2, 3, 4, 5)]
        await asyncio.sleep(0.02)
        assert (work.runs, work.wide) == ([[1]], [True])
        work.gate.set()
        await asyncio.gather(lone, *others)
        await submit(queue, group, 6)

    asyncio.run(main())
    assert sorted(work.runs) == [[1], [2], [3], [4], [5], [6]]
    assert work.wide[1:4] == [False] * 3
    assert (work.runs[-1], work.wide[-1]) == ([6], True)


def test_as_many_narrow_runs_go_on_as_there_are_lanes():
    work = Doubling()
    group = Group("narrow", 1, work, narrow=True)

    async def main() -> None:
        queue = queue_of(Device(lanes=3))
        work.gate.clear()
        large = asyncio.create_task(submit(queue, Group("large", 1, work, large=True), 0))
        await begun(work)
        tasks = [asyncio.create_task(submit(queue, group, load)) for load in range(1, 6)]
        for _ in range(3):
            await begun(work)
        await asyncio.sleep(0.02)
        assert sorted(work.runs) == [[0], [1], [2], [3]]
        assert work.wide == [True, False, False, False]
        work.gate.set()
        await asyncio.gather(large, *tasks)

    asyncio.run(main())


def test_small_runs_pass_by_a_large_one():
    work, small = Doubling(), Doubling()
    large = Group("large", 1, work, large=True)

    async def main() -> None:
        queue = queue_of(Device(lanes=2))
        work.gate.clear()
        tasks = [asyncio.create_task(submit(queue, large, load)) for load in (1, 2)]
        await begun(work)
        assert (await submit(queue, small.group(1), 3)).result == 6
        assert (await submit(queue, small.group(1), 4)).result == 8
        assert work.runs == [[1]]  # the second large one has waited
        work.gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert work.runs == [[1], [2]]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("thirteen"), ValueError), (MemoryError(), OutOfMemoryError)],
    ids=["value", "memory"],
)
def test_what_fails_in_a_run_fails_alone(error, kind):
    work = Doubling()
    work.error = error

    async def main() -> list[Any]:
        queue = queue_of(Device())
        first = await held_up(queue, work)
        tasks = [asyncio.create_task(submit(queue, work.group(4), load)) for load in (1, 13, 3)]
        await asyncio.sleep(0)
        work.gate.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    one, thirteen, three = asyncio.run(main())
    assert (one.result, three.result) == (2, 6)
    assert isinstance(thirteen, kind)


def test_a_full_queue_refuses_and_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch):
    work, heard = Doubling(), Heard()
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(batching.time, "monotonic", lambda: next(clock))

    async def main() -> list[float]:
        queue = queue_of(Device(), most=2, observer=heard)
        waits = []
        for _ in range(2):
            first = await held_up(queue, work)
            tasks = [asyncio.create_task(submit(queue, work.group(1), load)) for load in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError, match="2 requests wait for model 'm'") as refused:
                await submit(queue, work.group(1), 3)
            waits.append(refused.value.retry_after)
            work.gate.set()
            await asyncio.gather(first, *tasks)
            while work.begun.acquire(blocking=False):
                pass
        await submit(queue, work.group(1), 3)
        return waits

    before_any_run, after_some = asyncio.run(main())
    assert before_any_run == 1
    assert after_some >= 20  # two requests at ten seconds each
    assert heard.reasons == ["busy", "busy"]


def test_a_request_whose_client_went_away_is_never_computed():
    work = Doubling()

    async def main() -> None:
        queue = queue_of(Device())
        first = await held_up(queue, work)
        gone, stays = (asyncio.create_task(submit(queue, work.group(1), load)) for load in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert queue.inside == 1
        work.gate.set()
        await asyncio.gather(first, stays)

    asyncio.run(main())
    assert work.runs == [[0], [2]]


def test_a_client_that_goes_away_during_its_run_leaves_the_others_their_results():
    work = Doubling()

    async def main() -> Any:
        queue = queue_of(Device())
        first = await held_up(queue, work)
        first.cancel()
        second = asyncio.create_task(submit(queue, work.group(1), 2))
        await asyncio.sleep(0)
        work.gate.set()
        return (await second).result

    assert asyncio.run(main()) == 4


def test_a_run_waits_for_what_is_being_prepared():
    work = Doubling()

    async def main() -> None:
        queue = queue_of(Device(), wait=20)
        with queue.place() as place:
            early = asyncio.create_task(submit(queue, work.group(2), 1))
            await asyncio.sleep(0.02)
            assert work.runs == []
            await place.run(work.group(2), 2)
        await early

    asyncio.run(main())
    assert work.runs == [[1, 2]]


def test_a_run_does_not_wait_for_what_was_given_up():
    work = Doubling()

    async def main() -> None:
        queue = queue_of(Device(), wait=20)
        with queue.place():
            early = asyncio.create_task(submit(queue, work.group(2), 1))
            await asyncio.sleep(0)
        await early

    asyncio.run(main())
    assert work.runs == [[1]]


@pytest.mark.parametrize(("most", "wait"), [(2, 0.01), (1, 20)], ids=["longer than it may", "where none can join"])
def test_a_run_does_not_wait(most: int, wait: float):
    work = Doubling()

    async def main() -> None:
        queue = queue_of(Device(), wait=wait)
        with queue.place():
            await submit(queue, work.group(most), 1)

    asyncio.run(main())
    assert work.runs == [[1]]
