"""What each mitigation does to a small game that goes wrong, and its cost: `python tests/benchmarks/mitigations.py`.

DCGAN learns digits from very few images, so that its discriminator soon knows them by heart. For each mitigation, all
else being equal, it prints means over several seeds, each with half of the range over them:

- real: the share of training images that the discriminator judges real; held: of held-out ones; sure: the share of
  fakes that it judges fake. One that has learned by heart judges the training images alone real.
- distance: the energy distance between the pixels of generated and held-out images, in hundredths: less is better.
- cost: the processor's time for a step over that for a plain one; both take turns, and it is the median of the ratios.

A judgement is by the image as it is, without what the discriminator was shown in training. `--larger` prints the cost
alone, for pix2pix by its preset for a processor, in batches of 8.
"""

import argparse
import copy
import statistics
import time
from itertools import repeat

import numpy as np
import torch

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.data import open_splits
from i2i.games.objectives import OBJECTIVES, smoothed
from i2i.training.batches import prepare
from i2i.training.device import describe
from i2i.training.trainer import Trainer

DEVICE = torch.device("cpu")
BATCH, SIZE, NOISE = 16, 32, 32
BASE = {
    "device": "cpu",
    "data": {"source": "digits", "size": SIZE, "target_channels": 1, "flip": False, "workers": 0},
    "game": {"noise": NOISE, "filters": 8, "discriminator_filters": 8, "discriminator_norm": "none"},
    "objective": {"name": "nonsaturating"},
    "trainer": {
        "batch": BATCH,
        "lr": 5e-4,
        "ema": 0.0,
        "precision": "float32",
        "schedule": {"name": "constant"},
    },
}
ALL = {"colour": True, "translation": True, "cutout": True}
MITIGATIONS = {
    "none": {},
    "running average (trainer.ema=0.99)": {"trainer": {"ema": 0.99}},
    "two rates (D at a quarter)": {"trainer": {"discriminator_lr": 1.25e-4}},
    "spectral norm": {"stability": {"spectral": True}},
    "R1, weight 5": {"objective": {"r1": {"weight": 5.0}}},
    "R1, weight 5, every 8th move": {"objective": {"r1": {"weight": 5.0, "interval": 8}}},
    "R1 and R2, weight 5": {"objective": {"r1": {"weight": 5.0}, "r2": {"weight": 5.0}}},
    "relativistic": {"objective": {"name": "relativistic"}},
    "relativistic, R1 and R2": {"objective": {"name": "relativistic", "r1": {"weight": 5.0}, "r2": {"weight": 5.0}}},
    "label smoothing 0.1": {"stability": {"smoothing": 0.1}},
    "instance noise 0.3": {"stability": {"instance_noise": 0.3, "noise_until": 1.0}},
    "colour": {"stability": {"augment": {"colour": True}}},
    "translation": {"stability": {"augment": {"translation": True}}},
    "cutout": {"stability": {"augment": {"cutout": True}}},
    "all three": {"stability": {"augment": ALL}},
    "all three, adaptive": {"stability": {"augment": {**ALL, "adaptive": True, "probability": 0.0, "speed": 10_000}}},
}


def start(settings, steps, seed):
    """A trainer at its first step, and the objective that it plays by."""
    manifest = plugins.load("dcgan")
    layers = [Layer("base", BASE), Layer("mitigation", settings), Layer("length", {"trainer": {"steps": steps}})]
    config = resolve(manifest.config, layers)
    torch.manual_seed(seed)
    trainer = Trainer(manifest.build(config), config.objective, config.trainer, DEVICE, config.stability)
    return trainer, smoothed(OBJECTIVES[config.objective.name], config.stability.smoothing)


def images(samples, count):
    """So many images of a split, evenly spaced: `[N, 1, H, W]` in [-1, 1]."""
    some = samples.spread(count)
    raw = {"target": np.stack([some.evaluating(place)["target"] for place in range(len(some))])}
    return prepare(raw, DEVICE, torch.channels_last)["target"]


def batches(train, seed):
    """Batches without end, of images drawn evenly."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield [{"target": train[torch.randint(len(train), (BATCH,), generator=generator)]}]


def energy(one, other):
    """The energy distance between two sets of images `[N, ...]`: Székely & Rizzo 2013, over the root of the pixels."""
    one, other = (each.flatten(1).double() for each in (one, other))

    def inside(each):
        return torch.cdist(each, each).sum() / (len(each) * (len(each) - 1))

    return float(2 * torch.cdist(one, other).mean() - inside(one) - inside(other)) / one.shape[1] ** 0.5


@torch.no_grad()
def judge(trainer, objective, train, held):
    """The figures after training, by name."""
    noise = torch.randn(len(held), NOISE, generator=torch.Generator().manual_seed(0))
    fake = trainer.average.game.generate({"noise": noise})["fake"]
    network = copy.deepcopy(trainer.game.discriminators["D"]).eval()
    trained, aside, made = (network(shown, None) for shown in (train, held, fake))

    def judged_real(logits, others):
        return float((objective.signs(logits, others[: len(logits)]) > 0).double().mean())

    return {
        "real": judged_real(trained, made),
        "held": judged_real(aside, made),
        "sure": 1 - judged_real(made, aside),
        "distance": 100 * energy(fake, held),
    }


def play(settings, steps, seed, train, held):
    """Trains from the start; the figures."""
    trainer, objective = start(settings, steps, seed)
    for _, batch in zip(range(steps), batches(train, seed), strict=False):
        trainer.play(batch)
    return judge(trainer, objective, train, held), trainer.shown.probability


def cost(racers, shown, rounds):
    """The time of a step of the second trainer over that of the first."""
    ratios = []
    for number in range(rounds):
        taken = []
        for trainer in racers:
            begin = time.process_time()
            for _ in range(8):  # a whole turn of what comes every eighth move
                trainer.play(next(shown))
            taken.append(time.process_time() - begin)
        if number >= 2:
            ratios.append(taken[1] / taken[0])
    return statistics.median(ratios)


def larger(settings):
    """A trainer of pix2pix by its preset for a processor."""
    manifest = plugins.load("pix2pix")
    base = {"device": "cpu", "trainer": {"batch": 8, "precision": "float32"}}
    layers = [Layer("preset", manifest.presets["cpu"]), Layer("base", base), Layer("mitigation", settings)]
    config = resolve(manifest.config, layers)
    torch.manual_seed(0)
    return Trainer(manifest.build(config), config.objective, config.trainer, DEVICE, config.stability), config.data.size


def costs(rounds):
    """Prints what each mitigation costs pix2pix."""
    print("| mitigation | cost |")
    print("|---|---|")
    for name, settings in MITIGATIONS.items():
        (plain, size), (trainer, _) = larger({}), larger(settings)
        sample = {kind: torch.rand(8, 3, size, size) * 2 - 1 for kind in ("input", "target")}
        last = {kind: image.contiguous(memory_format=torch.channels_last) for kind, image in sample.items()}
        print(f"| {name} | {cost((plain, trainer), repeat([last]), rounds):.2f} |", flush=True)


def main():
    """Prints a line for each mitigation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--larger", action="store_true")
    arguments = parser.parse_args()
    if arguments.larger:
        costs(arguments.rounds)
        return
    data = resolve(plugins.load("dcgan").config, [Layer("base", BASE)]).data
    splits = open_splits(data, "images")
    train, held = images(splits.train, arguments.images), images(splits.test, 512)
    print(f"{describe(DEVICE, 'float32')}, torch {torch.__version__}; {len(train)} images, {arguments.steps} steps")
    print("| mitigation | real | held | sure | distance | cost |")
    print("|---|---|---|---|---|---|")
    for name, settings in MITIGATIONS.items():
        runs = [play(settings, arguments.steps, seed, train, held) for seed in range(arguments.seeds)]
        cells = []
        for figure in runs[0][0]:
            values = [figures[figure] for figures, _ in runs]
            cells.append(f"{statistics.mean(values):.2f} ± {(max(values) - min(values)) / 2:.2f}")
        racers = [start(tree, 10**6, 0)[0] for tree in ({}, settings)]
        ratio = cost(racers, batches(train, 0), arguments.rounds)
        adaptive = settings.get("stability", {}).get("augment", {}).get("adaptive", False)
        ends = f" (probability {', '.join(f'{end:.2f}' for _, end in runs)})" if adaptive else ""
        print(f"| {name}{ends} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
