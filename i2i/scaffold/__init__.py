"""A new plugin to begin from: a distribution that holds a built-in one's source under another name."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from i2i.errors import PluginError, did_you_mean
from i2i.files import replacing
from i2i.plugin import OWN, Entry, catalogue
from i2i.scaffold.source import renamed
from i2i.scaffold.texts import PYPROJECT, README, TEST
from i2i.version import __version__

LONGEST: Final = 20  # characters of a name: with more of them lines of the source would grow too long


@dataclass(frozen=True)
class Created:
    """A distribution that was written: its folder, and the paths of its files below that."""

    folder: Path
    files: tuple[Path, ...]


def create(name: str, like: str, folder: Path) -> Created:
    """Writes the distribution `i2i-NAME` to `folder`, which must not exist: the plugin `name`, played as `like` is.

    Raises PluginError for a name that cannot be used or is taken, for a `like` that i2i does not bring, and for a
    folder that is there; I2IError where it cannot be written. Nothing is left then.
    """
    entry = _find(like)
    _check(name)
    if folder.exists() or folder.is_symlink():
        raise PluginError(f"{folder}: is there already", "Name another folder: --out DIR")
    manifest = entry.load()
    package = manifest.game.partition(".")[0]
    known = {"name": name, "like": like, "paper": manifest.paper, "version": __version__}
    files = {
        "README.md": README.substitute(known),
        "pyproject.toml": PYPROJECT.substitute(known),
        **{f"src/i2i_{name}/{path}": text for path, text in renamed(package, like, name).items()},
        f"tests/test_{name}.py": TEST.substitute(known),
    }
    if (licence := _licence()) is not None:
        files["LICENSE"] = licence
    with replacing(folder) as aside:
        for path, text in files.items():
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            (aside / path).write_text(text, encoding="utf-8")
    return Created(folder, tuple(map(Path, sorted(files))))


def _find(like: str) -> Entry:
    own = {entry.name: entry for entry in catalogue() if entry.distribution == OWN}
    if like not in own:
        raise PluginError(
            f"i2i brings no plugin called '{like}'{did_you_mean(like, own)}",
            f"--like takes one of {', '.join(own)}.",
        )
    return own[like]


def _check(name: str) -> None:
    """Raises PluginError where no plugin can be called so."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise PluginError(
            f"'{name}' cannot be a plugin's name: {_why(name)}", f"For example: i2i plugins new {_better(name)}"
        )
    if len(name) > LONGEST:
        raise PluginError(
            f"'{name}' cannot be a plugin's name: it has {len(name)} characters", f"Take {LONGEST} at most."
        )
    for entry in catalogue():
        if entry.name == name:
            raise PluginError(
                f"'{name}' is taken: {entry.distribution} {entry.version} has a plugin of that name",
                "Choose another name.",
            )
    if find_spec(f"i2i_{name}") is not None:
        raise PluginError(f"'{name}' is taken: there is a package i2i_{name} already", "Choose another name.")


def _why(name: str) -> str:
    if keyword.iskeyword(name):
        return "it is a word of Python's own"
    return "it names a package, so it has small letters, digits and single underscores, and begins with a letter"


def _better(name: str) -> str:
    """A name that can be used, as near to `name` as it gets."""
    words = re.sub(r"^\d+_?", "", "_".join(re.findall(r"[a-z0-9]+", name.lower())))
    found = words[:LONGEST].rstrip("_") or "mine"
    return f"{found}_net" if keyword.iskeyword(found) else found


def _licence() -> str | None:
    """The licence of i2i, under which the source is that a new plugin begins with."""
    try:
        return distribution(OWN).read_text("licenses/LICENSE")
    except PackageNotFoundError:
        return None
