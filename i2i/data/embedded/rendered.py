"""Rendered pairs kept on the disk between runs: one zip file of PNG files that a person can open and look at."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import get_args

from i2i.data.sources import Part
from i2i.errors import I2IError
from i2i.files import replacing

Pictures = dict[tuple[Part, str], tuple[bytes, bytes]]
"""A and B as the bytes of a PNG file each, by split and name."""

_SIDES = ("A", "B")


def place(name: str) -> Path | None:
    """The path of `name` in the user's cache folder: I2I_CACHE, or i2i in XDG_CACHE_HOME or ~/.cache; None: nowhere."""
    if folder := os.environ.get("I2I_CACHE"):
        return Path(folder).expanduser() / name
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "i2i" / name
    with suppress(RuntimeError):  # a user without a home, as in many containers
        return Path.home() / ".cache" / "i2i" / name
    return None


def read(path: Path | None) -> Pictures:
    """The pictures kept at `path`; none where there is no such file, or not all in it is whole."""
    if path is None:
        return {}
    try:
        with zipfile.ZipFile(path) as kept:  # reading an entry checks its CRC
            contents = {name: kept.read(name) for name in kept.namelist()}
        return {
            (part, name.removeprefix(f"{part}/A/").removesuffix(".png")): (a, contents[name.replace("/A/", "/B/")])
            for part in get_args(Part)
            for name, a in contents.items()
            if name.startswith(f"{part}/A/")
        }
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, EOFError):
        return {}


def write(path: Path | None, pictures: Pictures) -> None:
    """Keeps the pictures at `path`; where that cannot be written they are made again next time."""
    if path is None:
        return
    with suppress(I2IError), replacing(path) as aside, zipfile.ZipFile(aside, "w") as kept:  # a PNG is deflated already
        for (part, name), pair in pictures.items():
            for side, png in zip(_SIDES, pair, strict=True):
                kept.writestr(f"{part}/{side}/{name}.png", png)
