"""Plugins: torch-free manifests found by entry point, listed without an import, loaded by name, broken one by one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, EntryPoint, distributions
from traceback import walk_tb
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from i2i.config import RunConfig
from i2i.errors import I2IError, PluginError, did_you_mean

if TYPE_CHECKING:
    from i2i.games.game import Game

GROUP = "i2i.plugins"
API_VERSION = 1
OWN: Final = "i2i"  # the distribution whose plugins are always there
ALLOWED: Final = "I2I_LOAD_PLUGINS"  # names of plugins and distributions, with commas between; unset: all
STRICT: Final = "I2I_STRICT_PLUGINS"  # 1: what goes wrong in a plugin is not caught

Kind = Literal["paired", "semantic", "unpaired", "upscaled", "images", "labelled"]
"""What data a game needs: what its batches hold, and by which protocol it is scored.

paired: `input` and `target`, which lie upon each other. semantic: the same, the input a label map in the colours
`data.classes`. unpaired: `input` and `target`, which have nothing to do with each other. upscaled: `input`, and
`target`, `data.scale` times as large. images: `target`. labelled: `target`, `label`.
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
    small: settings with which the networks are small and a step takes no time, for tests.
    distribution: what has brought it, with its version; a plugin that is loaded knows it, its author leaves it out.
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
    small: Mapping[str, object] = field(default_factory=dict)
    api_version: int = API_VERSION
    distribution: str = ""

    def build(self, config: RunConfig) -> Game:
        """The game that `config` describes, its networks freshly initialised; imports torch.

        Raises PluginError for whatever goes wrong in the plugin but an I2IError, which is the plugin's own word.
        """
        module, _, function = self.game.partition(":")
        try:
            with redirect_stdout(sys.stderr):  # where a command prints JSON, nobody else prints
                game = getattr(import_module(module), function)(config)
        except I2IError:
            raise
        except (Exception, SystemExit) as error:
            if strict():
                raise
            raise self._unbuilt(_cause(error, module)) from error
        for players in ("generators", "discriminators"):
            if not hasattr(game, players):
                raise self._unbuilt(f"what {self.game} gives, a {type(game).__name__}, has no `{players}`")
        return cast("Game", game)

    def check_game(self) -> None:
        """Raises PluginError where the module of `game` is not installed; imports nothing."""
        module = self.game.partition(":")[0]
        if not _installed(module):
            raise self._unbuilt(f"its game is {self.game}, and there is no module {module}")

    def _unbuilt(self, cause: str) -> PluginError:
        whose = f" of {self.distribution}" if self.distribution else ""
        return PluginError(
            f"plugin '{self.name}'{whose} cannot be built: {cause}",
            f"`i2i plugins check {self.name}` tells more; {STRICT}=1 shows the traceback.",
        )


@dataclass(frozen=True)
class Entry:
    """An installed plugin as its distribution registers it; nothing of it has been imported.

    fault: why it cannot be loaded, where that is known already.
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint = field(repr=False)
    fault: str = ""

    @property
    def refused(self) -> bool:
        """Whether I2I_LOAD_PLUGINS leaves it out."""
        said = os.environ.get(ALLOWED)
        if said is None or _plain(self.distribution) == OWN:
            return False
        allowed = {_plain(word) for word in said.split(",")}
        return allowed.isdisjoint(map(_plain, (self.name, self.distribution, f"{self.distribution}:{self.name}")))

    def load(self) -> Plugin:
        """Imports the manifest; raises PluginError, naming distribution and cause, for whatever goes wrong."""
        if self.refused:
            raise PluginError(
                f"plugin '{self.name}' of {self.distribution} {self.version} is not loaded: "
                f"{ALLOWED} is '{os.environ[ALLOWED]}'",
                f"Name it there, too, with a comma between, or unset {ALLOWED}.",
            )
        if self.fault:
            raise self._broken(self.fault)
        try:
            with redirect_stdout(sys.stderr):  # as in building
                loaded = self.entry_point.load()
        except BaseException as error:  # a plugin may raise anything, SystemExit included
            if strict() or isinstance(error, KeyboardInterrupt):
                raise
            raise self._broken(_cause(error, self.entry_point.value)) from error
        if not isinstance(loaded, Plugin):
            raise self._broken(f"{self.entry_point.value} is a {type(loaded).__name__}, not an i2i.plugin.Plugin")
        if (fault := _fault(loaded, self.name)) is not None:
            raise self._broken(fault)
        return replace(loaded, distribution=f"{self.distribution} {self.version}")

    def _broken(self, cause: str) -> PluginError:
        return PluginError(
            f"plugin '{self.name}' of {self.distribution} {self.version} does not load: {cause}",
            f"Update it, or remove it: pip uninstall {self.distribution}",
        )


def catalogue() -> list[Entry]:
    """Every installed plugin, sorted by name and distribution, without importing any."""
    found: dict[str, list[Entry]] = {}
    for distribution in distributions():
        if entries := list(_entries(distribution)):
            found.setdefault(_plain(entries[0].distribution), entries)  # the first on the path, as in imports
    return sorted((entry for entries in found.values() for entry in entries), key=lambda e: (e.name, e.distribution))


def find(name: str, entries: Sequence[Entry] | None = None, *, prefer: str | None = None) -> Entry:
    """The one plugin called `name`, or `distribution:name` where two share it; raises PluginError.

    prefer: the distribution whose plugin is meant by a name that another one has too.
    """
    entries = catalogue() if entries is None else entries
    distribution, colon, plain = name.rpartition(":")
    matching = [e for e in entries if e.name == plain and (not colon or e.distribution == distribution)]
    if not matching:
        known = sorted({entry.name for entry in entries})
        raise PluginError(
            f"no plugin is called '{name}'{did_you_mean(plain, known)}",
            f"Installed: {', '.join(known) or 'none'}. `i2i plugins` tells more.",
        )
    matching = [entry for entry in matching if not entry.refused] or matching
    matching = [entry for entry in matching if entry.distribution == prefer] or matching
    if len(matching) > 1:
        names = " and ".join(f"{entry.distribution} {entry.version}" for entry in matching)
        raise PluginError(
            f"two distributions have a plugin called '{plain}': {names}",
            f"Say which: {' or '.join(f'{entry.distribution}:{plain}' for entry in matching)}; "
            f"or name in {ALLOWED} those to load.",
        )
    return matching[0]


def load(name: str) -> Plugin:
    """The manifest of the plugin called `name`; raises PluginError."""
    return find(name).load()


def _entries(distribution: Distribution) -> Iterator[Entry]:
    """The plugins of a distribution; what is broken in one of all that are installed harms none of the others."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except (OSError, ValueError):
        return
    if GROUP not in text:
        return
    try:
        label = str(distribution.metadata["Name"]), distribution.version
    except Exception:  # a folder that an interrupted installation has left, as a rule
        label = "?", "?"
    try:
        points = list(distribution.entry_points.select(group=GROUP))
    except Exception as error:
        unread = EntryPoint("?", "", GROUP)
        yield Entry("?", *label, unread, f"its entry points cannot be read: {error}")
        return
    for point in points:
        yield Entry(point.name, *label, point)


def innermost(error: BaseException, package: str) -> tuple[str, int] | None:
    """File and line of the innermost code of `package` that the exception went through, if any."""
    found = None
    for frame, line in walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
            found = frame.f_code.co_filename, line
    return found


def _fault(manifest: Plugin, name: str) -> str | None:
    """What is wrong with a manifest that its entry point calls `name`."""
    if manifest.api_version != API_VERSION:
        return f"it is written for plugin API {manifest.api_version}, this i2i has {API_VERSION}"
    if manifest.name != name:
        return f"its manifest calls it '{manifest.name}', its entry point '{name}'"
    if manifest.kind not in get_args(Kind):
        return f"its kind is '{manifest.kind}', not one of {', '.join(get_args(Kind))}"
    if not (isinstance(manifest.config, type) and issubclass(manifest.config, RunConfig)):
        return f"its config is {manifest.config!r}, not a class derived from i2i.config.RunConfig"
    if not (isinstance(manifest.game, str) and re.fullmatch(r"[\w.]+:\w+", manifest.game)):
        return f"its game is {manifest.game!r}, not 'package.module:function'"
    return None


def _cause(error: BaseException, module: str) -> str:
    """What went wrong, and where in the package of `module`."""
    found = innermost(error, re.split(r"[.:]", module)[0])
    place = "" if found is None else f" ({found[0]}:{found[1]})"
    return f"{type(error).__name__}: {error}{place}"


def _installed(module: str) -> bool:
    """Whether there is such a module, found without importing it or the packages that it is in."""
    path: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        if name in sys.modules:
            path = getattr(sys.modules[name], "__path__", ())
            continue
        spec: ModuleSpec | None = None
        for finder in sys.meta_path:
            if (spec := finder.find_spec(name, path)) is not None:
                break
        if spec is None:
            return False
        path = spec.submodule_search_locations or ()
    return True


def _plain(distribution: str) -> str:
    """A name in the one spelling that packaging compares."""
    return re.sub(r"[-_.]+", "-", distribution).strip().lower()


def strict() -> bool:
    """Whether what goes wrong in a plugin is to be raised as it is."""
    return os.environ.get(STRICT) == "1"
