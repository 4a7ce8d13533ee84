"""Images per second of our trainer over those of a plain float32 loop of the same networks: U-Net-256 at 256 px.

`python tests/benchmarks/train_step.py [--rounds N]` times the two in turn and prints the ratio of their medians.
"""

import argparse
import statistics
import time

import torch
from torch.nn import functional as F

from i2i import plugin as plugins
from i2i.config import Layer, resolve
from i2i.training.device import describe
from i2i.training.trainer import Trainer

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make(batch, **trainer):
    """The published pix2pix and its configuration."""
    manifest = plugins.load("pix2pix")
    settings = {"data": {"size": 256}, "trainer": {"batch": batch, **trainer}}
    config = resolve(manifest.config, [Layer("benchmark", settings)])
    torch.manual_seed(0)
    return manifest.build(config).to(DEVICE), config


def plain(batch):
    """What one writes first: float32, torch's default layout and optimizer, the generator run once a step."""
    game, _ = make(batch)
    g, d = game.generators["G"], game.discriminators["D"]
    g_adam, d_adam = (torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999)) for network in (g, d))
    real, fake_label = torch.ones((), device=DEVICE), torch.zeros((), device=DEVICE)

    def judge(logits, label):
        return F.binary_cross_entropy_with_logits(logits, label.expand_as(logits))

    def step(sample):
        image, target = sample["input"], sample["target"]
        made = g(image)
        d.requires_grad_(True)
        d_adam.zero_grad()
        (judge(d(target, image), real) + judge(d(made.detach(), image), fake_label)).backward()
        d_adam.step()
        d.requires_grad_(False)
        g_adam.zero_grad()
        (judge(d(made, image), real) + 100 * F.l1_loss(made, target)).backward()
        g_adam.step()

    return step


def ours(batch):
    """The trainer as `i2i train` uses it."""
    game, config = make(batch)
    trainer = Trainer(game, config.objective, config.trainer, DEVICE)
    return lambda sample: trainer.play([sample])


def seconds(step, sample, steps):
    """Of one step, over `steps` of them."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step(sample)
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def main():
    """Prints a line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    arguments = parser.parse_args()
    print(f"{describe(DEVICE, 'auto')}, torch {torch.__version__}")
    for batch in arguments.batches:
        sample = {name: torch.rand(batch, 3, 256, 256, device=DEVICE) * 2 - 1 for name in ("input", "target")}
        last = {name: value.contiguous(memory_format=torch.channels_last) for name, value in sample.items()}
        racers = {"plain": (plain(batch), sample), "ours": (ours(batch), last)}
        times = {name: [] for name in racers}
        for step, seen in racers.values():
            seconds(step, seen, 2)
        for _ in range(arguments.rounds):
            for name, (step, seen) in racers.items():
                times[name].append(seconds(step, seen, 20 if DEVICE.type == "cuda" else 2))
        rates = {name: batch / statistics.median(taken) for name, taken in times.items()}
        ratios = [one / other for one, other in zip(times["plain"], times["ours"], strict=True)]
        print(
            f"batch {batch}: plain {rates['plain']:.2f} images/s, ours {rates['ours']:.2f} images/s, "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
