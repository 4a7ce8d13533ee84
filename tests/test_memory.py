import sys
from pathlib import Path
from typing import Any

import pytest

from i2i.memory import UNKNOWN_FREE, free_memory, group_limit, total_memory

MACHINE = {"proc/meminfo": "MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable:    5000 kB\n"}


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    assert free_memory(tmp_path) == UNKNOWN_FREE
    assert total_memory(tmp_path) is None
    assert group_limit(tmp_path) is None


def test_what_the_machine_has_left(tmp_path: Path, tell: Any) -> None:
    tell(MACHINE)
    assert free_memory(tmp_path) == 5000 * 1024
    assert total_memory(tmp_path) == 9000 * 1024


def test_the_group_of_the_process_and_those_above_it(tmp_path: Path, tell: Any) -> None:
    groups = "sys/fs/cgroup"
    tell({**MACHINE, "proc/self/cgroup": "0::/jobs/seven\n", f"{groups}/cgroup.controllers": "memory\n"})
    tell({f"{groups}/jobs/memory.max": "1000000\n", f"{groups}/jobs/memory.current": "800000\n"})
    tell({f"{groups}/jobs/seven/memory.max": "max\n", f"{groups}/jobs/seven/memory.current": "700000\n"})
    assert free_memory(tmp_path) == 200_000
    assert group_limit(tmp_path) == 1_000_000
    # Pages of files give way to whatever needs memory.
    tell({f"{groups}/jobs/memory.stat": "active_file 5\ninactive_file 300000\n"})
    assert free_memory(tmp_path) == 500_000
    tell({f"{groups}/jobs/seven/memory.max": "700100\n"})
    assert free_memory(tmp_path) == 100
    tell({f"{groups}/jobs/seven/memory.max": "1\n"})
    assert free_memory(tmp_path) == 0


def test_version_1_with_no_limit_and_with_one(tmp_path: Path, tell: Any) -> None:
    group = "sys/fs/cgroup/memory"
    tell({**MACHINE, "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu:/\n"})
    tell({f"{group}/memory.limit_in_bytes": "9223372036854771712\n", f"{group}/memory.usage_in_bytes": "4000\n"})
    assert free_memory(tmp_path) == 5000 * 1024
    assert group_limit(tmp_path) is None
    tell({f"{group}/memory.limit_in_bytes": "10000\n", f"{group}/memory.stat": "total_inactive_file 1000\n"})
    assert free_memory(tmp_path) == 7000
    assert group_limit(tmp_path) == 10000


@pytest.mark.skipif(sys.platform == "win32", reason="there is no ulimit")
def test_ulimit_bounds_the_address_space(tmp_path: Path, tell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    tell({**MACHINE, "proc/self/statm": "100 50 1 1 0 1 0\n"})
    page = resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (page * 101, page * 101))
    assert free_memory(tmp_path) == page
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert free_memory(tmp_path) == 5000 * 1024


def test_this_machine_has_memory() -> None:
    assert free_memory() > 0
