from __future__ import annotations

import numpy as np

from i2i.data.cache import UNKNOWN_FREE, Cache, free_memory


def pair(value: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((10, 10, 1), value, np.uint8), np.full((10, 10, 1), value, np.uint8)


def test_what_fits_is_made_once_and_the_rest_each_time():
    cache, made = Cache(450), []

    def make(key):
        made.append(key)
        return pair(key)

    for _ in range(2):
        for key in range(3):  # 200 bytes each: two fit
            assert cache.get(key, lambda key=key: make(key))[0][0, 0, 0] == key
    assert made == [0, 1, 2, 2]


def test_what_is_kept_cannot_be_written_to():
    kept = Cache(1000).get("x", lambda: pair(1))
    assert not kept[0].flags.writeable
    assert not kept[1].flags.writeable


def test_free_memory_is_the_least_that_anyone_allows(tmp_path):
    def tell(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert free_memory(tmp_path) == UNKNOWN_FREE
    tell("proc/meminfo", "MemTotal:       9000 kB\nMemAvailable:    5000 kB\n")
    assert free_memory(tmp_path) == 5000 * 1024
    tell("sys/fs/cgroup/memory.max", "max\n")
    tell("sys/fs/cgroup/memory.current", "700000\n")
    assert free_memory(tmp_path) == 5000 * 1024
    tell("sys/fs/cgroup/memory.max", "1000000\n")
    assert free_memory(tmp_path) == 300_000
    tell("sys/fs/cgroup/memory.stat", "active_file 5\ninactive_file 200000\n")
    assert free_memory(tmp_path) == 500_000
    tell("sys/fs/cgroup/memory/memory.limit_in_bytes", "100\n")
    tell("sys/fs/cgroup/memory/memory.usage_in_bytes", "200\n")
    assert free_memory(tmp_path) == 0
