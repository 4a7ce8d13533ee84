"""What INPUT means: files, folders and patterns become the images that are there.

Paths are strings here as long as they can be: of 100,000 files, pathlib would take most of the time.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.errors import I2IError, ImageError
from i2i.images import SUFFIXES, WRITABLE, find
from i2i.runtime.folder.manifest import made_within
from i2i.runtime.video.clip import VIDEOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Refused:
    """An input that cannot become an output, and why."""

    name: str
    error: I2IError


@dataclass(frozen=True, slots=True)
class Found:
    """An image that is there: its path from the folder, or the fixed part of the pattern, in which it was found."""

    name: str
    source: Path | bytes
    relative: str
    folder: Path | None = None


def expand(inputs: Iterable[str | bytes], output: Path | None, tag: str) -> Iterator[Found | Refused]:
    """Finds the images of `inputs`: paths, folders, patterns, or an image's bytes.

    output: a folder that is an input, or below one, with the results of an earlier call, which are no inputs. Without
    one, results lie beside their inputs with `tag` in their names, and are known by it. Raises I2IError for an empty
    input.
    """
    for given in inputs:
        if isinstance(given, bytes):
            yield Found("stdin", given, "stdin")
            continue
        if not given:
            raise I2IError("an INPUT is empty", "Is a variable in your command not set?")
        path = Path(given)
        if os.path.isdir(given):  # noqa: PTH112 - pathlib's raises for a closed folder
            yield from _in_folder(path, output, tag)
        elif os.path.exists(given):  # noqa: PTH110
            yield Found(given, path, path.name)
        elif glob.has_magic(given):
            yield from _by_pattern(given, output, tag)
        else:
            yield Refused(given, _missing(given))


def _missing(given: str) -> ImageError:
    path = Path(given)
    try:
        path.stat()
        reason = "cannot be looked at"
    except FileNotFoundError:
        reason = "there is no such file"
    except OSError as error:  # a name that is too long, links in a circle, a folder that is closed to this user
        reason = error.strerror or str(error)
    return ImageError(f"{path}: {reason}", "Give image files, folders, or a quoted pattern.")


def _in_folder(folder: Path, output: Path | None, tag: str) -> Iterator[Found | Refused]:
    names = _originals(map(str, find(folder)), folder, output, tag)
    yield from (Found(name, Path(name), _below(name, folder), folder) for name in names)
    if not names:
        yield Refused(str(folder), ImageError(f"{folder}: holds no image files", _readable()))


def _by_pattern(pattern: str, output: Path | None, tag: str) -> Iterator[Found | Refused]:
    matches = map(Path, sorted(glob.glob(pattern, recursive=True)))  # noqa: PTH207 - absolute patterns too
    base = _fixed_part(pattern)
    wanted = VIDEOS if Path(pattern).suffix.lower() in VIDEOS else SUFFIXES  # of a folder's files, images alone
    there = (str(match) for match in matches if match.suffix.lower() in wanted and os.path.isfile(match))  # noqa: PTH113
    names = _originals(there, base, output, tag)
    yield from (Found(name, Path(name), _below(name, base)) for name in names)
    if not names:
        yield Refused(pattern, ImageError(f"{pattern}: matches no image file", _readable()))


def _below(name: str, folder: Path) -> str:
    """The path of a file from a folder that it lies below, both as pathlib writes them."""
    return name if str(folder) == "." else name[len(str(folder)) :].lstrip(os.sep)


def _fixed_part(pattern: str) -> Path:
    """The folders of a pattern before its first wildcard: what is found is mirrored below them."""
    parts = Path(pattern).parts[:-1]
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _originals(images: Iterable[str], folder: Path, output: Path | None, tag: str) -> Sequence[str]:
    """Those of the images below `folder` that no earlier call made, as far as their places and names tell."""
    images = list(images)
    if output is None:
        return _untagged(images, tag)
    there, made = Path(os.path.realpath(folder)), Path(os.path.realpath(output))
    if there == made:
        ours = made_within(output)
        return [image for image in images if Path(_below(image, folder)).as_posix() not in ours]
    if there not in made.parents:
        return images
    folders = {image.rpartition(os.sep)[0] for image in images}
    inside = {parent for parent in folders if Path(os.path.realpath(parent)).is_relative_to(made)}
    return [image for image in images if image.rpartition(os.sep)[0] not in inside]


def _untagged(images: Sequence[str], tag: str) -> Sequence[str]:
    """Without `a.TAG.png` and `a.TAG.DIRECTION.png` where there is an `a` of any suffix beside."""
    ours = re.compile(
        rf"(.+)\.{re.escape(tag)}(?:\.[^.]+)?({'|'.join(map(re.escape, (*WRITABLE, *VIDEOS)))})", re.IGNORECASE
    )
    tagged = {image: match[1] for image in images if f".{tag}." in image and (match := ours.fullmatch(image))}
    if not tagged:
        return images
    stems = {image.rpartition(".")[0] for image in images}
    return [image for image in images if tagged.get(image) not in stems]


def _readable() -> str:
    return f"Image files end in {', '.join(sorted(SUFFIXES))}."
