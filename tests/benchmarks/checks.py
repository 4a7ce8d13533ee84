"""What it costs to look at losses, gradients and signs of trouble: `python tests/benchmarks/checks.py [PLUGIN ...]`.

Each plugin plays its own preset for this machine on its embedded data. Steps with and without a look at losses and
gradients alternate, so that whatever else the machine does hits both; the figure is the ratio of the medians. What
happens at validations alone is set against the steps between two of them: the signs, and the digest of a checkpoint.
"""

import argparse
import hashlib
import itertools
import statistics
import time

import torch

from i2i import api
from i2i import plugin as plugins
from i2i.course import stages
from i2i.data import Loader, open_splits, thread_count
from i2i.training.batches import prepare
from i2i.training.device import describe, resolve
from i2i.training.player import Player
from i2i.training.session import with_classes
from i2i.training.signs import count, examples, signs
from i2i.training.trainer import Trainer

LOOKING = Player.move


def blind(player, step, losses, beside, world, guard):
    """A move that looks at nothing, as one would write it first."""
    player.optimizer.step()
    return {**losses, **beside}


def seconds(what):
    """How long a call takes."""
    start = time.perf_counter()
    what()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(name, rounds):
    """Prints the line of one plugin."""
    manifest = plugins.load(name)
    config = list(stages(manifest, api.configure(manifest)).values())[-1]
    splits = open_splits(config.data, manifest.kind)
    config = with_classes(config, splits)
    torch.manual_seed(0)
    game = manifest.build(config)
    game.demand()
    device, timing = resolve(config.device), config.trainer
    trainer = Trainer(game, config.objective, timing, device, config.stability)
    loader = Loader(splits.train, batch=timing.batch, seed=0, threads=thread_count(None), parts=timing.accumulate)
    with loader.read() as read:
        raw = [next(read) for _ in range(timing.k * timing.accumulate)]
    batches = [prepare(each, device, trainer.memory_format) for each in raw]
    with_, without = [], []
    ways = itertools.cycle([(LOOKING, with_), (blind, without)])
    for way, times in itertools.islice(ways, 2 * rounds + 4):
        Player.move = way
        times.append(seconds(lambda: trainer.play(batches)))
    Player.move = LOOKING
    step, plain = (statistics.median(times[2:]) for times in (with_, without))
    interval = timing.validation_interval * plain
    looked_at = count(timing.validation_interval * timing.batch, timing.batch)
    middle = None if trainer.objective.relative else trainer.objective.middle

    def look():
        shown = [examples(split, looked_at, timing.batch) for split in (splits.train, splits.held)]
        signs(game, trainer.average.game, middle, *shown, device, trainer.autocast)

    seen = statistics.median(seconds(look) for _ in range(3))
    state = b"".join(value.cpu().contiguous().numpy().tobytes() for value in game.state_dict().values())
    digest = 4 * seconds(lambda: hashlib.sha256(state))  # moments and averages beside the weights
    parts = [step / plain - 1, seen / interval, digest / interval]
    shares = " | ".join(f"{100 * part:.2f} %" for part in parts)
    print(f"| {name} | {1000 * plain:.0f} ms | {shares} | {100 * sum(parts):.2f} % |", flush=True)


def main():
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [entry.name for entry in plugins.catalogue() if entry.distribution == plugins.OWN]
    parser.add_argument("plugins", nargs="*", default=names)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(f"{describe(resolve('auto'), 'auto')}, torch {torch.__version__}")
    print("| plugin | step without | losses and gradients | signs | digest | together |\n|---|---|---|---|---|---|")
    for name in arguments.plugins:
        measure(name, arguments.rounds)


if __name__ == "__main__":
    main()
