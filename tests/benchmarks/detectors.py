"""What the detectors of `i2i.training.diagnostics` find, and how near the other failures came: 1 is there.

`python tests/benchmarks/detectors.py RUN...` reads the curves of runs; without arguments small games are played by the
trainer, one that is healthy and one for each failure, and a line is printed for each.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from i2i import plugin as plugins
from i2i.config import ObjectiveConfig, StabilityConfig, TrainerConfig, read_yaml, resolve
from i2i.course import stages
from i2i.games.game import Export, Game, Match
from i2i.games.objectives import OBJECTIVES
from i2i.metrics.protocol import protocol
from i2i.training.batches import prepare
from i2i.training.diagnostics import DETECTORS, Diagnostics, Facts
from i2i.training.run import Run
from i2i.training.signs import examples, signs
from i2i.training.trainer import Trainer

DEVICE = torch.device("cpu")
SIDE, NOISE, BATCH, SCORED = 8, 4, 32, 128


class Bumps:
    """Images of one bright spot each, `[1, 8, 8]` in [-1, 1], with the quarter that it lies in as the class."""

    uniform = True

    def __init__(self, count, seed, *, inputs=False):
        rng = np.random.default_rng(seed)
        places = rng.uniform(1, SIDE - 2, (count, 2))
        row, column = np.mgrid[:SIDE, :SIDE]
        squares = (row - places[:, :1, None]) ** 2 + (column - places[:, 1:, None]) ** 2
        self.images = (2 * np.exp(-squares / 3) - 1).astype(np.float32)[:, None]
        self.labels = (2 * (places[:, 0] > 3.5) + (places[:, 1] > 3.5)).astype(np.int64)
        # What no input tells of: only by heart can it be learned.
        noise = rng.normal(0, 0.5, self.images.shape).astype(np.float32)
        self.given = {"input": self.images, "target": self.images + noise} if inputs else {"target": self.images}

    def __len__(self):
        return len(self.images)

    def training(self, index, seed):
        sample = {name: images[index] for name, images in self.given.items()}
        return sample if "input" in sample else {**sample, "label": self.labels[index]}


class Origin(Bumps):
    """A single point, at 0."""

    def __init__(self):
        super().__init__(BATCH, 0)
        self.given = {"target": np.zeros((BATCH, 1, 1, 1), np.float32)}


class Perceptron(nn.Module):
    """Three layers between any two shapes; a generator may be deaf to what it is given."""

    def __init__(self, given, shape, width, *, deaf=False):
        super().__init__()
        self.shape, self.deaf = shape, deaf
        sizes = [given, width, width, int(np.prod(shape))]
        layers = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, given, condition=None):
        given = given.flatten(1)
        return self.net(given * 0 if self.deaf else given).unflatten(1, self.shape)


class FromNoise(Game):
    noise = NOISE

    def __init__(self, width=64, *, deaf=False):
        super().__init__()
        self.generators = nn.ModuleDict({"G": Perceptron(NOISE, (1, SIDE, SIDE), 64, deaf=deaf)})
        self.discriminators = nn.ModuleDict({"D": Perceptron(SIDE * SIDE, (1,), width)})

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["noise"])}

    def matches(self, batch, outputs):
        yield Match(self.discriminators["D"], batch["target"], outputs["fake"])

    def previews(self, batch):
        return {"output": self.generate(batch)["fake"], "target": batch["target"]}

    def exports(self):
        return {"G": Export(self.generators["G"], 1, 1, 1)}


class Translating(FromNoise):
    noise = 0

    def __init__(self):
        super().__init__()
        self.generators = nn.ModuleDict({"G": Perceptron(SIDE * SIDE, (1, SIDE, SIDE), 256)})

    def generate(self, batch):
        return {"fake": self.generators["G"](batch["input"])}

    def terms(self, batch, outputs):
        return {"l1": 10 * (outputs["fake"] - batch["target"]).abs().mean()}


class Point(nn.Module):
    """A generator with one parameter: where its point is."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.ones(1))

    def forward(self, noise):
        return self.place + 0 * noise[:, :1, None, None]


class Slope(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def forward(self, images, condition=None):
        return self.slope * images.flatten(1)


class Dirac(FromNoise):
    """A point that is to move to 0, and a linear discriminator: they circle around it for ever.

    Mescheder et al. 2018, arXiv:1801.04406, section 2.
    """

    def __init__(self):
        super().__init__()
        self.generators = nn.ModuleDict({"G": Point()})
        self.discriminators = nn.ModuleDict({"D": Slope()})


def energy(made, real):
    """The energy distance of two sets of images (Székely & Rizzo 2013), above 0 where they are not alike."""
    made, real = made.flatten(1), real.flatten(1)
    return 2 * torch.cdist(made, real).mean() - torch.pdist(made).mean() - torch.pdist(real).mean()


def play(make, trainer, *, train=None, held=None, objective=None, stability=None, every=20, seed=0):
    """The records of a training of what `make` makes, and what watches them."""
    torch.manual_seed(seed)
    game = make()
    train = Bumps(2000, 1) if train is None else train
    held = Bumps(500, 2) if held is None else held
    steps = {"precision": "float32", "channels_last": False, "schedule": {"name": "constant"}, "ema": 0.9}
    config = TrainerConfig.model_validate({"steps": 600, "batch": BATCH, "betas": (0.5, 0.99), **steps, **trainer})
    objective = ObjectiveConfig.model_validate(objective or {})
    player = Trainer(game, objective, config, DEVICE, StabilityConfig.model_validate(stability or {}))
    facts = Facts(config.steps, objective.name, len(game.discriminators), "error", higher_is_better=False)
    watch, records, sums = Diagnostics(facts), [], {}
    rng = np.random.default_rng(seed)
    scored = next(iter(examples(held, SCORED, SCORED)))
    middle = OBJECTIVES[objective.name].middle if objective.name not in ("wasserstein", "relativistic") else None

    def record(kind, values):
        records.append({"step": player.step, "kind": kind, **values})
        watch.add(records[-1])

    while player.step < config.steps:
        batches = []
        for _ in range(config.k):
            picked = [train.training(int(index), 0) for index in rng.integers(0, len(train), config.batch)]
            raw = {name: np.stack([each[name] for each in picked]) for name in picked[0]}
            batches.append(prepare(raw, DEVICE, torch.contiguous_format))
        for name, value in player.play(batches).items():
            sums.setdefault(name, []).append(float(value))
        if player.step % 5 == 0:
            record("train", {name: sum(each) / len(each) for name, each in sums.items()})
            sums = {}
        if player.step % every == 0:
            turn = player.step // every
            batch = prepare(scored, DEVICE, torch.contiguous_format)
            if game.noise:
                batch = {**batch, "noise": torch.randn(SCORED, NOISE, generator=torch.Generator().manual_seed(0))}
            with torch.no_grad():
                shown = player.average.game.previews(batch)
            score = energy if game.noise else torch.nn.functional.mse_loss
            record("validation", {"error": float(score(shown["output"], shown["target"]))})
            looked_at = [examples(each, BATCH, BATCH, turn) for each in (train, held)]
            record("signs", signs(player.game, player.average.game, middle, *looked_at, DEVICE))
    return records, watch


def healthy(helped=False):
    """A game that both players learn in."""
    return play(FromNoise, {"lr": 1e-3, "steps": 500}, objective={"r1": {"weight": 1.0}})


def discriminator_wins(helped=False):
    """A discriminator that is far quicker than the generator; or as slow."""
    return play(FromNoise, {"lr": 1e-4, "discriminator_lr": 1e-4 if helped else 1e-2, "steps": 300})


def discriminator_overfits(helped=False):
    """Twenty pairs whose targets can only be learned by heart; or two thousand."""
    train, held = Bumps(2000 if helped else 20, 1, inputs=True), Bumps(500, 2, inputs=True)
    return play(Translating, {"lr": 1e-3, "steps": 300}, train=train, held=held)


def oscillation(helped=False):
    """Two players that circle each other; or with a penalty on the slope (Mescheder et al. 2018, section 3)."""
    objective = {"r1": {"weight": 1.0}} if helped else {}
    trainer = {"lr": 1e-2, "betas": (0.0, 0.99), "steps": 1000}
    return play(Dirac, trainer, train=Origin(), held=Origin(), objective=objective)


def divergence(helped=False):
    """A critic without a bound, and a generator that cannot follow; or with a penalty on the slope."""
    objective = {"name": "wasserstein", **({"r1": {"weight": 1.0}} if helped else {})}
    return play(FromNoise, {"lr": 1e-5, "discriminator_lr": 2e-3, "steps": 400}, objective=objective)


def mode_collapse(helped=False):
    """A generator that does not hear its noise; or one that does."""
    return play(lambda: FromNoise(deaf=not helped), {"lr": 1e-3, "steps": 300}, objective={"r1": {"weight": 1.0}})


def losses_say_nothing(helped=False):
    """A translator that learns fifty noisy targets by heart; or a slower one."""
    train, held = Bumps(50, 1, inputs=True), Bumps(500, 2, inputs=True)
    return play(
        Translating, {"lr": 1e-4 if helped else 1e-3, "discriminator_lr": 1e-5, "steps": 400}, train=train, held=held
    )


GAMES = [
    healthy,
    discriminator_wins,
    discriminator_overfits,
    oscillation,
    divergence,
    mode_collapse,
    losses_say_nothing,
]


def replay(path):
    """What watches a finished run, from its metrics.jsonl and config.yaml alone."""
    run = Run.open(path)
    manifest = plugins.load(run.facts()["plugin"])
    config = list(stages(manifest, resolve(manifest.config, [read_yaml(run.config)])).values())[-1]
    metrics = protocol(manifest.kind, config.data).metrics
    name = config.trainer.best_by or next(iter(metrics))
    game = manifest.build(config)
    watch = Diagnostics(Facts.of(config, len(game.discriminators), name, metrics[name].higher_is_better))
    for line in run.metrics.read_text(encoding="utf-8").splitlines():
        watch.add(json.loads(line))
    return watch


def line(watch):
    """How near each failure came at most; - where there was too little to tell."""
    return " ".join(f"{watch.levels[name]:>8.2f}" if name in watch.levels else f"{'-':>8}" for name in DETECTORS)


def tell(label, watch, seconds):
    """Prints a row, and what was found."""
    print(f"{label[-40:]:<40}{line(watch)}  {seconds:.1f} s")
    for found in watch.found.values():
        print(f"    {found}")


def main():
    """Prints a row for each run or game."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path)
    runs = parser.parse_args().runs
    print(f"{'':<40}" + " ".join(f"{name[-8:]:>8}" for name in DETECTORS))
    for path in runs:
        start = time.perf_counter()
        tell(str(path), replay(path), time.perf_counter() - start)
    for game in () if runs else GAMES:
        for helped in (False,) if game is healthy else (False, True):
            start = time.perf_counter()
            watch = game(helped)[1]
            tell(f"{game.__name__}{', helped' if helped else ''}", watch, time.perf_counter() - start)


if __name__ == "__main__":
    main()
