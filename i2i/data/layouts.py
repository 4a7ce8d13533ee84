"""The images of a folder for each kind of data: which layouts are understood, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from i2i.data import folder as paired
from i2i.data.folder import NAMES, check_train, find_pairs, named, parts_below
from i2i.data.sources import Found, OneImage, Part, Parts, Source
from i2i.data.told import some
from i2i.data.tree import find as below_in
from i2i.data.tree import is_folder
from i2i.errors import DataError
from i2i.plugin import Kind

_SINGLE: Final = (
    "    DIR, or DIR/train           images, in folders below as well; DIR/val and DIR/test where there are any"
)
LAYOUTS: Final[dict[Kind, str]] = {
    "paired": paired.LAYOUTS,
    "semantic": f"""Label maps as A, images as B. {paired.LAYOUTS}""",
    "unpaired": """Layouts that are understood:
    DIR/trainA and DIR/trainB   likewise valA and valB, testA and testB
    DIR/A and DIR/B             each with or without train, val and test; or DIR/train/A and DIR/train/B
    DIR and OTHER               two folders: --data DIR --data OTHER""",
    "upscaled": f"""Layouts that are understood:
{_SINGLE}
    DIR/A and DIR/B             low and high resolutions of the same names""",
    "images": f"Layouts that are understood:\n{_SINGLE}",
    "labelled": """Layouts that are understood:
    DIR/CLASS, or DIR/train/CLASS   the images of each class in a folder of its name; DIR/val and DIR/test likewise""",
}


def find(source: Path, second: Path | None, kind: Kind) -> Found:
    """Finds the images of `kind` in a folder, or in two, without decoding them; raises DataError where it has none."""
    if second is not None:
        if kind != "unpaired":
            raise DataError(f"{second}: a second folder, which is for unpaired data alone", LAYOUTS[kind])
        return _two(source, second)
    return _FINDERS[kind](source)


def guess(folder: Path) -> Kind:
    """The kind of data that a folder looks like; whether all in it is in order is for `find` to say."""
    train = parts_below(folder).get("train", folder)
    for place in (folder, train):
        if is_folder(place / "A") and is_folder(place / "B"):
            return "paired" if paired.matching(place / "A", place / "B") else "unpaired"
    if all(_side(folder, side) for side in "AB"):
        return "unpaired"
    flat = [path for path in below_in(train) if path.parent == train]
    if flat:
        return "paired" if paired.side_by_side(flat) else "images"
    return "labelled" if len(_class_folders(train)) > 1 else "images"


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts names with numbers in them as people do: 2 before 10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"([0-9]+)", name)]


def _unpaired(folder: Path) -> Found:
    sides = [_side(folder, "A"), _side(folder, "B")]
    if not all(sides):
        raise DataError(f"{folder}: no folders of A and of B in it", LAYOUTS["unpaired"])
    return _both(sides, [str(sides[0].get("train", folder / "A")), str(sides[1].get("train", folder / "B"))])


def _side(folder: Path, side: str) -> dict[Part, Path]:
    own = folder / side
    if inside := parts_below(own):
        check_train(own, inside, LAYOUTS["unpaired"])
        return inside
    found = {part: below / side for part, below in parts_below(folder).items() if is_folder(below / side)}
    for part, names in NAMES.items():
        for beside in (folder / f"{name}{side}" for name in names):
            if is_folder(beside):
                found.setdefault(part, beside)
    if is_folder(own):
        found["train"] = own
    return found


def _two(a: Path, b: Path) -> Found:
    one, other = a.resolve(), b.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise DataError(f"{a} and {b}: the one is within the other", "Give two folders that lie apart.")
    return _both([_splits(a, "unpaired"), _splits(b, "unpaired")], [str(a), str(b)])


def _both(sides: list[dict[Part, Path]], names: list[str]) -> Found:
    if sides[0].keys() != sides[1].keys():
        told = " and ".join(f"{name} has {', '.join(parts)}" for name, parts in zip(names, sides, strict=True))
        raise DataError(f"{told}: a split has to be on both sides", LAYOUTS["unpaired"])
    check_train(Path(names[0]), sides[0], LAYOUTS["unpaired"])
    return Found([_all(parts, "unpaired") for parts in sides], layout=f"A in {names[0]}, B in {names[1]}")


def _upscaled(folder: Path) -> Found:
    train = parts_below(folder).get("train", folder)
    for place in (folder, train):
        if is_folder(place / "A") and is_folder(place / "B"):
            return find_pairs(folder)
    return _single(folder, "upscaled")


def _images(folder: Path) -> Found:
    return _single(folder, "images")


def _single(folder: Path, kind: Kind) -> Found:
    return Found([_all(_splits(folder, kind), kind)], layout="single images")


def _labelled(folder: Path) -> Found:
    layouts = LAYOUTS["labelled"]
    found = Found([{}], layout="a folder for each class")
    for part, below in sorted(_splits(folder, "labelled").items(), key=lambda item: item[0] != "train"):
        beside = [path.name for path in below_in(below) if path.parent == below]
        classes = _class_folders(below)
        if beside and classes:
            raise DataError(f"{below}: images beside the folders of classes: {some(beside)}", layouts)
        if not classes:
            raise DataError(f"{below}: no folders of classes in it", layouts)
        trained, found.sides[0][part] = set(found.classes.values()), []
        for path in classes:
            if part != "train" and path.name not in trained:
                raise DataError(f"{path}: a class that is not among those to train on", layouts)
            sources = _sources(path, below_in(path), f"{path.name}/")
            if part == "train" and not sources:
                raise DataError(f"{path}: a class without an image", "Put images into it, or remove it.")
            found.sides[0][part] += sources
            found.classes.update(dict.fromkeys(sources, path.name))
    return found


def _class_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_folder(path) and not path.name.startswith("."))


def _splits(folder: Path, kind: Kind) -> dict[Part, Path]:
    parts = parts_below(folder)
    if parts:
        check_train(folder, parts, LAYOUTS[kind])
    return parts or {"train": folder}


def _all(parts: dict[Part, Path], kind: Kind) -> Parts:
    found: Parts = {}
    for part, below in parts.items():
        found[part] = _sources(below, below_in(below))
        if not found[part]:
            raise DataError(f"{below}: no images in it", LAYOUTS[kind])
    return found


def _sources(folder: Path, paths: Iterable[Path], prefix: str = "") -> list[Source]:
    return [OneImage(prefix + name, path) for name, path in sorted(named(folder, paths).items())]


_FINDERS: Final[dict[Kind, Callable[[Path], Found]]] = {
    "paired": find_pairs,
    "semantic": find_pairs,
    "unpaired": _unpaired,
    "upscaled": _upscaled,
    "images": _images,
    "labelled": _labelled,
}
