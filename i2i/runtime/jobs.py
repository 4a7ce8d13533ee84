"""Which inputs become which outputs: files, folders and patterns in, pairs of paths out; nothing lost by chance."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.errors import I2IError, ImageError
from i2i.files import refuse
from i2i.images import SUFFIXES, check_writable, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True)
class Job:
    """An image to translate: a file, or bytes that came from elsewhere, and the file that it becomes."""

    name: str
    source: Path | bytes
    target: Path


@dataclass(frozen=True)
class Refused:
    """An input that cannot become an output, and why."""

    name: str
    error: I2IError


@dataclass(frozen=True)
class _Found:
    name: str
    source: Path | bytes
    relative: Path  # to the folder it was found in
    folder: Path | None = None


def plan(
    inputs: Sequence[str | bytes], *, output: Path | None, plugin: str, direction: str = "", overwrite: bool = False
) -> list[Job | Refused]:
    """Pairs each image of `inputs` (paths, folders, patterns, or an image's bytes) with its output, in order.

    Without `output`, `a.jpg` becomes `a.PLUGIN.png` beside it, and folder `f` is mirrored as `f.PLUGIN`; with a
    direction, `a.PLUGIN.DIRECTION.png` and `f.PLUGIN.DIRECTION`. `output` is the file for a single image if it has an
    image's suffix, otherwise the folder for all; missing folders are made. Inputs that are missing, and outputs that
    exist, are `Refused`, the latter unless `overwrite`; an input is never overwritten. Raises I2IError, with nothing
    made, where two images would become one file or `output` cannot be.
    """
    tag = file_tag(f"{plugin}.{direction}" if direction else plugin)
    expanded = list(_expand(inputs, output, tag))
    found = [item for item in expanded if isinstance(item, _Found)]
    as_file = output is not None and output.suffix.lower() in SUFFIXES and not output.is_dir()
    if output is not None and found:
        _check_output(output, as_file, len({item.source for item in found}))
    targets = {id(item): output if as_file and output else _target(item, output, tag) for item in found}
    _refuse_collisions((item, targets[id(item)]) for item in found)

    inputs_resolved = {item.source.resolve() for item in found if isinstance(item.source, Path)}
    tasks: list[Job | Refused] = []
    planned: set[Path] = set()
    for item in expanded:
        if isinstance(item, Refused):
            tasks.append(item)
            continue
        target = targets[id(item)]
        resolved = target.resolve()
        if resolved in planned:  # the same image, named twice
            continue
        planned.add(resolved)
        if resolved in inputs_resolved:
            error = ImageError(f"{target}: is an input, and inputs are never overwritten", "Give another -o.")
            tasks.append(Refused(item.name, error))
        # Path.exists raises for a name that is too long; such a one is refused when it is written.
        elif os.path.exists(target) and (target.is_dir() or not overwrite):  # noqa: PTH110
            hint = "Give another -o." if target.is_dir() else "--overwrite replaces it."
            tasks.append(Refused(item.name, ImageError(f"{target}: already exists", hint)))
        else:
            tasks.append(Job(item.name, item.source, target))
    if output is not None and any(isinstance(task, Job) for task in tasks):
        _make(output.parent if as_file else output)
    return tasks


def file_tag(name: str) -> str:
    """The name, of a plugin or a class, as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name)


def _expand(inputs: Iterable[str | bytes], output: Path | None, tag: str) -> Iterator[_Found | Refused]:
    for given in inputs:
        if isinstance(given, bytes):
            yield _Found("stdin", given, Path("stdin"))
            continue
        if not given:
            raise I2IError("an INPUT is empty", "Is a variable in your command not set?")
        path = Path(given)
        if path.is_dir():
            yield from _in_folder(path, output)
        elif path.exists() or not glob.has_magic(given):
            missing = ImageError(f"{path}: there is no such file", "Give image files, folders, or a quoted pattern.")
            yield _Found(given, path, Path(path.name)) if path.exists() else Refused(given, missing)
        else:
            matches = map(Path, sorted(glob.glob(given, recursive=True)))  # noqa: PTH207 - absolute patterns too
            images = [match for match in matches if match.suffix.lower() in SUFFIXES and match.is_file()]
            base = _fixed_part(given)
            images = _outside(images, base, output)
            if output is None:  # what an earlier call made lies beside its original, with the tag in its name
                stems = {(image.parent, image.stem) for image in images}
                images = [
                    image for image in images if (image.parent, image.name.removesuffix(f".{tag}.png")) not in stems
                ]
            yield from (_Found(str(image), image, image.relative_to(base)) for image in images)
            if not images:
                yield Refused(given, ImageError(f"{given}: matches no image file", _readable()))


def _fixed_part(pattern: str) -> Path:
    """The folders of a pattern before its first wildcard: what is found is mirrored below them."""
    parts = Path(pattern).parts[:-1]
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _outside(images: Iterable[Path], folder: Path, output: Path | None) -> list[Path]:
    """Those of the images below `folder` that are not in an `output` below it, where an earlier call put them."""
    if output is None or folder.resolve() not in output.resolve().parents:
        return list(images)
    made = output.resolve()
    return [image for image in images if not image.resolve().is_relative_to(made)]


def _in_folder(folder: Path, output: Path | None) -> Iterator[_Found | Refused]:
    images = _outside(find(folder), folder, output)
    yield from (_Found(str(image), image, image.relative_to(folder), folder) for image in images)
    if not images:
        yield Refused(str(folder), ImageError(f"{folder}: holds no image files", _readable()))


def _target(item: _Found, output: Path | None, tag: str) -> Path:
    png = item.relative.with_name(f"{item.relative.stem}.png")
    if output is not None:
        return output / png
    if item.folder is not None:
        folder = item.folder if item.folder.name not in ("", "..") else item.folder.resolve()
        if not folder.name:
            raise I2IError(f"{item.folder}: there is no place beside it for the output", "Give a folder with -o.")
        return folder.with_name(f"{folder.name}.{tag}") / png
    beside = item.source.parent if isinstance(item.source, Path) else Path()
    return beside / f"{item.relative.stem}.{tag}.png"


def _refuse_collisions(pairs: Iterable[tuple[_Found, Path]]) -> None:
    sources: dict[str, tuple[_Found, object]] = {}
    for item, target in pairs:
        source = item.source.resolve() if isinstance(item.source, Path) else item.source
        first, first_source = sources.setdefault(os.path.normcase(target.resolve()), (item, source))
        if first_source != source:
            raise I2IError(
                f"{first.name} and {item.name} would both become {target}; nothing was written",
                "Translate them in two calls with a different -o each, or rename one.",
            )


def _check_output(output: Path, as_file: bool, images: int) -> None:
    if as_file:
        if images > 1:
            raise I2IError(f"{output}: is one file, and there are {images} images", "Give a folder with -o.")
        check_writable(output)
    elif output.is_file():
        raise I2IError(f"{output}: is a file that is no image, and not a folder", "Give another -o.")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(folder, error)


def _readable() -> str:
    return f"Image files end in {', '.join(sorted(SUFFIXES))}."
