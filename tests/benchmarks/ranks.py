"""How far the weights of several processes come apart from those of one, with the same global batch.

    python tests/benchmarks/ranks.py                    every plugin, two and four processes, double precision
    python tests/benchmarks/ranks.py pix2pix --ranks 2 --precision float32

Each plugin plays its small networks on drawn data, as it is and with everything on that ties the images of a batch
together. The figure is the largest difference of a weight from one process's, over the largest weight of its tensor, or
over what Adam can move one by in that time, where that is more: a bias before an instance norm, whose gradient is 0 but
for rounding, stays far below.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i import plugin as plugins
from i2i.config import RunConfig
from i2i.course import stages
from i2i.data import Loader, Splits
from i2i.testing.subject import Subject
from i2i.training.batches import prepare
from i2i.training.session import with_classes
from i2i.training.trainer import Trainer
from i2i.training.world import ALONE, World, joined

PLAIN: Mapping[str, Any] = {"trainer": {"batch": 8}}
PENALTY = {"weight": 1.0, "interval": 3}
EVERYTHING: Mapping[str, Any] = {
    "trainer": {"batch": 8, "accumulate": 2, "k": 2, "pool": 3},
    "objective": {"gradient_penalty": PENALTY, "r1": PENALTY, "r2": PENALTY},
    "stability": {
        "instance_noise": 0.1,
        "augment": {"colour": True, "translation": True, "cutout": True, "probability": 0.5},
    },
}
MOVED = 20 * 2e-4  # steps of Adam
# At its own rate this small game multiplies by ten a step what one rounding of a weight changes.
CALM: Mapping[str, Any] = {"cyclegan": {"trainer": {"lr": 5e-5}}}
SETTINGS = {"plain": PLAIN, "everything": EVERYTHING}
# What in a game draws or mixes, where a plugin's small settings leave it out.
BESIDE: Mapping[str, Any] = {
    "dcgan": {"game": {"architecture": "mlp"}, "data": {"size": 16}},
    "cut": {"game": {"flip": True}},
    "cyclegan": {"game": {"translation_noise": 0.1, "norm": "batch"}},
    "pix2pix": {"game": {"dropout": 0.5, "dropout_blocks": 2}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("plugins", nargs="*", default=sorted(entry.name for entry in plugins.catalogue()))
    parser.add_argument("--ranks", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", choices=["float64", "float32"], default="float64")
    parser.add_argument("--settings", choices=SETTINGS, nargs="*", default=list(SETTINGS))
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)  # what is started by this script itself
    asked = parser.parse_args()
    if asked.into is not None:
        with joined("cpu") as world:
            play(asked, world)
        return
    with TemporaryDirectory() as folder:
        asked.into = Path(folder) / "1"
        asked.into.mkdir()
        play(asked, ALONE)
        for ranks in asked.ranks:
            start(asked, ranks, Path(folder) / str(ranks))
        found = {ranks: compare(Path(folder) / "1", Path(folder) / str(ranks)) for ranks in asked.ranks}
    for ranks, figures in found.items():
        for name, apart in figures.items():
            largest = max(apart, key=lambda tensor: apart[tensor])
            print(f"{ranks} processes  {name:24} {apart[largest]:.1e}  in {largest}")
            above = {tensor: value for tensor, value in apart.items() if value > 1e-5}
            for tensor, value in above.items():
                print(f"{'':14}{value:.1e}  {tensor}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(found))


def start(asked: argparse.Namespace, ranks: int, into: Path) -> None:
    """Plays all that is asked for in so many processes, which leave weights in `into`."""
    into.mkdir()
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    options = ["--steps", str(asked.steps), "--precision", asked.precision, "--settings", *asked.settings]
    subprocess.run(
        [sys.executable, *torchrun, __file__, *asked.plugins, *options, "--into", str(into)],
        env={"OMP_NUM_THREADS": "1", **os.environ},
        check=True,
    )


def play(asked: argparse.Namespace, world: World) -> None:
    """Plays every training that is asked for, and saves its weights."""
    for plugin in asked.plugins:
        for settings in asked.settings:
            for stage, config, splits in trainings(plugin, settings, asked.steps, asked.precision):
                torch.manual_seed(config.seed)
                game = plugins.load(plugin).build(config)
                trainer = Trainer(
                    game, config.objective, config.trainer, torch.device("cpu"), config.stability, world=world
                )
                steps(trainer, config, splits, world)
                if world.first:
                    weights = {name: value.contiguous() for name, value in trainer.game.state_dict().items()}
                    weights["random"] = torch.get_rng_state()
                    save_file(weights, asked.into / f"{plugin}{stage and f' {stage}'}, {settings}.safetensors")


def trainings(plugin: str, settings: str, steps: int, precision: str) -> Iterator[tuple[str, RunConfig, Splits]]:
    """The trainings of a run, each with the name of its stage and its data."""
    wanted = {"trainer": {"steps": steps, "precision": precision}}
    calm = CALM.get(plugin, {})
    tree = [
        SETTINGS[settings],
        wanted,
        calm,
        *([BESIDE[plugin]] if settings == "everything" and plugin in BESIDE else []),
    ]
    subject = Subject(plugin)
    splits = subject.scene(*tree).splits
    for name, config in stages(subject.manifest, subject.configure(*tree)).items():
        yield name, with_classes(config, splits), splits


def steps(trainer: Trainer, config: RunConfig, splits: Splits, world: World) -> None:
    timing = config.trainer
    loader = Loader(
        splits.train,
        batch=timing.batch,
        seed=config.seed,
        threads=0,
        parts=timing.accumulate,
        rank=world.rank,
        size=world.size,
    )
    with loader.read() as batches:
        while trainer.step < timing.steps:
            raw = [next(batches) for _ in range(timing.k * timing.accumulate)]
            trainer.play([prepare(each, trainer.device, trainer.memory_format) for each in raw])


def compare(one: Path, several: Path) -> dict[str, dict[str, float]]:
    """For each training the figure of each tensor."""
    return {
        path.stem: apart(load_file(path), load_file(several / path.name)) for path in sorted(one.glob("*.safetensors"))
    }


def apart(one: Mapping[str, Tensor], several: Mapping[str, Tensor]) -> dict[str, float]:
    found = {}
    for name, tensor in one.items():
        wanted, got = tensor.double(), several[name].double()
        found[name] = float((wanted - got).abs().max() / wanted.abs().max().clamp(min=MOVED))
    return found


if __name__ == "__main__":
    main()
