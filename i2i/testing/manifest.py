"""Checks of what a plugin says before anything of it is built: manifest and configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from i2i.config import Layer, RunConfig, dump, resolve
from i2i.data import EMBEDDED
from i2i.plugin import Plugin
from i2i.testing.check import ConformanceError
from i2i.testing.subject import Subject

HEAVY: Final = ("torch", "torchvision", "onnx", "albumentations")
DEVICES: Final = ("cpu", "cuda")
# Loads a manifest in a process of its own; in the last line that it prints, which heavy module has been imported first,
# and where in the plugin. To look for a module is not to import it.
_PROBE: Final = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in heavy:
            sought.pop(name, None)
            frame, where = sys._getframe(1), "?"
            while frame is not None:
                if frame.f_globals.get("__name__", "").partition(".")[0] == package:
                    where = f"{frame.f_globals['__name__']}, line {frame.f_lineno}"
                    break
                frame = frame.f_back
            sought[name] = where

sought = {}
from i2i import plugin
name, package, *heavy = sys.argv[1:]
sys.meta_path.insert(0, Watch())
plugin.find(name).load()
found = [f"{module} ({where})" for module, where in sought.items() if module in sys.modules]
print("", *found[:1], sep="\\n")
"""


def check_manifest(subject: Subject) -> None:
    """The manifest is complete, and importing it imports nothing that is slow."""
    manifest = subject.manifest
    if not manifest.summary.strip() or "\n" in manifest.summary:
        raise ConformanceError("summary: not one line", "Say in one line what the architecture is, for `i2i plugins`.")
    imported = _imported(subject)
    if imported:
        raise ConformanceError(
            f"loading the manifest imports {imported}",
            "Listing plugins has to be quick: name the game as 'package.module:function', and import torch there.",
        )


def _imported(subject: Subject) -> str:
    words = [sys.executable, "-c", _PROBE, subject.name, subject.package, *HEAVY]
    paths = os.pathsep.join(path for path in sys.path if path)
    ended = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths}, timeout=120
    )
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ConformanceError(
            f"the manifest does not load in a fresh interpreter: {last[0]}",
            "Import all that the manifest needs in the module that holds it.",
        )
    return "".join(ended.stdout.splitlines()[-1:])


def check_settings(subject: Subject) -> None:
    """Defaults, presets, `example` and `small` are valid, and survive a file."""
    manifest = subject.manifest
    for name, layers in _told(manifest).items():
        config = resolve(manifest.config, [*layers, Layer("plugin", {"plugin": manifest.name})])
        _survives(manifest, name, config)
    unknown = sorted(manifest.presets.keys() - set(DEVICES))
    if unknown:
        raise ConformanceError(
            f"presets['{unknown[0]}']: never used, as there is no such kind of device", "Presets are for cpu and cuda."
        )
    source = _source(manifest.example)
    if source in EMBEDDED and manifest.kind not in EMBEDDED[source].kinds:
        fitting = [each.name for each in EMBEDDED.values() if manifest.kind in each.kinds]
        raise ConformanceError(
            f"example: the embedded set {source} has no {manifest.kind} data",
            f"Embedded sets of {manifest.kind} data: {', '.join(fitting) or 'none'}.",
        )
    subject.configure()


def _told(manifest: Plugin) -> dict[str, list[Layer]]:
    """What a run can be told before a user says anything."""
    presets = {f"presets['{device}']": tree for device, tree in manifest.presets.items()}
    trees = {**presets, "example": manifest.example, "small": manifest.small}
    return {"the defaults": [], **{name: [Layer(name, tree)] for name, tree in trees.items()}}


def _survives(manifest: Plugin, name: str, config: RunConfig) -> None:
    """Raises ConformanceError where `config` is not what is read back from the file that is written of it."""
    read = resolve(manifest.config, [Layer("YAML", yaml.safe_load(dump(config)))])
    changed = sorted(_differing(config.model_dump(), read.model_dump()))
    if changed:
        raise ConformanceError(
            f"{name}: {', '.join(changed)}: not the same when read back from YAML, so no run could be resumed",
            "Use types that pydantic writes and reads: numbers, text, tuples, Literal, sections of them.",
        )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for key in one.keys() | other.keys():
        mine, theirs = one.get(key), other.get(key)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            yield from _differing(mine, theirs, f"{at}{key}.")
        elif mine != theirs:
            yield at + key


def _source(example: Mapping[str, object]) -> str:
    data = example.get("data")
    return str(data.get("source", "")) if isinstance(data, Mapping) else ""
