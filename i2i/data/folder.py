"""The pairs in a folder: which layout it has, and which image belongs to which."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from i2i import header
from i2i.data.sources import Found, Part, SideBySide, TwoImages, has_halves, same_proportions
from i2i.data.told import some
from i2i.data.tree import find, is_folder
from i2i.errors import DataError, ImageError

LAYOUTS: Final = """Layouts that are understood, each with or without train, val and test:
    DIR/A and DIR/B             images of the same name belong together
    DIR/train/A and DIR/train/B, or DIR/A/train and DIR/B/train
    DIR/train, or DIR itself    images with A in the left half and B in the right one"""
NAMES: Final[dict[Part, tuple[str, ...]]] = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
SIDE_BY_SIDE: Final = "A and B side by side in one image"


def find_pairs(folder: Path) -> Found:
    """Finds the pairs in `folder` by its layout, without decoding them; raises DataError where there are none."""
    a, b = folder / "A", folder / "B"
    by_part = parts_below(folder)
    found = Found([{}], layout="A and B, matched by name")
    if is_folder(a) and is_folder(b):
        parts_a, parts_b = parts_below(a), parts_below(b)
        if parts_a or parts_b:
            for side, parts in ((a, parts_a), (b, parts_b)):
                check_train(side, parts, LAYOUTS)
            for part in parts_a | parts_b:
                _match(part, parts_a.get(part, a / part), parts_b.get(part, b / part), found)
        else:
            _match("train", a, b, found)
            for part, below in by_part.items():
                if part != "train" and is_folder(below / "A") and is_folder(below / "B"):
                    _match(part, below / "A", below / "B", found)
    elif "train" in by_part:
        sides = [is_folder(by_part["train"] / side) for side in "AB"]
        found = Found([{}], layout=found.layout if all(sides) else SIDE_BY_SIDE)
        for part, below in by_part.items():
            if is_folder(below / "A") and is_folder(below / "B"):
                _match(part, below / "A", below / "B", found)
            else:
                _halve(part, below, find(below), found)
    else:
        found = Found([{}], layout=SIDE_BY_SIDE)
        flat = [path for path in find(folder) if path.parent == folder]
        _check_flat(folder, flat)
        _halve("train", folder, flat, found)
    return found


def parts_below(folder: Path) -> dict[Part, Path]:
    """The folders of splits right below `folder`."""
    return {
        part: folder / name for part, names in NAMES.items() for name in reversed(names) if is_folder(folder / name)
    }


def check_train(folder: Path, parts: Iterable[Part], layouts: str) -> None:
    """Raises DataError where there are splits but none to train on, or what is meant for testing would be it."""
    if "train" not in parts:
        raise DataError(f"{folder}: has {', '.join(sorted(parts)) or 'no splits'}, but no train", layouts)


def _match(part: Part, a: Path, b: Path, found: Found) -> None:
    of_a, of_b = _by_name(a), _by_name(b)
    both = sorted(of_a.keys() & of_b.keys())
    alone = [
        f"  only in {side}: {some(mine.keys() - set(both))}"
        for side, mine in ((a, of_a), (b, of_b))
        if mine.keys() - set(both)
    ]
    if not both and not alone:
        raise DataError(f"{a} and {b}: no images in them", LAYOUTS)
    if not both:
        raise DataError(
            "\n".join([f"{a} and {b}: no image of the one has its counterpart in the other", *alone]), LAYOUTS
        )
    if alone:
        found.warnings.append(
            "\n".join([f"{a} and {b}: {len(both)} pairs; images without a counterpart are left out", *alone])
        )
    found.sides[0][part] = [TwoImages(name, of_a[name], of_b[name]) for name in both]


def _halve(part: Part, folder: Path, paths: Iterable[Path], found: Found) -> None:
    by_name = named(folder, paths)
    if not by_name:
        raise DataError(f"{folder}: no images in it", LAYOUTS)
    found.sides[0][part] = [SideBySide(name, by_name[name]) for name in sorted(by_name)]


def _by_name(folder: Path) -> dict[str, Path]:
    return named(folder, find(folder)) if is_folder(folder) else {}


def named(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """The paths by what they are called below `folder` without the suffix; raises DataError where two share a name."""
    by_name: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in by_name:
            raise DataError(f"{by_name[name]} and {path}: two images of one name", "Rename or remove one of them.")
        by_name[name] = path
    return by_name


def matching(a: Path, b: Path) -> bool:
    """Whether any image below `a` has the name of one below `b`."""
    of_a, of_b = ({path.relative_to(side).with_suffix("") for path in find(side)} for side in (a, b))
    return not of_a.isdisjoint(of_b)


def side_by_side(paths: Iterable[Path]) -> bool:
    """Whether all that can be read look like A and B side by side."""
    return _first_odd(paths) is None


def _check_flat(folder: Path, paths: list[Path]) -> None:
    """A folder of just any pictures must not be cut in halves: all must look like A and B side by side."""
    if not paths:
        raise DataError(f"{folder}: no images in it that are understood", LAYOUTS)
    if odd := _first_odd(paths):
        path, size = odd
        raise DataError(
            f"{folder}: not a folder of A and B side by side: {path.name} is {size[0]} x {size[1]} pixels; "
            "such images are of even width, at least 1.5 times as wide as high, and of the same proportions",
            LAYOUTS,
        )


def _first_odd(paths: Iterable[Path]) -> tuple[Path, tuple[int, int]] | None:
    """The first image, and its size, that has no two halves or other proportions than the first."""
    sizes = {path: size for path in paths if (size := _size(path)) is not None}
    first = next(iter(sizes.values()), (0, 0))
    odd = (item for item in sizes.items() if not (has_halves(item[1]) and same_proportions(item[1], first)))
    return next(odd, None)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return header.read(path).size
    except ImageError:  # whatever is wrong with it is said, by its name, when all are decoded
        return None
