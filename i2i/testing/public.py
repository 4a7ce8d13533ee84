"""Check that a plugin imports from i2i only what i2i makes public, and so will find there tomorrow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import i2i
from i2i.plugin import OWN, catalogue
from i2i.testing.check import ConformanceError
from i2i.testing.subject import Subject
from i2i.training.fault import told

PUBLIC: Final = (
    "i2i.config",
    "i2i.data",
    "i2i.errors",
    "i2i.games",
    "i2i.images",
    "i2i.metrics.metric",
    "i2i.nn",
    "i2i.noise",
    "i2i.plugin",
    "i2i.testing",
)
"""Modules that a plugin may import, and all below them; beside these, the functions of `i2i` itself."""

_SHOWN: Final = 3


def check_imports(subject: Subject) -> None:
    """No module of the packages of manifest and game imports what is i2i's own."""
    own = {
        "i2i_export",
        *(entry.entry_point.module.partition(".")[0] for entry in catalogue() if entry.distribution == OWN),
    }
    wrong = [
        f"{place}: {name}"
        for place, name in _imports(subject)
        if name.partition(".")[0] in {"i2i", *own} - {subject.package} and not is_public(name)
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ConformanceError(
            f"imports what is not public: {'; '.join(wrong[:_SHOWN])}{more}",
            f"Public are {', '.join(PUBLIC)}; what is missing there is worth an issue.",
        )


def is_public(name: str) -> bool:
    """Whether `name`, a module or something in it, is public."""
    if any(part.startswith("_") and not part.startswith("__") for part in name.split(".")):
        return False
    return (
        name == "i2i"
        or name.removeprefix("i2i.") in i2i.__all__
        or any(name == module or name.startswith(f"{module}.") for module in PUBLIC)
    )


def _imports(subject: Subject) -> Iterator[tuple[str, str]]:
    """What a plugin imports by its whole name, and where: `i2i_mine/game.py:7`, `i2i.nn.unet.UNet`."""
    modules = subject.entry.entry_point.module, subject.manifest.game.partition(":")[0]
    for path, shown in dict(file for module in modules for file in _files(module)).items():
        try:
            tree = ast.parse(path.read_bytes(), str(path))
        except (SyntaxError, ValueError) as error:
            raise ConformanceError(
                f"{shown} cannot be read: {told(error)}", "Mend it, or leave out of the package what is not Python."
            ) from error
        for node in ast.walk(tree):
            place = f"{shown}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                yield from ((place, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield from ((place, f"{node.module}.{alias.name}") for alias in node.names)


def _files(module: str) -> Iterator[tuple[Path, str]]:
    """The files of the package that `module` is in, and how they are shown.

    What lies beside it in a namespace package belongs to others.
    """
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        spec = find_spec(".".join(parts[:end]))
        if spec is None:
            return  # building it says so
        if spec.origin is None:
            continue  # a namespace
        origin = Path(spec.origin)
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
        above = origin.parents[end if folders else end - 1]
        for path in [path for folder in folders for path in sorted(folder.rglob("*.py"))] or [origin]:
            yield path, path.relative_to(above).as_posix() if path.is_relative_to(above) else path.as_posix()
        return
