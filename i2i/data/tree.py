"""What lies in a folder of data: the files that images are looked for in, and where symbolic links lead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from i2i.data.told import some
from i2i.errors import DataError
from i2i.images import FOREIGN, SUFFIXES


def find(folder: Path) -> Iterator[Path]:
    """All below `folder` that are called like images, in the order of their paths; hidden ones are left out.

    That a link leads nowhere, or that something is no file, is said when it is opened. Folders that links lead to are
    gone into, each folder once: by its own place where it has one here. Raises DataError where a link leads back to a
    folder that it lies in, and for a folder that cannot be looked into.
    """
    found: list[Path] = []
    entered: set[tuple[int, int]] = set()
    waiting, linked = [folder], deque[Path]()
    while waiting or linked:  # links last, so that one more of them gives no other a new name
        place = waiting.pop() if waiting else linked.popleft()
        try:
            status = place.stat()
        except OSError:
            continue
        here = (status.st_dev, status.st_ino)
        if here in entered:
            continue
        entered.add(here)
        for entry in _entries(place):
            path = place / entry.name
            if not _leads_to_folder(entry):
                if path.suffix.lower() in SUFFIXES:
                    found.append(path)
            elif not entry.is_symlink():
                waiting.append(path)
            else:
                if Path(os.path.realpath(place)).is_relative_to(os.path.realpath(path)):
                    raise DataError(f"{path}: a link that leads back to a folder it lies in", "Remove the link.")
                linked.append(path)
    yield from sorted(found, key=lambda path: path.parts)


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or leads to one, that this user can reach."""
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises PermissionError where the way there is closed


def check_tree(folder: Path, *, links: bool) -> list[str]:
    """Looks at all names in a folder that was named by its user, and says which images are of formats not read here.

    The folder may be a link itself. Raises DataError for links out of it, to images or folders, unless `links`.
    """
    home = os.path.realpath(folder)
    outside: list[str] = []
    foreign: list[str] = []
    within: list[str] = []
    closed: list[str] = []
    seen: set[str] = set()
    waiting = [home]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        try:
            entries = _entries(Path(place))
        except DataError as error:  # which `find` raises where it is used
            closed.append(f"{error.message}: what is in it is not looked at")
            continue
        for entry in entries:
            path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            folder_too, suffix = _leads_to_folder(entry), Path(entry.name).suffix.lower()
            if suffix in FOREIGN and not folder_too:
                foreign.append(os.path.relpath(entry.path, home))
            if not (folder_too or suffix in SUFFIXES or _closed(entry)):
                continue
            if folder_too and entry.is_symlink() and Path(path).is_relative_to(home):
                within.append(os.path.relpath(entry.path, home))
            if not Path(path).is_relative_to(home):
                outside.append(os.path.relpath(entry.path, home))
            if folder_too and (links or Path(path).is_relative_to(home)):
                waiting.append(path)
    if outside and not links:
        first = folder / min(outside)
        raise DataError(
            f"{first}: a link that leads out of {folder}, to {os.path.realpath(first)}; {len(outside)} such in all",
            "If these are meant to be used, set data.links=true.",
        )
    if within:
        closed.append(f"{folder}: links to folders in it, of which images are used once among others: {some(within)}")
    return closed + ([f"{folder}: in formats that are not read, and left out: {some(foreign)}"] if foreign else [])


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted, without what is hidden; raises DataError where it cannot be looked into."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}", "Make it readable, or move it out of the data.") from error


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _closed(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link to where this user may not look."""
    try:
        entry.stat()
    except PermissionError:
        return entry.is_symlink()
    except OSError:
        return False
    return False
