"""Several processes: how they find each other, and what they tell each other."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
import torch

from i2i.data import thread_count
from i2i.errors import ConfigError, DeviceError, RunError
from i2i.training.agreed import newest_agreed
from i2i.training.checkpoint import Best, save_averaged
from i2i.training.world import ALONE, World, joined, own_device

SET = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture
def environment(monkeypatch):
    for name in SET:
        monkeypatch.delenv(name, raising=False)

    def given(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return given


# --- which process this is -------------------------------------------------------------------------------------------


def test_without_the_variables_of_torchrun_there_is_one_process(environment):
    environment(MASTER_ADDR="127.0.0.1")  # some images of containers set it for all
    with joined("cpu") as world:
        assert world == ALONE
        tensor = torch.arange(4.0)
        assert world.first
        assert world.sum(tensor) is tensor
        assert world.whole(tensor) is tensor
        assert torch.equal(world.part(tensor), tensor)
        assert world.tell({"step": 3}) == {"step": 3}


@pytest.mark.parametrize("missing", sorted(SET))
def test_half_an_environment_is_named(environment, missing):
    environment(**{name: value for name, value in SET.items() if name != missing})
    with pytest.raises(ConfigError, match=f"without {missing}") as caught, joined("cpu"):
        pass
    assert "torchrun" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"RANK": "2"}, "RANK=2, WORLD_SIZE=2"), ({"RANK": "x"}, "RANK=x"), ({"WORLD_SIZE": "-2"}, "WORLD_SIZE=-2")],
)
def test_an_impossible_environment_is_named(environment, changed, said):
    environment(**SET | changed)
    with pytest.raises(ConfigError, match=said), joined("cpu"):
        pass


@pytest.fixture
def group(environment, monkeypatch):
    """Stands in for torch's groups and their store, where no other process comes; gives what groups are made of."""
    made = []
    monkeypatch.setattr("torch.distributed.TCPStore", lambda *_, **__: torch.distributed.HashStore())
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *given, **named: made.append((given, named)))
    monkeypatch.setattr("torch.distributed.new_group", lambda *given, **named: made.append((given, named)))
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    environment(**SET)
    return made


@pytest.mark.parametrize(("near", "beside"), [("1", 1), ("2", 2), (None, 2)])
def test_how_many_are_on_this_machine_is_what_torchrun_says_or_all(environment, monkeypatch, group, near, beside):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if near is not None:
        environment(LOCAL_WORLD_SIZE=near)
    with joined("cpu") as world:
        assert (world.size, world.beside) == (2, beside)


def test_threads_are_shared_by_those_of_one_machine(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(12), raising=False)
    assert [thread_count(None, beside) for beside in (1, 2, 4, 24)] == [8, 6, 3, 1]
    assert thread_count(5, 4) == 5


def test_on_gpus_nobody_waits_long_for_one_that_is_gone(monkeypatch, group):
    monkeypatch.setattr("i2i.training.world.own_device", lambda name, world: "cuda:0")
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    with joined("cuda"):
        (_, between), (_, within) = group
    assert within["backend"] == "nccl"  # which does not see that one is gone
    assert within["timeout"] <= timedelta(minutes=15)
    assert between["timeout"] >= timedelta(hours=6)  # for the first one's validation


def test_each_process_takes_the_gpu_with_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [own_device("auto", World(rank, 4, rank % 2)) for rank in range(4)] == ["cuda:0", "cuda:1"] * 2
    assert own_device("cuda", World(1, 2, 1)) == "cuda:1"
    assert own_device("cpu", World(1, 2, 1)) == "cpu"
    assert own_device("cuda:1", ALONE) == "cuda:1"
    with pytest.raises(DeviceError, match="process 2 of this machine has no GPU"):
        own_device("cuda", World(2, 3, 2))
    with pytest.raises(DeviceError, match="one GPU, and 2 processes"):
        own_device("cuda:0", World(0, 2, 0))


def test_without_a_gpu_auto_is_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert own_device("auto", World(1, 2, 1)) == "cpu"


# --- what they tell each other ---------------------------------------------------------------------------------------

EXCHANGE = """
import json, os, sys
import torch
from i2i.errors import TrainingError
from i2i.training.world import joined

torch.manual_seed(0)
found = {}
for attempt in range(2):  # a group follows another one in the same processes
    with joined("cpu") as world:
        found["sum"] = world.sum(torch.tensor([world.rank + 1.0])).tolist()
        images = torch.full((2, 3, 2, 2), float(world.rank)).contiguous(memory_format=torch.channels_last)
        whole = world.whole(images)
        found["whole"] = whole[:, 0, 0, 0].tolist()
        found["last"] = whole.is_contiguous(memory_format=torch.channels_last)
        found["mean"] = (world.sum(images) / 2).unique().tolist()
        found["part"] = world.part(torch.arange(4)).tolist()
        found["told"] = world.tell({"rank": world.rank, "run": "l\\u00e4uft"})
        world.check_same(torch.get_rng_state(), "random numbers")
        try:
            world.check_same(torch.tensor([1.0, world.rank]), "weights")
        except TrainingError as error:
            found["apart"] = error.message
        try:
            world.sum(torch.zeros(1).to(torch.float8_e4m3fn))  # which gloo cannot add up
        except TrainingError as error:
            found["misuse"] = str(error)
        found["blamed"] = world.store.check([f"i2i/lost/{world.rank}"])
        if attempt and world.rank == 1:
            os._exit(7)
        if attempt:
            try:
                world.sum(torch.ones(1))
                world.sum(torch.ones(1))
            except TrainingError as error:
                found["error"] = str(error)
                found["lost"] = world.store.check([f"i2i/lost/{world.rank}"])
                with open(sys.argv[1], "w") as file:
                    json.dump(found, file)
"""


def test_processes_exchange_and_notice_when_one_is_gone(tmp_path):
    script, found = tmp_path / "exchange.py", tmp_path / "found.json"
    script.write_text(EXCHANGE)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, found],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,  # torchrun minds that one has ended
    )
    seen = json.loads(found.read_text())
    error, misuse = seen.pop("error"), seen.pop("misuse")
    assert "--resume" in error
    assert "onnection" in error.splitlines()[0]  # what torch said of it
    assert "another process" not in misuse
    assert "weights differ" in seen.pop("apart")
    assert seen == {
        "sum": [3.0],
        "whole": [0.0, 0.0, 1.0, 1.0],
        "last": True,
        "mean": [0.5],
        "part": [0, 1],
        "told": {"rank": 0, "run": "läuft"},
        "blamed": False,
        "lost": True,
    }


def test_a_gpu_without_memory_is_not_another_process(monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("torch.distributed.all_reduce", full)
    with pytest.raises(torch.OutOfMemoryError):
        World(0, 2, 0).sum(torch.ones(1))


# --- which checkpoint they go on from --------------------------------------------------------------------------------


class Other(World):
    """The second process; the first one says `SAID`."""

    SAID = None

    def tell(self, value):
        return json.loads(json.dumps(self.SAID))


class First(World):
    def tell(self, value):
        Other.SAID = value
        return value


def test_all_open_the_checkpoint_of_the_first_or_refuse(tmp_path):
    def save(folder, *steps, worth=1.0):
        for step in steps:
            save_averaged({"G.weight": torch.full((2,), worth)}, Best(step, "ssim", 0.5), tmp_path / folder)
        return tmp_path / folder

    first, same = save("first", 3, 6), save("same", 3, 6, 9)  # that one sees a later step, too
    behind, other = save("behind", 3), save("other", 6, worth=2.0)
    found, passed = newest_agreed(first, First(0, 2, 0))
    assert (found.step, passed) == (6, [])
    own, passed = newest_agreed(same, Other(1, 2, 1))
    assert (own.step, own.digest, passed) == (6, found.digest, [])
    with pytest.raises(RunError, match="process 1 of 2 cannot use what the first one goes on from"):
        newest_agreed(behind, Other(1, 2, 1))
    with pytest.raises(RunError, match="process 1 of 2 sees another checkpoint"):
        newest_agreed(other, Other(1, 2, 1))
    assert newest_agreed(tmp_path / "none", First(0, 2, 0)) == (None, [])
    assert newest_agreed(same, Other(1, 2, 1)) == (None, [])
    assert newest_agreed(same, ALONE)[0].step == 9
