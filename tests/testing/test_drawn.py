"""What is drawn is data of each kind, as training reads it."""

from typing import get_args

import numpy as np
import pytest

from i2i.config import DataConfig
from i2i.data import Loader, open_splits
from i2i.plugin import Kind
from i2i.testing.drawn import SCENES, draw


@pytest.mark.parametrize("kind", get_args(Kind))
def test_it_is_data_of_its_kind(kind, tmp_path):
    draw(tmp_path, kind, 80)
    more = {"scale": 2, "fit": "none"} if kind == "upscaled" else {}
    splits = open_splits(DataConfig(source=str(tmp_path), size=64, validation=0.3, **more), kind)
    assert not splits.warnings
    assert len(splits.train) + len(splits.validation) == SCENES * (2 if kind == "labelled" else 1)
    assert len(splits.validation) >= 4  # as many as the scores of any kind need
    with Loader(splits.train, batch=4, seed=0, threads=0).read() as batches:
        batch = next(batches)
    assert batch["target"].shape == (4, 64, 64, 3)
    assert all(np.ptp(images) > 50 for name, images in batch.items() if name != "label")
    assert bool(splits.classes) == (kind in ("labelled", "semantic"))


def test_the_same_is_drawn_each_time(tmp_path):
    for name in ("one", "other"):
        draw(tmp_path / name, "paired", 64)
    one, other = (sorted((tmp_path / name).rglob("*.png")) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert len({path.read_bytes() for path in one}) == len(one) == 2 * SCENES
