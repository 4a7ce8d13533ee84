"""A training in several processes: the same weights as in one, and all end together."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.errors import ConfigError
from i2i.training.launch import LAUNCHED, together, watch_launcher
from i2i.training.session import Session
from i2i.training.world import World

SLOW = pytest.mark.skipif("I2I_SLOW" not in os.environ, reason="takes a minute: set I2I_SLOW")
RANKS = Path(__file__).parents[1] / "benchmarks" / "ranks.py"

# --- the same weights ------------------------------------------------------------------------------------------------


def test_two_processes_end_with_the_weights_of_one(tmp_path):
    figures = tmp_path / "figures.json"
    asked = ["pix2pix", "cgan", "--ranks", "2", "--steps", "3", "--settings", "everything", "--json", figures]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, RANKS, *asked], check=True, capture_output=True, env=environment)
    found = json.loads(figures.read_text())["2"]
    assert set(found) == {"pix2pix, everything", "cgan, everything"}
    for apart in found.values():
        assert apart.pop("random") == 0  # the random states are the same bits
        assert 0 < max(apart.values()) < 1e-9


def test_a_batch_that_cannot_be_shared_out_is_refused(pairs):
    manifest = plugins.load("pix2pix")
    settings = {"device": "cpu", "data": {"source": str(pairs), "size": 32}, "trainer": {"batch": 4, "accumulate": 2}}
    config = resolve(manifest.config, [Layer("test", settings)])
    with pytest.raises(ConfigError, match=r"trainer\.batch 4") as caught:
        Session(manifest, config, world=World(0, 3, 0))
    assert "6" in caught.value.hint


# --- started and ended together: `python -m i2i` is a script here, which acts by its rank ---------------------------


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs a script in so many processes; gives what `together` does, and what it said."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "i2i"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import json, os, signal, sys, time\n"
        "from pathlib import Path\n"
        "rank, size = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])\n"
        "def heard(number, frame):\n"
        "    Path(f'heard-{rank}').open('a').write(f'{number} ')\n"
        "    sys.exit(128 + number)\n"
        "signal.signal(signal.SIGTERM, heard)\n"
        "signal.signal(signal.SIGINT, heard)\n"
        "Path(f'ready-{rank}').touch()\n"
        "while len(list(Path().glob('ready-*'))) < size:\n"
        "    time.sleep(0.01)\n"
        "exec(sys.argv[1])\n"
    )
    lines = []

    def run(script, count=3):
        return together([script], count, lines.append), lines

    return run


def test_each_is_told_who_it_is(play, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    result, lines = play("Path(f'{rank}.json').write_text(json.dumps(dict(os.environ)))")
    told = [json.loads(Path(f"{rank}.json").read_text()) for rank in range(3)]
    assert (result, lines) == ((0, None), [])
    assert [(each["RANK"], each["LOCAL_RANK"], each["WORLD_SIZE"]) for each in told] == [
        (str(rank), str(rank), "3") for rank in range(3)
    ]
    assert len({(each["MASTER_ADDR"], each["MASTER_PORT"]) for each in told}) == 1
    assert {each["OMP_NUM_THREADS"] for each in told} == {"5"}
    assert {each[LAUNCHED] for each in told} == {str(os.getpid())}


def test_they_share_the_cores(play, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    play("Path(f'{rank}.txt').write_text(os.environ['OMP_NUM_THREADS'])", 2)
    assert [Path(f"{rank}.txt").read_text() for rank in range(2)] == [str(max(1, torch.get_num_threads() // 2))] * 2


def test_one_that_is_killed_ends_the_others(play, capfd):
    (status, _), lines = play(
        "print('kept back') if rank else 0; os.kill(os.getpid(), 9) if rank == 1 else time.sleep(60)"
    )
    assert status == 137
    assert lines == ["process 1 of 3 was ended by SIGKILL, often for want of memory"]
    assert Path("heard-0").read_text() == Path("heard-2").read_text() == "15 "
    assert capfd.readouterr().out == ""


def test_what_another_than_the_first_fails_by_is_shown(play):
    (status, _), lines = play("sys.exit('no such image') if rank == 2 else time.sleep(60)")
    assert (status, lines) == (1, ["process 2 of 3 ended with status 1: no such image"])


def test_without_words_of_it_a_status_is_all_that_is_said(play):
    (status, _), lines = play("sys.exit(3) if rank == 1 else time.sleep(60)")
    assert (status, lines) == (3, ["process 1 of 3 ended with status 3"])


def test_what_all_fail_by_is_said_once(play, capfd):
    (status, _), lines = play("sys.exit('trainer.batch: wrong')")
    assert (status, lines) == (1, [])
    assert capfd.readouterr().err.split() == ["trainer.batch:", "wrong"]


def test_the_first_alone_speaks(play, capfd):
    (status, _), lines = play("print('rank', rank, flush=True)")
    assert (status, lines) == (0, [])
    assert capfd.readouterr().out == "rank 0\n"


def test_a_signal_is_passed_on_to_all_once(tmp_path, play):
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    (status, _), lines = play("time.sleep(60)")
    assert (status, lines) == (130, [])
    assert [Path(f"heard-{rank}").read_text() for rank in range(3)] == ["2 "] * 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@SLOW
def test_one_that_does_not_listen_is_killed(play):
    began = time.monotonic()
    (status, _), _ = play("sys.exit(3) if rank else (signal.signal(15, signal.SIG_IGN), time.sleep(120))", 2)
    assert status == 3
    assert time.monotonic() - began < 30


def test_a_process_whose_launcher_is_gone_stops(monkeypatch):
    heard = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: heard.set())
    try:
        watch_launcher()  # without a launcher, nothing
        monkeypatch.setenv(LAUNCHED, "-1")  # no parent has this number
        watch_launcher()
        assert heard.wait(10)
    finally:
        signal.signal(signal.SIGTERM, before)
