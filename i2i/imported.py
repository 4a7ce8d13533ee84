"""Checkpoints of other projects as models, as runs, and as weights to begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from i2i import images
from i2i import plugin as plugins
from i2i.artifact import Description
from i2i.config import Layer, RunConfig, dump, resolve
from i2i.errors import CheckpointError, ImageError, RunError
from i2i.files import replacing, write_text
from i2i.foreign.layout import Asked
from i2i.foreign.matching import recognise
from i2i.foreign.reading import read
from i2i.foreign.translation import PROJECT
from i2i.games.game import Export, Game, owner
from i2i.images import Pixels
from i2i.nn.lab import Colouring
from i2i.plugin import Entry
from i2i.training import checkpoint as checkpoints
from i2i.training.average import Average
from i2i.training.checkpoint import Best
from i2i.training.fault import exported
from i2i.training.run import Run
from i2i.training.start import SUFFIX, save_start
from i2i_export.cases import longest
from i2i_export.run import Artifact, artifact, write, write_models

MODEL = ".onnx"
_SIDE = 128  # pixels along the side of what network and model are compared on, once it is translated
_DRAWN = 4  # pictures, where there are no real ones
_MOST = 32  # real ones
_LAB = "makes a and b of CIELAB for L, as --model colorization: the model takes and gives RGB"


@dataclass(frozen=True)
class Adopted:
    """A checkpoint in its place in a game of ours.

    names: of the exports that it has weights for. colours: whether the network makes those of CIELAB for lightness.
    notes: what was assumed or left out, a sentence each.
    """

    entry: Entry
    config: RunConfig
    settings: Mapping[str, Any]
    game: Game
    names: Sequence[str]
    asked: Asked
    colours: bool
    source: str
    notes: Sequence[str]

    def weights(self) -> dict[str, Tensor]:
        """The tensors of the generators that are there, by their names in the game."""
        exports = exported(self.game)
        own = {owner(self.game, exports[name]) for name in self.names}
        every = self.game.generators.state_dict()
        return {name: tensor for name, tensor in every.items() if name.partition(".")[0] in own}

    def exports(self, game: Game) -> dict[str, Export]:
        """The exports of `game` that there are weights for, as functions of RGB where the network is of CIELAB."""
        found = {}
        for name, export in exported(game).items():
            if name in self.names and isinstance(export, Export):
                rgb = replace(export, network=Colouring(export.network), channels_in=3, channels_out=3)
                found[name] = rgb if self.colours else export
        return found

    def artifacts(self, pictures: Mapping[str, Sequence[Pixels]]) -> list[Artifact]:
        """A model of each export, compared with its network on its `pictures`; raises ExportError."""
        made = []
        for name, export in self.exports(Average(self.game, 0).game).items():
            described = {
                "plugin": self.config.plugin,
                "plugin_version": self.entry.version,
                "direction": name if len(self.names) > 1 else self.asked.direction or "",
                "trained_size": self.config.data.size,
                "training": "; ".join([self.source, *self.notes]),
            }
            key = "" if name == self.names[0] else name
            made.append(artifact(key, export, self.game, pictures[name], described))
        return made

    def save(self, path: Path) -> None:
        """Writes the weights as a file that `i2i train --init` takes."""
        save_start(path, self.config.plugin, self.settings, self.weights())

    def make_run(
        self, path: Path, made: Sequence[Artifact], pictures: Mapping[str, Sequence[Pixels]], *, real: bool
    ) -> dict[Path, Description]:
        """Makes a finished run of the models, whole or not at all; returns these by file; raises I2IError.

        pictures: its examples; real: whether they are of the kind that is to be translated.
        """
        with replacing(path) as aside:
            run = Run.create(aside, self.config.plugin)
            write_text(run.config, dump(self.config.model_copy(update={"device": "auto"})))
            deployed = Average(self.game, 0).game.generators.state_dict()
            kept = {name: deployed[name] for name in self.weights() if name in deployed}
            checkpoints.save_averaged(kept, Best(0, "imported", 0.0), run.checkpoints)
            for each in made:
                folder = run.examples_for(each.key)
                folder.mkdir(parents=True, exist_ok=True)
                for number, picture in enumerate(pictures[each.key or self.names[0]]):
                    images.write(images.from_pixels(picture), folder / f"{number}.png")
            described = write_models(run, made)
            facts = {
                "from": "; ".join([self.source, *self.notes]),
                "exports": list(self.names),
                "direction": self.asked.direction or "",
                "settings": self.settings,
                "examples": real,
            }
            run.note(distribution=self.entry.distribution, imported=facts, notes=list(self.notes))
            run.finish("finished", step=0, kind="image")
        return {path / file.name: description for file, description in described.items()}


@dataclass(frozen=True)
class Imported:
    """What `i2i import` has written.

    source: what it was made of, in words; notes: what was assumed or left out; models: with what each says of itself.
    """

    plugin: str
    source: str
    notes: Sequence[str]
    models: Mapping[Path, Description]
    weights: Path | None
    run: Path | None


def adopt(path: Path, asked: Asked, back: Path | None = None) -> Adopted:
    """The checkpoint in `path`, and for a game of two directions the one of the way back, as generators of a game.

    Raises CheckpointError where a file is damaged, hostile, or of no architecture that is known here.
    """
    found = recognise(read(path), asked, path)
    layout = found.layout
    if asked.plugin not in (None, layout.plugin):
        raise CheckpointError(
            f"{path}: {layout.name} is a network of {layout.plugin}, not of {asked.plugin}", "Leave out --plugin."
        )
    entry = plugins.find(layout.plugin, prefer=plugins.OWN)
    manifest = entry.load()
    options = {"device": "cpu", "plugin": layout.plugin}
    direction = {"data": {"direction": asked.direction}} if asked.direction is not None else {}
    config = resolve(
        manifest.config, [Layer(str(path), layout.settings), Layer("--direction", direction), Layer("", options)]
    )
    settings = {**layout.settings, "data": {**layout.settings.get("data", {}), **direction.get("data", {})}}
    game = manifest.build(config)
    given = {name: export for name, export in exported(game).items() if isinstance(export, Export)}
    names = list(given)[: 1 if back is None else 2]
    each = [found]
    if back is not None:
        if len(given) < 2:
            raise CheckpointError(f"{layout.plugin} has no way back", "Leave out --back.")
        other = recognise(read(back), replace(asked, direction="BtoA" if names[0] == "AtoB" else "AtoB"), back)
        if _turned(other.layout.settings) != _turned(_turned(layout.settings)):
            raise CheckpointError(f"{back}: another network than {path}", "Import each by itself.")
        each.append(other)
    for name, one in zip(names, each, strict=True):
        try:
            given[name].network.load_state_dict(dict(one.weights))
        except RuntimeError as error:  # its settings make another network than its tensors are of
            raise CheckpointError(f"{path}: {layout.name} does not fit {layout.plugin}: {error}") from error
    channels = config.data.input_channels, config.data.target_channels
    colours = channels == (1, 2) and layout.project == PROJECT  # nothing else there makes two channels of one
    notes = list(dict.fromkeys([note for one in each for note in one.layout.notes] + [_LAB] * colours))
    named = " and ".join(file.name for file in (path, back) if file is not None)
    source = f"imported from {named}: {layout.name} of {layout.project}"
    return Adopted(entry, config, settings, game, names, asked, colours, source, notes)


def bring_in(adopted: Adopted, *, out: Path | None, run: Path | None, examples: Path | None) -> Imported:
    """Writes what is asked for: `out`, a model or weights by its suffix, and a `run`; raises I2IError."""
    if out is not None and out.suffix not in (MODEL, SUFFIX):
        raise CheckpointError(f"{out}: neither a model nor weights", f"Call it NAME{MODEL} or NAME{SUFFIX}.")
    if adopted.colours and (run is not None or out is None or out.suffix == SUFFIX):
        raise CheckpointError(
            "a network that makes the colours of CIELAB can be used, but not gone on with: no data here is of CIELAB",
            "Make a model of it: -o model.onnx.",
        )
    if run is not None:
        refuse_taken(run)
        if out is not None and out.resolve().is_relative_to(run.resolve()):
            raise RunError(f"{out}: lies in the run that is to be made", "Leave out -o: a run holds its model.")
    models: dict[Path, Description] = {}
    if run is not None or (out is not None and out.suffix == MODEL):
        shown = pictures(adopted, examples)
        made = adopted.artifacts(shown)
        if out is not None and out.suffix == MODEL:
            models |= write({out.with_suffix(f".{each.key}{MODEL}") if each.key else out: each for each in made})
        if run is not None:
            models |= adopted.make_run(run, made, shown, real=examples is not None)
    weights = None
    if out is not None and out.suffix == SUFFIX:
        adopted.save(out)
        weights = out
    return Imported(adopted.config.plugin, adopted.source, adopted.notes, models, weights, run)


def refuse_taken(path: Path) -> None:
    """Raises RunError where no run can be made because something else is there."""
    if path.exists() and (path.is_file() or any(path.iterdir())):
        raise RunError(f"{path}: is there already", "Choose another folder with --run.")


def pictures(adopted: Adopted, folder: Path | None) -> dict[str, list[Pixels]]:
    """What to compare network and model on: images of `folder`, or drawn ones, for each export; raises ImageError."""
    found: list[Path] = []
    if folder is not None:
        found = list(images.find(folder)) if folder.is_dir() else []
        if not found:
            raise ImageError(f"{folder}: no folder with images", "Give one with images that the model is to translate.")
    chosen = found[:: -(-len(found) // _MOST) or 1]
    made = {}
    for name, export in adopted.exports(adopted.game).items():
        side = longest(export, _SIDE)
        if chosen:
            made[name] = [_fitted(path, side, export.channels_in) for path in chosen]
        else:
            made[name] = [_drawn(number, side, export.channels_in) for number in range(_DRAWN)]
    return made


def _fitted(path: Path, side: int, channels: int) -> Pixels:
    """The middle square of a picture, `[side, side, channels]`; raises ImageError."""
    picture = images.to_pixels(images.read(path), channels)
    whole = min(picture.shape[:2])
    top, left = ((extent - whole) // 2 for extent in picture.shape[:2])
    return images.resize(picture[top : top + whole, left : left + whole], side, side)


def _drawn(number: int, side: int, channels: int) -> Pixels:
    """A cloudy picture with a box in it: large shapes, small ones, and an edge."""
    random = np.random.default_rng(number)
    picture = np.zeros((side, side, channels))
    for octave in range(5):
        coarse = random.integers(0, 256, (2**octave + 1, 2**octave + 1, channels), dtype=np.uint8)
        picture += images.resize(coarse, side, side).astype(float) / 2**octave
    picture *= 255 / picture.max()
    top, left, tall, wide = random.integers(0, side // 2, 4)
    picture[top : top + tall, left : left + wide] = random.integers(0, 256, channels)
    return picture.astype(np.uint8)


def _turned(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the way back: what was given is made."""
    data = {key: value for key, value in settings.get("data", {}).items() if key != "direction"}
    channels = {"input_channels": data.get("target_channels", 3), "target_channels": data.get("input_channels", 3)}
    return {**settings, "data": {**data, **channels}}
