"""The processes that train together: which one this is, and what they tell each other."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import torch
import torch.distributed as dist
from torch import Tensor

from i2i.errors import ConfigError, DeviceError, TrainingError
from i2i.training.device import resolve

if TYPE_CHECKING:
    from torch._C._distributed_c10d import ProcessGroup, Store

LOST: Final = "i2i/lost"  # key of the store, and the rank: that process ends because another one has ended
_MEETING: Final = timedelta(minutes=10)  # until all are there
_ANSWER: Final = timedelta(days=1)  # the first process validates, scores and exports while the others wait
_MOVE: Final = timedelta(minutes=10)  # in a move nobody waits for long, and NCCL does not see that another has ended
_GONE: Final = re.compile("connect|socket|pipe|peer|closed|reset|timeout|timed out|abort|remote", re.IGNORECASE)
_SOURCE: Final = re.compile(r"^\[[^\]]*\] ?")  # the line of gloo's source that an error begins with
_NEAR: Final = "LOCAL_WORLD_SIZE"
_SET: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # by torchrun


class LostError(TrainingError):
    """Another process of this training has ended, or does not answer."""


@dataclass(frozen=True)
class World:
    """One of `size` processes that train together, and its exchange with the others.

    rank: its number among all. local: its number among those of this machine, of which there are `beside`. With one
    process nothing is exchanged. All processes call the same methods in the same order. Each raises TrainingError where
    another process has ended. They wait for each other's tensors for a day, and for those on GPUs for ten minutes.
    """

    rank: int
    size: int
    local: int
    beside: int = 1
    store: Store | None = field(default=None, repr=False, compare=False)
    moves: ProcessGroup | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, validates and speaks."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Adds up `tensor` over all processes in place, the same bits everywhere; returns it."""
        if self.size > 1:
            dense = tensor.detach().contiguous()
            with self._answering():
                dist.all_reduce(dense, group=self._group(dense))
            if dense.data_ptr() != tensor.data_ptr():
                tensor.detach().copy_(dense)
        return tensor

    def whole(self, part: Tensor) -> Tensor:
        """The parts `[n, ...]` of all processes in the order of their ranks, `[n * size, ...]`, without gradients.

        It lies in memory as the parts do.
        """
        if self.size == 1:
            return part
        order = layout(part)
        if order[0] != 0:
            order = list(range(part.dim()))
        dense = part.detach().permute(order).contiguous()
        gathered = dense.new_empty((self.size * len(dense), *dense.shape[1:]))
        with self._answering():
            dist.all_gather_into_tensor(gathered, dense, group=self._group(dense))
        return gathered.permute([order.index(place) for place in range(part.dim())])

    def part(self, whole: Tensor) -> Tensor:
        """This process's share of `whole`, `[n * size, ...]`: `[n, ...]`."""
        length = len(whole) // self.size
        return whole[self.rank * length : (self.rank + 1) * length]

    def tell(self, value: Any) -> Any:
        """What the first process gives, anything that JSON can hold; what the others give is not looked at."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.first else b""
        length = torch.tensor(len(text))
        with self._answering():
            dist.broadcast(length, 0)
            letters = torch.empty(int(length), dtype=torch.uint8)
            if self.first:
                letters.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
            dist.broadcast(letters, 0)
        return json.loads(bytes(letters.tolist()))

    def check_same(self, state: Tensor, what: str) -> None:
        """Raises TrainingError, which says `what`, where `state` is not the same bits in all processes."""
        if self.size == 1:
            return
        held = state.cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
        digest = hashlib.blake2b(held, digest_size=8).digest()
        digests = self.whole(torch.tensor([int.from_bytes(digest, signed=True)]))
        if (digests != digests[0]).any():
            raise TrainingError(
                f"the processes of this training have come apart: {what} differ",
                "A game has to draw as often whatever the images are, and from torch alone; see docs/distributed.md.",
            )

    def _group(self, tensor: Tensor) -> ProcessGroup | None:
        """Those who exchange it; None: torch's default group."""
        return self.moves if tensor.device.type == "cuda" else None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Makes a TrainingError of what a collective raises, and notes in the store where another process is gone."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = _SOURCE.sub("", str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
            if _GONE.search(str(error)) is None:
                raise TrainingError(
                    f"an exchange between the processes of this training failed: {reason}",
                    "Look at the other processes' messages; the last checkpoint is kept.",
                ) from error
            late = "imed out" in str(error) or "imeout" in str(error)
            with suppress(RuntimeError):  # the store may be gone, too
                if self.store is not None:
                    self.store.set(f"{LOST}/{self.rank}", "1")
            raise LostError(
                f"another process of this training {'does not answer' if late else 'ended'}: {reason}",
                "Look at its message; go on with `i2i train --resume RUN`.",
            ) from error


ALONE: Final = World(0, 1, 0)


@contextmanager
def joined(device: str) -> Iterator[World]:
    """The processes that torchrun, or `i2i train --devices`, has started with this one; ALONE where nothing has.

    device: as in the configuration. They exchange by gloo, on GPUs by NCCL. Raises ConfigError where the environment
    names only some of what it takes, DeviceError as `own_device` does, and TrainingError where the others don't come.
    """
    world, address, port = _environment(os.environ)
    if world.size == 1:
        yield ALONE
        return
    own = torch.device(own_device(device, world))
    if own.type == "cuda":
        torch.cuda.set_device(own)
    try:
        store, own_store = _stores(world, address, port)
        dist.init_process_group(
            "gloo",
            store=own_store,
            rank=world.rank,
            world_size=world.size,
            timeout=_ANSWER,
        )
        moves = cast("ProcessGroup", dist.new_group(timeout=_MOVE, backend="nccl")) if own.type == "cuda" else None
    except RuntimeError as error:
        raise TrainingError(
            f"process {world.rank} of {world.size} does not find the others at {address}:{port}",
            "Look at their messages; the address and port have to be open from all machines.",
        ) from error
    try:
        yield replace(world, store=store, moves=moves)
    finally:
        with suppress(RuntimeError):  # where another process has ended
            dist.destroy_process_group()


def own_device(name: str, world: World) -> str:
    """The device of this process, where the configuration says `name`: of GPUs, the one with its number.

    Raises DeviceError where there are fewer GPUs than processes, or `name` is one GPU for all.
    """
    if world.size == 1 or name == "cpu":
        return name
    if name.startswith("cuda:"):
        raise DeviceError(
            f"--device {name}: one GPU, and {world.size} processes",
            "Say --device cuda: each process takes the GPU with its own number.",
        )
    if resolve(name).type == "cpu":
        return "cpu"
    there = torch.cuda.device_count()
    if world.local >= there:
        raise DeviceError(
            f"--device {name}: process {world.local} of this machine has no GPU: torch sees {there}",
            f"Start {there} on this machine, or train on the processor with --device cpu.",
        )
    return f"cuda:{world.local}"


def layout(tensor: Tensor) -> list[int]:
    """The dimensions as they lie in memory, the slowest first."""
    return sorted(range(tensor.dim()), key=lambda place: (-tensor.stride()[place], place))


def _environment(environment: Mapping[str, str]) -> tuple[World, str, int]:
    """The world that the variables of torchrun name, and where its processes meet."""
    if not any(name in environment for name in _SET[:3]):
        return ALONE, "", 0
    missing = [name for name in _SET if name not in environment]
    hint = "Start it by torchrun or `i2i train --devices N`, or unset them to train in one process."
    if missing:
        there = [name for name in _SET if name in environment]
        raise ConfigError(f"environment: {', '.join(there)} without {', '.join(missing)}", hint)
    numbers: dict[str, int] = {}
    for name in (*_SET, *({_NEAR} & environment.keys())):
        if name != "MASTER_ADDR":
            text = environment[name]
            if not (text.isascii() and text.isdigit()):
                raise ConfigError(f"environment: {name}={text}: not a number", hint)
            numbers[name] = int(text)
    rank, size, local, port, *_ = numbers.values()
    beside = numbers.get(_NEAR, size)  # without it, all are taken to be on this machine
    if rank >= size or local > rank or not local < beside <= size:
        said = ", ".join(f"{name}={number}" for name, number in numbers.items() if name != "MASTER_PORT")
        raise ConfigError(f"environment: {said}: impossible", hint)
    return World(rank, size, local, beside), environment["MASTER_ADDR"], port


def _stores(world: World, address: str, port: int) -> tuple[Store, Store]:
    """Where the processes find each other, which the first one opens, or else the launcher has; and the group's own."""
    opened = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
    store = dist.TCPStore(  # type: ignore[attr-defined]
        address, port, world.size, world.first and not opened, _MEETING
    )
    # The launcher's store outlives a group: each attempt, and each group of a process, has keys of its own.
    attempt = f"i2i/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    number = store.add(f"{attempt}/joined/{world.rank}", 1)
    return store, dist.PrefixStore(f"{attempt}/{number}", store)  # type: ignore[attr-defined]
