import numpy as np
import pytest
import torch

from i2i.config import DataConfig
from i2i.errors import I2IError
from i2i.metrics.catalogue import METRICS
from i2i.metrics.kept import NEAREST, Kept
from i2i.metrics.luma import psnr_y
from i2i.metrics.protocol import protocol
from i2i.metrics.statistic import Mean
from i2i.metrics.summary import extremes, lines


def kept(**each):
    arrays = {name: np.array(values) for name, values in each.items()}
    return Kept(3, dict.fromkeys(arrays, "key"), arrays, {name: Mean(values) for name, values in arrays.items()})


@pytest.mark.parametrize(
    ("name", "worst", "best"), [("psnr", [0], [2]), ("mae", [2], [0]), (NEAREST, [2], [0])], ids=lambda each: str(each)
)
def test_worst_and_best_are_by_the_values_own_direction_whatever_was_chosen(name, worst, best):
    found = kept(**{name: [1.0, 2.0, 3.0]})
    for chosen in ({}, {"deviation": METRICS["deviation"]}):
        assert extremes(chosen, found) == (name, worst, best)


def test_where_no_image_has_a_value_nothing_is_worst():
    assert extremes({"deviation": METRICS["deviation"]}, Kept(3, {}, {}, {})) == ("", [], [])


def test_lines_are_by_image():
    assert lines(["a", "b"], {"psnr": np.array([1.0, 2.0])}) == {"a": {"psnr": 1.0}, "b": {"psnr": 2.0}}


def test_images_of_which_a_crop_leaves_nothing_are_refused_by_name():
    images = torch.zeros(1, 3, 8, 20)
    with pytest.raises(I2IError, match="20 x 8 pixels: nothing is left without 4 on each side"):
        psnr_y(images, images, 4)
    scoring = protocol("upscaled", DataConfig(scale=4))
    with pytest.raises(I2IError, match="nothing is left"):
        scoring.add(images, images, {"target": images})
