from __future__ import annotations

import numpy as np

from i2i.data.cache import Cache


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
