"""YAML and options laid over the defaults of the sections, and back to YAML.

Every mistake is reported at once, each with the place it was written and the nearest key that exists.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from i2i.config.sections import RunConfig
from i2i.errors import ConfigError, did_you_mean

Config = TypeVar("Config", bound=RunConfig)
Tree = Mapping[str, Any]
_MOST: Final = 10_000  # keys in a mapping; of a short file, all keys and values with what its aliases stand for


@dataclass(frozen=True)
class Layer:
    """A part of a configuration and where it was written; later layers win."""

    origin: str
    tree: Tree


def read_yaml(path: Path) -> Layer:
    """The layer in a YAML file; raises ConfigError where it cannot be read or is no mapping."""
    try:
        tree = _parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", "Give the path of a YAML file.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: holds a {type(tree).__name__}, not a mapping of keys to values")
    return Layer(str(path), tree)


def parse_assignment(text: str) -> Layer:
    """The layer of one `a.b=value`, its value read as YAML; raises ConfigError where it is no assignment."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {text}: not of the form key=value", "For example: --set trainer.steps=1000")
    try:
        tree = _parse(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text}: the value is not valid YAML") from error
    for part in reversed(parts):
        tree = {part: tree}
    assert isinstance(tree, dict)
    return Layer("--set", tree)


def resolve(model: type[Config], layers: Sequence[Layer]) -> Config:
    """Lays `layers` over the defaults of `model`; raises one ConfigError that names every mistake and its place."""
    merged: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    for layer in layers:
        _lay(merged, layer.tree, layer.origin, origins, ())
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        lines = [_line(model, detail, origins) for detail in error.errors(include_url=False)]
        raise ConfigError(
            "\n".join(lines), "`i2i train PLUGIN --print-config` lists every key with its default."
        ) from None


def dump(config: RunConfig) -> str:
    """The configuration as YAML that `resolve` reads back, each key with what it means."""
    return "\n".join(_yaml_lines(config, 0)) + "\n"


def _parse(text: str) -> object:
    """What a YAML text holds; raises YAMLError also for what PyYAML stumbles over: no date, no end, no bottom."""
    try:
        tree: object = yaml.load(text, _UniqueKeyLoader)
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error
    most = max(_MOST, len(text))  # each that is written out takes a character
    waiting, seen = [tree], 0
    while waiting:
        match waiting.pop():
            case dict() as below:
                waiting.extend(below.values())
            case list() | tuple() as below:
                waiting.extend(below)
        seen += 1
        if seen > most:  # of few lines, where an alias is used again and again, or within what it stands for
            raise yaml.YAMLError(f"more than {most:,} keys and values")
    return tree


def _lay(
    onto: dict[str, Any], tree: Tree, origin: str, origins: dict[tuple[str, ...], str], at: tuple[str, ...]
) -> None:
    for raw, value in tree.items():
        key = str(raw)
        origins[*at, key] = origin
        if isinstance(value, Mapping):
            below = onto.get(key)
            onto[key] = dict(below) if isinstance(below, dict) else {}
            _lay(onto[key], value, origin, origins, (*at, key))
        else:
            onto[key] = value


def _line(model: type[BaseModel], detail: ErrorDetails, origins: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in detail["loc"])
    origin = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), "configuration")
    where = f"{origin}: {'.'.join(path)}" if path else origin
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return f"{where}: unknown key{did_you_mean(path[-1], known) or _elsewhere(model, path[-1])}"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if detail["type"] == "missing" or isinstance(detail["input"], Mapping):
        return f"{where}: {message}"
    guess = ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        guess = did_you_mean(detail["input"], _choices_at(model, path))
    return f"{where}: {message}, not {detail['input']!r}{guess}"


def _keys_at(model: type[BaseModel], path: Sequence[str]) -> Iterator[str]:
    section = _section_at(model, path)
    if section is not None:
        yield from section.model_fields


def _section_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    here: type[BaseModel] = model
    for part in path:
        field = here.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        here = field.annotation
    return here


def _choices_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    section = _section_at(model, path[:-1])
    field = section.model_fields.get(path[-1]) if section else None
    return [str(choice) for choice in get_args(field.annotation)] if field else []


def _elsewhere(model: type[BaseModel], key: str) -> str:
    """For a key that stands in the wrong section: where it belongs."""
    for path, known in _all_keys(model, ()):
        if known == key:
            return f", did you mean '{'.'.join((*path, known))}'?"
    return ""


def _all_keys(model: type[BaseModel], at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in model.model_fields:
        yield at, name
        below = _section_at(model, [name])
        if below is not None:
            yield from _all_keys(below, (*at, name))


def _yaml_lines(section: BaseModel, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        comment = f"  # {' '.join(field.description.split())}" if field.description else ""
        if isinstance(value, BaseModel) and type(value).model_fields:
            yield f"{indent}{name}:{comment}"
            yield from _yaml_lines(value, depth + 1)
        else:
            plain = section.model_dump(mode="json", include={name})[name]
            yield f"{indent}{name}: {_scalar(plain)}{comment}"


def _scalar(value: object) -> str:
    """One line of YAML; what a terminal could not show is escaped, or it would break the line."""
    printable = str(value).isprintable()
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=printable)
    return text.removesuffix("...\n").strip(" \n")


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which otherwise takes the last of two equal keys in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if len(node.value) > _MOST:
            raise yaml.constructor.ConstructorError(None, None, f"more than {_MOST:,} keys", node.start_mark)
        seen = set()
        for key in (self.construct_object(key, deep=True) for key, _ in node.value):
            if not isinstance(key, Hashable):
                continue  # PyYAML says so
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
