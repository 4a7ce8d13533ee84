"""The pairs in a folder: which layout it has, and which image belongs to which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from i2i import images
from i2i.data.sources import Part, SideBySide, Source, TwoImages, has_halves, same_proportions
from i2i.errors import DataError

LAYOUTS: Final = """Layouts that are understood, each with or without train, val and test:
    DIR/A and DIR/B             images of the same name belong together
    DIR/train/A and DIR/train/B, or DIR/A/train and DIR/B/train
    DIR/train, or DIR itself    images with A in the left half and B in the right one"""
_NAMES: Final[dict[Part, tuple[str, ...]]] = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
_SHOWN: Final = 5


@dataclass(frozen=True)
class Found:
    """The pairs of each part that the folder tells apart, sorted by name, and what the user should know."""

    parts: dict[Part, list[Source]]
    warnings: list[str]


def find_pairs(folder: Path) -> Found:
    """Finds the pairs in `folder` by its layout, without decoding them; raises DataError where there are none."""
    a, b = folder / "A", folder / "B"
    by_part = _parts(folder)
    found = Found({}, [])
    if a.is_dir() and b.is_dir():
        parts_a, parts_b = _parts(a), _parts(b)
        if parts_a or parts_b:
            for side, parts in ((a, parts_a), (b, parts_b)):
                if "train" not in parts:  # or what is meant for testing would be trained on
                    raise DataError(f"{side}: has {', '.join(sorted(parts)) or 'no splits'}, but no train", LAYOUTS)
            for part in parts_a | parts_b:
                _match(part, parts_a.get(part, a / part), parts_b.get(part, b / part), found)
        else:
            _match("train", a, b, found)
            for part, below in by_part.items():
                if part != "train" and (below / "A").is_dir() and (below / "B").is_dir():
                    _match(part, below / "A", below / "B", found)
    elif "train" in by_part:
        for part, below in by_part.items():
            if (below / "A").is_dir() and (below / "B").is_dir():
                _match(part, below / "A", below / "B", found)
            else:
                _halve(part, below, images.find(below), found)
    else:
        flat = [path for path in images.find(folder) if path.parent == folder]
        _check_flat(folder, flat)
        _halve("train", folder, flat, found)
    return found


def _parts(folder: Path) -> dict[Part, Path]:
    return {
        part: folder / name for part, names in _NAMES.items() for name in reversed(names) if (folder / name).is_dir()
    }


def _match(part: Part, a: Path, b: Path, found: Found) -> None:
    of_a, of_b = _by_name(a), _by_name(b)
    both = sorted(of_a.keys() & of_b.keys())
    alone = [
        f"  only in {side}: {_some(mine.keys() - set(both))}"
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
    found.parts[part] = [TwoImages(name, of_a[name], of_b[name]) for name in both]


def _halve(part: Part, folder: Path, paths: Iterable[Path], found: Found) -> None:
    by_name = _named(folder, paths)
    if not by_name:
        raise DataError(f"{folder}: no images in it", LAYOUTS)
    found.parts[part] = [SideBySide(name, by_name[name]) for name in sorted(by_name)]


def _by_name(folder: Path) -> dict[str, Path]:
    return _named(folder, images.find(folder)) if folder.is_dir() else {}


def _named(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in by_name:
            raise DataError(f"{by_name[name]} and {path}: two images of one name", "Rename or remove one of them.")
        by_name[name] = path
    return by_name


def _check_flat(folder: Path, paths: list[Path]) -> None:
    """A folder of just any pictures must not be cut in halves: all must look like A and B side by side."""
    if not paths:
        raise DataError(f"{folder}: no images in it that are understood", LAYOUTS)
    sizes = {path: size for path in paths if (size := _size(path)) is not None}
    first = next(iter(sizes.values()), (0, 0))
    for path, size in sizes.items():
        if not (has_halves(size) and same_proportions(size, first)):
            raise DataError(
                f"{folder}: not a folder of A and B side by side: {path.name} is {size[0]} x {size[1]} pixels; "
                "such images are of even width, at least 1.5 times as wide as high, and of the same proportions",
                LAYOUTS,
            )


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path, formats=images.FORMATS) as opened:
            return opened.size
    except Exception:  # whatever is wrong with it is said, by its name, when all are decoded
        return None


def _some(names: Iterable[str]) -> str:
    sorted_names = sorted(names)
    more = f" and {len(sorted_names) - _SHOWN} more" if len(sorted_names) > _SHOWN else ""
    return f"{len(sorted_names)}: {', '.join(sorted_names[:_SHOWN])}{more}"
