"""Plugins: torch-free manifests found by entry point, listed without an import, loaded by name, broken one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Literal, cast

from i2i.config import RunConfig
from i2i.errors import PluginError, did_you_mean

if TYPE_CHECKING:
    from i2i.games.game import Game

GROUP = "i2i.plugins"
API_VERSION = 1

Kind = Literal["paired", "unpaired", "upscaled", "images", "labelled"]
"""What data a game needs: what its batches hold, and by which protocol it is scored.

paired: `input` and `target`, which lie upon each other. unpaired: `input` and `target`, which have nothing to do with
each other. upscaled: `input`, and `target`, `data.scale` times as large. images: `target`. labelled: `target`, `label`.
"""

Stages = Callable[[RunConfig], Mapping[str, RunConfig]]
"""From the config of a run to those of its stages, in their order; each starts from what the one before has learned."""


@dataclass(frozen=True)
class Plugin:
    """The manifest of an architecture; the module that holds it imports no torch.

    game: `"package.module:function"`; the function takes the resolved config and returns the game.
    presets: what a first run needs on a `"cpu"` and on a `"cuda"` device; anything that the user says goes before it.
    example: the embedded data that is taken where no other is named, as `data.source`, and what suits it alone.
    stages: where a run is several trainings; the last one is the run itself, the others are runs inside it.
    """

    name: str
    summary: str
    paper: str
    kind: Kind
    config: type[RunConfig]
    game: str
    presets: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    example: Mapping[str, object] = field(default_factory=dict)
    stages: Stages | None = None
    api_version: int = API_VERSION

    def build(self, config: RunConfig) -> Game:
        """The game that `config` describes, its networks freshly initialised; imports torch."""
        module, _, function = self.game.partition(":")
        return cast("Game", getattr(import_module(module), function)(config))


@dataclass(frozen=True)
class Entry:
    """An installed plugin as its distribution registers it; nothing of it has been imported."""

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint = field(repr=False)

    def load(self) -> Plugin:
        """Imports the manifest; raises PluginError, naming distribution and cause, for whatever goes wrong."""
        try:
            loaded = self.entry_point.load()
        except BaseException as error:  # a plugin may raise anything, SystemExit included
            if os.environ.get("I2I_STRICT_PLUGINS") == "1" or isinstance(error, KeyboardInterrupt):
                raise
            raise self._broken(f"{type(error).__name__}: {error}") from error
        if not isinstance(loaded, Plugin):
            raise self._broken(f"{self.entry_point.value} is a {type(loaded).__name__}, not an i2i.plugin.Plugin")
        if loaded.api_version != API_VERSION:
            raise self._broken(f"it is written for plugin API {loaded.api_version}, this i2i has {API_VERSION}")
        if loaded.name != self.name:
            raise self._broken(f"its manifest calls it '{loaded.name}', its entry point '{self.name}'")
        return loaded

    def _broken(self, cause: str) -> PluginError:
        return PluginError(
            f"plugin '{self.name}' of {self.distribution} {self.version} does not load: {cause}",
            f"Update it, or remove it: pip uninstall {self.distribution}",
        )


def catalogue() -> list[Entry]:
    """Every installed plugin, sorted by name and distribution, without importing any."""
    found = [
        Entry(point.name, point.dist.name if point.dist else "?", point.dist.version if point.dist else "?", point)
        for point in entry_points(group=GROUP)
    ]
    return sorted(set(found), key=lambda entry: (entry.name, entry.distribution))


def find(name: str, entries: Sequence[Entry] | None = None) -> Entry:
    """The one plugin called `name`, or `distribution:name` where two share it; raises PluginError."""
    entries = catalogue() if entries is None else entries
    distribution, colon, plain = name.rpartition(":")
    matching = [e for e in entries if e.name == plain and (not colon or e.distribution == distribution)]
    if not matching:
        known = sorted({entry.name for entry in entries})
        raise PluginError(
            f"no plugin is called '{name}'{did_you_mean(plain, known)}",
            f"Installed: {', '.join(known) or 'none'}. `i2i plugins` tells more.",
        )
    if len(matching) > 1:
        names = " and ".join(f"{entry.distribution} {entry.version}" for entry in matching)
        raise PluginError(
            f"two distributions have a plugin called '{plain}': {names}",
            f"Say which: {' or '.join(f'{entry.distribution}:{plain}' for entry in matching)}",
        )
    return matching[0]


def load(name: str) -> Plugin:
    """The manifest of the plugin called `name`; raises PluginError."""
    return find(name).load()
