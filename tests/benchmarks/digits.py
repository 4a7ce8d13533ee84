"""Whether `cgan` and `dcgan` learn the embedded digits: legible, every digit, and as varied as real ones.

`python tests/benchmarks/digits.py cgan --out FOLDER` trains by the CPU preset with a fixed seed into FOLDER/run (or
takes the run that is there), makes 1,000 digits by the exported file without torch, and has a classifier read them that
has seen real training digits only. FOLDER/digits.png shows the first of each digit beside real ones, none chosen.

The deviation is the standard deviation of a pixel, in [0, 1], over the images of one class, as the mean over all pixels
and then over the ten classes. cGAN's classes are those asked for, DCGAN's those that the classifier reads.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import i2i
from i2i import images, plugin, sheet
from i2i.config import read_yaml, resolve
from i2i.data import open_splits
from i2i.runtime.generator import Generator
from i2i.training.run import Run

COUNT = 1_000
DIGITS = 10


def classifier():
    """Three convolutions and a linear layer: grey images `[N, 1, 32, 32]` in [-1, 1] to logits `[N, 10]`."""
    layers = []
    for before, after in ((1, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, DIGITS))


def to_tensor(pixels):
    """uint8 `[N, 32, 32, 1]` to `[N, 1, 32, 32]` in [-1, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def learn(pixels, labels, epochs=8, batch=64):
    """A classifier trained on real digits."""
    torch.manual_seed(0)
    network, images, classes = classifier(), to_tensor(pixels), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, epochs * -(-len(images) // batch))
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(network(images[chosen]), classes[chosen]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def read(network, pixels):
    """The digit that the classifier reads in each image."""
    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in to_tensor(pixels).split(250)]).numpy()


def spread(pixels):
    """The standard deviation of a pixel over the images, as the mean over pixels, of a range of 1."""
    return (pixels / 255).std(axis=0).mean()


def deviation(pixels, labels):
    """The same within each class, as the mean over the classes that have an image."""
    return np.mean([spread(pixels[labels == digit]) for digit in np.unique(labels)])


def real(samples):
    """The images and labels of a split, not augmented."""
    every = [samples.evaluating(index) for index in range(len(samples))]
    return np.stack([each["target"] for each in every]), np.stack([each["label"] for each in every])


def run_in(folder, name):
    """The run in FOLDER/run, trained now if there is none, by the preset of the CPU and seed 0."""
    run = Run(folder / "run")
    if not run.model.is_file():
        start = time.perf_counter(), time.process_time()
        run = i2i.train(name, {"device": "cpu", "seed": 0}, out=run.path)
        taken = time.perf_counter() - start[0], time.process_time() - start[1]
        (folder / "time.txt").write_text(
            f"data, training, validation and export: {taken[0]:.0f} s, {taken[1]:.0f} s of processor time, "
            f"{torch.get_num_threads()} threads"
        )
    return run


def rows(network, made, digits, asked, pixels, labels, held):
    """The lines of the table: what was measured, the figure, and what it has to be.

    digits: what is read in those that were made. asked: what they should be, or None. pixels, labels: real ones to
    train on. held: others, and their labels.
    """
    shares = np.bincount(digits, minlength=DIGITS) / len(digits)
    within = deviation(made, digits if asked is None else asked), deviation(pixels, labels)
    overall = spread(made), spread(pixels)
    yield "classifier on held-out real digits", f"{np.mean(read(network, held[0]) == held[1]):.1%}", ">= 95 %"
    if asked is not None:
        yield "generated: the asked label is read", f"{np.mean(digits == asked):.1%}", ">= 95 %"
    yield "shares of 0 to 9 as read", " ".join(f"{share:.1%}" for share in shares), ""
    if asked is None:
        yield "the rarest", f"{shares.min():.1%}", ">= 3 %"
    for what, (of_made, of_real), least in (("within a class", within, ">= 75 %"), ("of all", overall, ">= 75 %")):
        yield f"deviation {what}: made, real, ratio", f"{of_made:.4f} {of_real:.4f} {of_made / of_real:.1%}", least


def main():
    """Trains where there is no run yet, then measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plugin", choices=("cgan", "dcgan"))
    parser.add_argument("--out", type=Path, help="default: a folder under the system's temporary one")
    asked = parser.parse_args()
    folder = asked.out or Path(tempfile.mkdtemp(prefix=f"{asked.plugin}-"))
    folder.mkdir(parents=True, exist_ok=True)
    run = run_in(folder, asked.plugin)
    config = resolve(plugin.load(asked.plugin).config, [read_yaml(run.config)])
    splits = open_splits(config.data, "labelled")
    pixels, labels = real(splits.train)
    network = learn(pixels, labels)
    made = Generator.load(run.model)(COUNT, seed=1)
    digits = read(network, made)
    wanted = np.arange(COUNT) % DIGITS if asked.plugin == "cgan" else None
    if (folder / "time.txt").is_file():
        print((folder / "time.txt").read_text())
    print(f"{asked.plugin}: best step {run.facts()['best']['step']} of {config.trainer.steps}")
    for what, figure, least in rows(network, made, digits, wanted, pixels, labels, real(splits.test)):
        print(f"{what:42} {figure:24} {least}")
    order = np.argsort(labels, kind="stable").reshape(DIGITS, -1)
    told = digits if wanted is None else wanted
    shown = [[*made[told == digit][:12], *pixels[order[digit, :4]]] for digit in range(DIGITS)]
    images.write(images.from_pixels(sheet.lay(shown)), folder / "digits.png")
    print(f"{folder / 'digits.png'}: twelve made ones, then four real ones")


if __name__ == "__main__":
    main()
