"""Generated images as files: what they are called, the contact sheet that shows them, the way between two of them."""

from __future__ import annotations

import os
from collections import abc, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from i2i.errors import I2IError
from i2i.files import replacing
from i2i.images import Pixels, from_pixels, write
from i2i.noise import between, draw
from i2i.runtime.folder.jobs import file_tag
from i2i.runtime.generator import BATCH, Labels
from i2i.sheet import lay, wrap

if TYPE_CHECKING:
    from i2i.noise import Noise
    from i2i.runtime.generator import Generator

_COLUMNS: Final = 20  # of a sheet at most
_ROWS: Final = 20
_THREADS: Final = 4  # Pillow lets go of the interpreter while it encodes
_FRAME: Final = 80  # milliseconds


@dataclass(frozen=True)
class Gallery:
    """Images to be made.

    noise: `[N, Z]`. labels: `[N]`, of a model with classes. names: of their files, without suffix. title: of the sheet.
    rows: which of them the sheet shows, with labels above its columns and beside its rows. frames: which of them each
    frame of an animation shows; none, and there is no animation.
    """

    title: str
    noise: Noise
    labels: Labels | None
    names: tuple[str, ...]
    rows: Sequence[Sequence[int]]
    above: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    frames: Sequence[Sequence[int]] = ()


def drawn(generator: Generator, count: int, seed: int, label: str | None = None) -> Gallery:
    """The first `count` images of a seed, of one class or of all in turn; raises I2IError for an unknown label."""
    classes = generator.description.classes
    labels = generator.labels(count, label)
    tags = _tags(classes, labels) or [""] * count
    in_turn = label is None and 1 < len(classes) <= _COLUMNS
    columns = len(classes) if in_turn else 10
    return Gallery(
        title=f"seed{seed}{tags[0] if label is not None else ''}",
        noise=draw(seed, count, generator.description.noise),
        labels=labels,
        names=tuple(f"seed{seed}-{index:05d}{tag}" for index, tag in enumerate(tags)),
        rows=wrap(range(min(count, _ROWS * columns)), columns),
        above=classes[:count] if in_turn else (),
    )


def interpolated(generator: Generator, seeds: tuple[int, int], frames: int, label: str | None = None) -> Gallery:
    """The way in `frames` images from the first image of one seed to that of the other, for one class or each.

    Of more than 20 classes only the first ones are shown. Raises I2IError for an unknown label.
    """
    start, end = (draw(seed, 1, generator.description.noise)[0] for seed in seeds)
    classes = generator.description.classes
    ways = generator.labels(1 if label is not None else max(1, min(len(classes), _ROWS)), label)
    tags = _tags(classes, ways) or [""]
    title = f"seed{seeds[0]}-to-{seeds[1]}"
    shown = np.linspace(0, frames - 1, min(frames, _COLUMNS)).round().astype(int).tolist()
    return Gallery(
        title=f"{title}{tags[0] if label is not None else ''}",
        noise=np.tile(between(start, end, frames), (len(tags), 1)),
        labels=None if ways is None else ways.repeat(frames),
        names=tuple(f"{title}-{frame:05d}{tag}" for tag in tags for frame in range(frames)),
        rows=[[way * frames + frame for frame in shown] for way in range(len(tags))],
        beside=() if ways is None else tuple(classes[way] for way in ways),
        frames=[range(frame, len(tags) * frames, frames) for frame in range(frames)],
    )


@dataclass(frozen=True)
class Targets:
    """The files that a gallery becomes."""

    images: tuple[Path, ...]
    sheet: Path | None
    animation: Path | None

    @property
    def extras(self) -> tuple[Path, ...]:
        """Those of the sheet and the animation that there are to be."""
        return tuple(path for path in (self.sheet, self.animation) if path is not None)


def plan(gallery: Gallery, folder: Path, *, sheet: bool = True, overwrite: bool = False) -> Targets:
    """Names the files in `folder`; raises I2IError where one exists, unless `overwrite`, or where they cannot be."""
    images = tuple(folder / f"{name}.png" for name in gallery.names)
    targets = Targets(
        images,
        folder / f"{gallery.title}-sheet.png" if sheet else None,
        folder / f"{gallery.title}.gif" if sheet and gallery.frames else None,
    )
    if os.path.exists(folder) and not folder.is_dir():  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise I2IError(f"{folder}: is a file, and the images need a folder", "Give another -o.")
    existing = [path for path in (*images, *targets.extras) if not overwrite and os.path.lexists(path)]
    if existing:
        more = f", and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise I2IError(
            f"{existing[0]}: already exists{more}; nothing was written",
            "Another --seed makes others; --overwrite replaces them; -o takes another folder.",
        )
    return targets


def make(generator: Generator, gallery: Gallery, targets: Targets) -> abc.Generator[Path, None, None]:
    """Makes the images and yields each file when it is written, the sheet and the animation last.

    Closing the iterator, or an exception such as KeyboardInterrupt, leaves whole files only.
    """
    animated = gallery.frames if targets.animation else ()
    kept = {index for row in (*(gallery.rows if targets.sheet else ()), *animated) for index in row}
    pictures: dict[int, Pixels] = {}
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="i2i-images")
    writing: deque[tuple[Path, Future[None]]] = deque()
    try:
        for start in range(0, len(gallery.noise), BATCH):
            part = slice(start, start + BATCH)
            labels = None if gallery.labels is None else gallery.labels[part]
            for index, picture in enumerate(generator.decode(gallery.noise[part], labels), start):
                path = targets.images[index]
                writing.append((path, pool.submit(write, from_pixels(picture), path)))
                if index in kept:
                    pictures[index] = picture
            while len(writing) > BATCH:
                yield _written(*writing.popleft())
        while writing:
            yield _written(*writing.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if targets.sheet:
        rows = [[pictures[index] for index in row] for row in gallery.rows]
        write(from_pixels(lay(rows, heads=gallery.above, names=gallery.beside)), targets.sheet)
        yield targets.sheet
    if targets.animation:
        _animate([lay(wrap([pictures[index] for index in frame], 10)) for frame in animated], targets.animation)
        yield targets.animation


def _tags(classes: Sequence[str], labels: Labels | None) -> list[str]:
    """What the labels add to the names of files, or to one name; with the class's number where names alone clash."""
    if labels is None:
        return []
    tags = [file_tag(name) for name in classes]
    if len({tag.lower() for tag in tags}) < len(tags):  # there are file systems that do not tell case
        tags = [f"{number}-{tag}" for number, tag in enumerate(tags)]
    return [f"-{tags[label]}" for label in labels]


def _written(path: Path, future: Future[None]) -> Path:
    future.result()
    return path


def _animate(frames: Sequence[Pixels], path: Path) -> None:
    first, *others = (from_pixels(frame) for frame in frames)
    with replacing(path) as aside:
        first.save(aside, "GIF", save_all=True, append_images=others, duration=_FRAME, loop=0)
