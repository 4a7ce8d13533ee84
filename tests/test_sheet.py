import numpy as np
import pytest

from i2i.sheet import lay, wrap


def plain(value, *shape):
    return np.full(shape, value, np.uint8)


def test_pictures_lie_in_their_cells_and_the_rest_is_white():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 200, (5, 4, 6, 3), dtype=np.uint8)
    sheet = lay(wrap(pictures, 3), gap=2)
    assert sheet.shape == (2 * 4 + 3 * 2, 3 * 6 + 4 * 2, 3)
    rest = np.ones(sheet.shape, bool)
    for number, picture in enumerate(pictures):
        top, left = 2 + 6 * (number // 3), 2 + 8 * (number % 3)
        np.testing.assert_array_equal(sheet[top : top + 4, left : left + 6], picture)
        rest[top : top + 4, left : left + 6] = False
    assert (sheet[rest] == 255).all()


def test_small_pictures_are_enlarged_by_whole_factors_or_centred():
    small = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    odd = plain(7, 5, 6, 3)
    wide = plain(9, 1, 8, 3)  # fills the width, but not the height
    sheet = lay([[plain(0, 8, 8, 3), small, odd, wide]], gap=0)
    assert sheet.shape == (8, 32, 3)
    np.testing.assert_array_equal(sheet[:, 8:16], np.kron(small, np.ones((4, 4, 1), np.uint8)))
    np.testing.assert_array_equal(sheet[1:6, 17:23], odd)
    assert (sheet[:, 16:24] == 7).all(axis=-1).sum() == 30
    np.testing.assert_array_equal(sheet[3:4, 24:], wide)


@pytest.mark.parametrize(
    ("pixel", "shown"),
    [
        ([9], [9, 9, 9]),
        ([9, 0], [255] * 3),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3, 255], [1, 2, 3]),
        ([1, 2, 3, 0], [255] * 3),
    ],
)
def test_any_channels_become_colour_on_white(pixel, shown):
    sheet = lay([[np.array([[pixel]], np.uint8)]], gap=0)
    assert sheet.tolist() == [[shown]]


def test_labels_stand_above_and_beside_without_touching_the_pictures():
    picture = np.random.default_rng(0).integers(0, 100, (9, 9, 3), dtype=np.uint8)
    sheet = lay([[picture] * 2] * 2, heads=("input", "x"), names=("real",))
    found = np.lib.stride_tricks.sliding_window_view(sheet, picture.shape)[:, :, 0]
    places = np.argwhere((found == picture).all(axis=(-1, -2, -3)))
    assert len(places) == 4
    (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0)
    assert bottom - top == 11
    assert right - left > 11  # wide enough for the longer label
    above, beside = sheet[: top - 1, left - 8 :], sheet[top : top + 9, : left - 8]
    assert (above < 128).any()
    assert (beside < 128).any()
    assert (sheet[bottom:, : left - 8] == 255).all()  # the second row has no label


def test_rows_may_differ_in_length():
    sheet = lay([[plain(0, 2, 2, 1)], [plain(0, 2, 2, 1)] * 3, []], gap=1)
    assert sheet.shape == (2 + 2 + 0 + 4, 3 * 2 + 4, 3)
    assert (sheet == 0).sum() == 4 * 4 * 3


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="a sheet needs a picture"):
        lay([[], []])
