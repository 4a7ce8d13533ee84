"""The source of a built-in plugin under another name: its package, its classes, and the words for it."""

from __future__ import annotations

import ast
import io
import keyword
import re
import sys
import tokenize
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from i2i.errors import PluginError

_WIDTH: Final = 120  # columns of a line
_NETWORKS: Final = re.compile(r"^from (i2i\.nn\.[\w.]+) import discriminator, generator$", re.M)


def renamed(package: str, like: str, name: str) -> dict[str, str]:
    """The files of the installed `package` of the plugin `like`, by their paths in it, as those of a plugin `name`.

    What makes the networks comes along where the package shares it with others, so that `networks.py` is always there.
    Raises PluginError where a class would take the name of something else in these files.
    """
    own = f"i2i_{name}"
    files = _read(package)
    if "networks.py" not in files and (shared := _NETWORKS.search(files["game.py"])):
        files["networks.py"] = _module(shared[1])
        files["game.py"] = files["game.py"].replace(f"from {shared[1]} import", f"from {own}.networks import")
    stem = _game_class(files["game.py"])
    words = _Words(
        classes=(stem, "".join(part.capitalize() for part in name.split("_"))),
        prose={stem, files["__init__.py"].removeprefix('"""').split()[0]},
        names=(like, name),
        packages=(package, own),
    )
    words.check(files)
    return {path: _sorted_imports(words.replace(text), own) for path, text in sorted(files.items())}


class _Words:
    """What is replaced by what: class names in code, words in docstrings and comments, names in other strings."""

    def __init__(
        self, *, classes: tuple[str, str], prose: set[str], names: tuple[str, str], packages: tuple[str, str]
    ) -> None:
        self._class, self._new = re.compile(rf"\A{classes[0]}(?=[A-Z]|$)"), classes[1]
        self._prose = re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, prose)))})\b")
        self._names, self._packages = names, packages

    def check(self, files: Mapping[str, str]) -> None:
        """Raises PluginError where a new class would have the name of something that is there."""
        tokens = {token.string for text in files.values() for token in _tokens(text) if token.type == tokenize.NAME}
        new = {self._class.sub(self._new, each) for each in tokens if self._class.match(each)}
        if taken := sorted(each for each in new if each in tokens or keyword.iskeyword(each)):
            raise PluginError(
                f"'{self._names[1]}' cannot be its name: a class of it would be called {taken[0]}, which is taken",
                f"For example: i2i plugins new {self._names[1]}_net",
            )

    def replace(self, text: str) -> str:
        """`text`, a module, with all of them replaced."""
        lines = io.StringIO(text).readlines()
        for token in reversed(_tokens(text)):  # from the end, so that the places of earlier ones stay true
            (top, left), (bottom, right) = token.start, token.end
            new = self._token(token)
            if _is_docstring(token):
                new = _wrapped(new, left)
            if new != token.string:
                lines[top - 1 : bottom] = [lines[top - 1][:left] + new + lines[bottom - 1][right:]]
        return "".join(lines)

    def _token(self, token: tokenize.TokenInfo) -> str:
        text = token.string
        if token.type == tokenize.NAME:
            return self._packages[1] if text == self._packages[0] else self._class.sub(self._new, text, count=1)
        if token.type == tokenize.COMMENT or _is_docstring(token):
            return self._prose.sub(self._names[1], text)
        if token.type == tokenize.STRING:
            if text == f'"{self._names[0]}"':
                return f'"{self._names[1]}"'
            return re.sub(rf"\b{self._packages[0]}\b", self._packages[1], text)
        return text


def _read(package: str) -> dict[str, str]:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    found = [*folder.rglob("*.py"), *folder.glob("py.typed")]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def _module(name: str) -> str:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


def _game_class(source: str) -> str:
    (found,) = re.findall(r"^class (\w+)\(Game\):", source, re.M)
    return str(found)


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(text).readline))


def _is_docstring(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.STRING and token.string.startswith('"""')


def _wrapped(docstring: str, indent: int) -> str:
    """A docstring that begins at column `indent`, in lines that are short enough for a name longer than the old one."""
    done = []
    room = _WIDTH - indent
    for line in docstring.split("\n"):
        rest = line
        while len(rest) > room:
            at = rest.rindex(" ", 0, room + 1)
            done.append(rest[:at])
            rest, room = " " * indent + rest[at + 1 :], _WIDTH
        done.append(rest)
        room = _WIDTH
    return "\n".join(done)


def _sorted_imports(text: str, own: str) -> str:
    """`text` with the imports at its head in order, i2i's among those of others: here it is one of them."""
    statements = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    if not statements:
        return text
    lines = text.split("\n")
    sections: dict[int, list[tuple[bool, str, str]]] = {}
    for node in statements:
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        written = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        sections.setdefault(_section(module, own), []).append((isinstance(node, ast.ImportFrom), module, written))
    block = "\n\n".join("\n".join(each[2] for each in sorted(sections[number])) for number in sorted(sections))
    lines[statements[0].lineno - 1 : statements[-1].end_lineno] = block.split("\n")
    return "\n".join(lines)


def _section(module: str, own: str) -> int:
    top = module.partition(".")[0]
    if top == "__future__":
        return 0
    if top in sys.stdlib_module_names:
        return 1
    return 3 if top == own else 2
