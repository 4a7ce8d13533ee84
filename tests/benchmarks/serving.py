"""`i2i serve` under load on loopback: latency, throughput and memory, beside what `i2i bench` measures of the model.

    python tests/benchmarks/serving.py runs/pix2pix-001 --seconds 60 --size 256

The real command in a process of its own; the clients are in this one, on the same cores. In rounds, by turns: `i2i
bench` while the server idles; saturation, by clients that ask again as soon as they are answered; requests at half of
that rate, evenly spaced, and at random (Poisson), where the latency is counted from the moment at which a request was
due. Then the seconds of good, large, broken, huge, slow and leaving clients together; memory is the median of five
seconds each. A large image is one of 1,024 pixels, and counts as good.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import random
import runpy
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from i2i.runtime.model.find import find_model, read_description

Command = runpy.run_path(str(Path(__file__).parents[1] / "serving/command.py"))["Command"]

Ask = Callable[[], Awaitable[int]]
MOST_BYTES = 8 * 2**20
HEAD = "POST /v1/translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nAccept: {}\r\n"


def photograph(side: int) -> bytes:
    """A PNG of smooth shapes with grain, about as hard to compress as a photograph."""
    rng = np.random.default_rng(side)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    file = io.BytesIO()
    Image.fromarray(np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few hundred KiB that claims to be of this size, and has 256 MiB of zeros."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(2**28)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


class Clients:
    """Connections to the server that are used again, as many as are needed at once."""

    def __init__(self, port: int, accept: str) -> None:
        self._port = port
        self._accept = accept
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def request(self, body: bytes) -> bytes:
        return (HEAD.format(self._accept) + f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, request: bytes) -> int:
        """The status of the answer; 0: the connection ended without one."""
        self._idle = [each for each in self._idle if not each[0].at_eof()]  # the server closes what idles for long
        reader, writer = self._idle.pop() if self._idle else await self.open()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = head.lower().partition(b"content-length:")[2].split()
            await reader.readexactly(int(found[0]) if found else 0)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()
            return 0
        if b"connection: close" in head.lower():
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head.split()[1])

    async def leave(self, request: bytes) -> None:
        """Asks, and is gone before the answer."""
        _, writer = await self.open()
        writer.write(request)
        await writer.drain()
        writer.close()

    async def drip(self) -> None:
        """Sends the body of a request a byte at a time, until the server has enough of it."""
        reader, writer = await self.open()
        writer.write((HEAD.format("*/*") + "Content-Length: 100000\r\n\r\n").encode())
        end = asyncio.create_task(reader.read())
        try:
            while not end.done():
                writer.write(b"x")
                await asyncio.wait([end], timeout=1)
        finally:
            end.cancel()
            writer.close()


async def moments(seconds: float, gaps: Iterable[float]) -> AsyncIterator[float]:
    """The times, on the clock of the loop, at which something is due; each is given when it has come."""
    due = asyncio.get_running_loop().time()
    end = due + seconds
    for gap in gaps:
        due += gap
        if due > end:
            return
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        yield due


async def open_loop(seconds: float, gaps: Iterable[float], ask: Ask) -> list[tuple[int, float]]:
    """Status and latency of requests that come when they are due, however long the others take."""
    clock = asyncio.get_running_loop().time

    async def one(due: float) -> tuple[int, float]:
        status = await ask()
        return status, clock() - due

    return await asyncio.gather(*[asyncio.create_task(one(due)) async for due in moments(seconds, gaps)])


async def saturated(seconds: float, count: int, ask: Ask) -> float:
    """Images a second of so many clients that each ask again once they are answered."""
    end = time.perf_counter() + seconds

    async def client() -> int:
        answered = 0
        while time.perf_counter() < end:
            answered += await ask() == 200
        return answered

    begun = time.perf_counter()
    answered = await asyncio.gather(*(client() for _ in range(count)))
    return sum(answered) / (time.perf_counter() - begun)


async def mixed(server: Any, clients: Clients, seconds: float, rate: float, good: bytes) -> None:
    """Everyone together: prints statuses by client, latency of the good ones, and memory."""
    large, giant = clients.request(photograph(1024)), clients.request(bytes(MOST_BYTES + 1))
    broken = itertools.cycle(map(clients.request, (b"just text", b"", good[: len(good) // 2], bomb(16), bomb(60_000))))
    found: dict[str, list[tuple[int, float]]] = {}
    memory: list[int] = []

    async def kind(name: str, gaps: Iterable[float], ask: Ask) -> None:
        found[name] = await open_loop(seconds, gaps, ask)

    async def leaving() -> None:
        async for _ in moments(seconds, itertools.repeat(0.5)):
            await clients.leave(clients.request(good))

    async def slow() -> None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await clients.drip()
        except TimeoutError:
            pass

    async def watch() -> None:
        async for _ in moments(seconds, itertools.repeat(1.0)):
            memory.append(server.memory())

    whole = clients.request(good)
    await clients.ask(large)  # so that the first memory has room for one already
    await asyncio.gather(
        kind("good", itertools.repeat(1 / rate), lambda: clients.ask(whole)),
        kind("large", itertools.repeat(10.0), lambda: clients.ask(large)),
        kind("broken", itertools.repeat(0.2), lambda: clients.ask(next(broken))),
        kind("huge", itertools.repeat(1.0), lambda: clients.ask(giant)),
        leaving(),
        *(slow() for _ in range(20)),
        watch(),
    )
    for name, answers in found.items():
        print(f"  {name}: {dict(sorted(Counter(status for status, _ in answers).items()))}")
    late = sorted(latency for _, latency in found["good"])
    print(f"  good among them: p50 {1e3 * statistics.median(late):.1f} ms, p95 {1e3 * p95(late):.1f} ms")
    middle = len(memory) // 2
    parts = (memory[:5], memory[middle - 2 : middle + 3], memory[-5:])
    print(
        "  resident MiB, start, middle, end: " + ", ".join(f"{statistics.median(part) / 2**20:.0f}" for part in parts)
    )


def p95(values: list[float]) -> float:
    return float(np.quantile(values, 0.95))


def bench(model: Path, size: int) -> tuple[float, float]:
    """Seconds that the model takes for an image, half of the runs and 95 % of them at most."""
    command = [sys.executable, "-m", "i2i", "bench", str(model), "--size", str(size), "--json"]
    (result,) = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["results"]
    return result["warm"]["p50"], result["warm"]["p95"]


def main() -> None:
    """Prints a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the mixed load")
    parser.add_argument("--part", type=float, default=10.0, help="seconds of each other load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8, help="that ask at once at saturation")
    parser.add_argument("--size", type=int, help="pixels; otherwise as trained")
    parser.add_argument("--accept", default="image/png")
    arguments = parser.parse_args()
    model = find_model(arguments.model.resolve())
    size = arguments.size or read_description(model).trained_size
    good = photograph(size)
    with tempfile.TemporaryDirectory() as folder, Command(Path(folder), model, "--max-bytes", MOST_BYTES) as server:
        asyncio.run(loaded(server, model, size, good, arguments))
        failed = server.said.count("Traceback")
        print(f"tracebacks: {failed}; after SIGTERM it ended with {server.stop()}")


async def loaded(server: Any, model: Path, size: int, good: bytes, arguments: argparse.Namespace) -> None:
    """All the loads, one after the other."""
    clients = Clients(server.port, arguments.accept)
    whole = clients.request(good)
    rng = random.Random(0)

    async def ask() -> int:
        return await clients.ask(whole)

    await saturated(2, arguments.clients, ask)  # warms up
    ratios: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        own, own95 = await asyncio.to_thread(bench, model, size)
        spent = time.process_time()
        capacity = await saturated(arguments.part, arguments.clients, ask)
        spent = (time.process_time() - spent) / arguments.part
        even = itertools.repeat(2 / capacity)
        chance = (rng.expovariate(capacity / 2) for _ in itertools.count())
        paced, poisson = [[late for _, late in await open_loop(arguments.part, gaps, ask)] for gaps in (even, chance)]
        print(
            f"{size} px: model alone {1e3 * own:.1f} ms (p95 {1e3 * own95:.1f}), {1 / own:.1f} images/s; "
            f"saturated {capacity:.1f} images/s, the clients on {spent:.2f} of a core; half of it evenly "
            f"p50 {1e3 * statistics.median(paced):.1f}, p95 {1e3 * p95(paced):.1f} ms; "
            f"Poisson p50 {1e3 * statistics.median(poisson):.1f}, p95 {1e3 * p95(poisson):.1f} ms",
            flush=True,
        )
        for name, ratio in {
            "throughput at saturation / i2i bench": capacity * own,
            "p50 evenly / model's p50": statistics.median(paced) / own,
            "p95 evenly / model's p50": p95(paced) / own,
            "p95 evenly / model's p95": p95(paced) / own95,
            "p50 Poisson / model's p50": statistics.median(poisson) / own,
            "p95 Poisson / model's p50": p95(poisson) / own,
        }.items():
            ratios.setdefault(name, []).append(ratio)
    for name, each in ratios.items():
        print(f"  {name}: {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
    print(f"{arguments.seconds:.0f} s of good ones at half the capacity, with all the others:", flush=True)
    await mixed(server, clients, arguments.seconds, capacity / 2, good)


if __name__ == "__main__":
    main()
