"""Contact sheets: many pictures laid out in one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from i2i.images import Pixels, from_pixels, to_pixels

_T = TypeVar("_T")
_WHITE = 255


def lay(
    rows: Sequence[Sequence[Pixels]], *, gap: int = 2, heads: Sequence[str] = (), names: Sequence[str] = ()
) -> Pixels:
    """Lays rows of pictures, uint8 `[H, W, C]` of any sizes with C from 1 to 4, on white: uint8 `[H', W', 3]`.

    Every cell is as large as the largest picture and `gap` pixels from the next. A picture that fills its cell when
    each pixel is repeated a whole number of times is enlarged so; another is centred. Rows may differ in length.
    heads: labels above the columns. names: labels beside the rows. Raises ValueError where there is no picture.
    """
    if not any(len(row) for row in rows):
        raise ValueError("a sheet needs a picture")
    tall, wide = (max(picture.shape[axis] for row in rows for picture in row) for axis in (0, 1))
    table = [[_fill(picture, tall, wide) for picture in row] for row in rows]
    if heads:
        table.insert(0, [_label(head) for head in heads])
    if names:
        beside = [*([""] if heads else []), *names]
        table = [[_label(name), *row] for name, row in zip_longest(beside[: len(table)], table, fillvalue="")]
    heights = [max((cell.shape[0] for cell in row), default=0) for row in table]
    widths = [max(cell.shape[1] for cell in column) for column in zip_longest(*table, fillvalue=_label(""))]
    sheet = _paper(sum(heights) + gap * (len(heights) + 1), sum(widths) + gap * (len(widths) + 1))
    for line, row in enumerate(table):
        for column, cell in enumerate(row):
            top, left = gap + sum(heights[:line]) + gap * line, gap + sum(widths[:column]) + gap * column
            _centre(cell, sheet[top : top + heights[line], left : left + widths[column]])
    return sheet


def wrap(pictures: Sequence[_T], columns: int) -> list[Sequence[_T]]:
    """The pictures, or what stands for them, in order as rows of `columns`, for `lay`."""
    return [pictures[at : at + columns] for at in range(0, len(pictures), columns)]


def _fill(picture: Pixels, tall: int, wide: int) -> Pixels:
    """The picture as a cell `[tall, wide, 3]`."""
    height, width = picture.shape[:2]
    rgb = to_pixels(from_pixels(picture), 3)
    if tall % height == 0 and tall * width == wide * height:
        return rgb.repeat(tall // height, axis=0).repeat(wide // width, axis=1)
    cell = _paper(tall, wide)
    _centre(rgb, cell)
    return cell


def _label(text: str) -> Pixels:
    if not text:
        return _paper(0, 0)
    font = ImageFont.load_default()
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    image = Image.new("RGB", (right - left, bottom - top), "white")
    ImageDraw.Draw(image).text((-left, -top), text, "black", font)
    return to_pixels(image, 3)


def _centre(picture: Pixels, place: Pixels) -> None:
    """Copies the picture `[H, W, 3]` into the middle of `place`, which is at least as large."""
    top, left = ((space - side) // 2 for space, side in zip(place.shape[:2], picture.shape[:2], strict=True))
    place[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def _paper(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), _WHITE, np.uint8)
