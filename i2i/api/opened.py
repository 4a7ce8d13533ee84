"""A run as the functions need it: its plugin, and its configuration as it stands in its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from i2i import plugin as plugins
from i2i.config import Layer, RunConfig, read_yaml, resolve
from i2i.training.run import Run

if TYPE_CHECKING:
    from i2i.plugin import Entry, Plugin


def open_run(path: str | Path, *layers: Layer) -> tuple[Run, Entry, Plugin, RunConfig]:
    """The run at `path`, who has made its plugin, the plugin, and the run's configuration with `layers` upon it.

    Raises RunError, PluginError or ConfigError.
    """
    run = Run.open(Path(path))
    facts = run.facts()
    entry = plugins.find(str(facts["plugin"]), prefer=facts.get("distribution"))
    manifest = entry.load()
    return run, entry, manifest, resolve(manifest.config, [read_yaml(run.config), *layers])
