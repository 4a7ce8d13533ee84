"""Check of a whole run: trained on drawn data, scored, exported with parity, and used where there is no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import torch
from torch import Tensor

from i2i.course import Course
from i2i.games.game import Batch, Export, NoiseExport
from i2i.testing.check import ConformanceError
from i2i.testing.networks import with_noise
from i2i.testing.subject import Scene, Subject
from i2i.training.best import load_best
from i2i.training.fault import called, exported
from i2i.training.observer import Observer
from i2i.training.run import Run

CLOSE: Final = 0.5 / 127.5  # half a level of 255
# Uses models in a process of its own, and fails where that has imported torch.
_DEPLOYED: Final = """
import sys
import numpy as np
import i2i
kind, *models = sys.argv[1:]
for model in models:
    if kind == "noise":
        made = i2i.load_generator(model, "cpu")(3)
    else:
        translator = i2i.load(model, "cpu")
        picture = np.random.default_rng(0).integers(0, 256, (37, 41, translator.description.channels_in), np.uint8)
        made = translator(picture)
    assert made.size, made.shape
found = {"torch", "onnx", "torchvision"} & set(sys.modules)
assert not found, f"imported {found}"
"""


def check_run(subject: Subject) -> None:
    """A run is trained, scored, exported with parity and used without torch; what is exported is what was scored."""
    scene = subject.plain
    _check_exports(scene)
    with TemporaryDirectory(dir=subject.folder) as folder:
        run = Run.create(Path(folder) / "run", subject.name)
        Course(subject.entry, subject.manifest, subject.configure(), Observer()).follow(run)
        facts = run.facts()
        if facts["state"] == "interrupted":
            raise KeyboardInterrupt
        _check_scored(scene, run)
        _use(facts["kind"], sorted(run.path.glob("model*.onnx")))


def _check_exports(scene: Scene) -> None:
    """Raises I2IError where nothing is exported, or what would never be given what it takes."""
    trainer = scene.trainer()
    batch = scene.batches(trainer)[0]
    place = f"{called(trainer.game)}.exports"
    for name, export in exported(trainer.game).items():
        if isinstance(export, NoiseExport):
            if export.noise != trainer.game.noise:
                raise ConformanceError(
                    f"{place}: {name} takes noise of {export.noise}, and the game's is {trainer.game.noise}",
                    "Set `noise` of the game to what its generators take.",
                )
        elif export.examples not in batch or batch[export.examples].shape[1] != export.channels_in:
            held = ", ".join(f"{key} of {tensor.shape[1]}" for key, tensor in batch.items() if tensor.dim() == 4)
            raise ConformanceError(
                f"{place}: {name} takes '{export.examples}' of {export.channels_in} channels, and a batch has {held}",
                "Say by `examples` and `channels_in` what it takes.",
            )


def _check_scored(scene: Scene, run: Run) -> None:
    """Raises ConformanceError where the first export makes other pictures than those that have been scored."""
    game = load_best(scene.build(), run)
    (name, export), *_ = exported(game).items()
    batch = with_noise(game, scene.batches(scene.train(scene.build()))[0])
    with torch.no_grad():
        scored = game.previews(batch)["output"]
        made = export.network(*_taken(export, batch))
    if scored.shape != made.shape or not torch.allclose(scored, made, atol=CLOSE):
        raise ConformanceError(
            f"{called(game)}: the export {name} makes other pictures than previews shows as output, which are scored",
            "Export first what previews shows; and find networks by self.generators each time, as averaged ones take "
            "their place.",
        )


def _taken(export: Export | NoiseExport, batch: Batch) -> tuple[Tensor, ...]:
    """What the network of an export is called with."""
    if isinstance(export, Export):
        return (batch[export.examples],)
    return (batch["noise"], batch["label"]) if export.classes else (batch["noise"],)


def _use(kind: str, models: Sequence[Path]) -> None:
    words = [sys.executable, "-c", _DEPLOYED, kind, *map(str, models)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, env=env)
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ConformanceError(
            f"the exported model cannot be used without torch: {last[0]}",
            "Look at `multiple` and `minimum` of the export: an image of any size is padded to them.",
        )
