"""Where paths lead, so that one file is known by whatever name it is given."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import final


@final
class Places:
    """Where paths lead, with each folder looked up once, which counts where there are very many files.

    In a folder that takes `A.png` and `a.png` for one file, they lead to one place.
    """

    def __init__(self) -> None:
        self._folders: dict[str, tuple[str, bool]] = {}

    def of(self, path: str) -> str:
        """The same for two paths where they are, or would be, one file."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            folder, name = os.path.split(os.path.realpath(path))
        if folder not in self._folders:
            real = os.path.realpath(folder)
            self._folders[folder] = real, folds(real)
        real, folding = self._folders[folder]
        whole = os.path.join(real, name)  # noqa: PTH118
        whole = os.path.realpath(whole) if os.path.islink(whole) else whole  # noqa: PTH114
        return unicodedata.normalize("NFC", whole).casefold() if folding else os.path.normcase(whole)


def folds(folder: str) -> bool:
    """Whether upper and lower case are one in a folder, or will be in one that is not there yet.

    The system does not say; a name that is there tells, of the folder or else of where it will be.
    """
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:  # noqa: PTH112, PTH120
        folder = os.path.dirname(folder)  # noqa: PTH120
    try:
        with os.scandir(folder) as entries:
            name = next((entry.name for entry in entries if entry.name.isascii() and _other(entry.name)), None)
    except OSError:
        name = None
    if name is None:
        return sys.platform in ("darwin", "win32")
    try:
        one, other = (os.lstat(os.path.join(folder, it)) for it in (name, _other(name)))  # noqa: PTH118
    except OSError:
        return False
    return os.path.samestat(one, other)


def _other(name: str) -> str:
    """The name in the other case; empty where there is none."""
    return name.swapcase() if name.swapcase() != name else ""
