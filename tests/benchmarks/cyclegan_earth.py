"""CycleGAN on unpaired `earth`, satellite to map and back: distances to real images, error against the hidden truth.

`python tests/benchmarks/cyclegan_earth.py FOLDER` trains by the preset for a processor into FOLDER/run (or takes the
run that is there), translates the held-out tiles by the exported files alone, prints what copying, matching the
histogram and CycleGAN reach, and draws FOLDER/to-map.png and FOLDER/to-satellite.png: input, output and truth.

The distance is the kernel distance (arXiv:1801.01401) of EfficientNet-lite0's ImageNet features, unbiased, between all
translated tiles and all real ones of the same split. Histogram matching knows the training images of the wanted kind:
`each` gives every tile the histogram that all of them have together, `all` moves the histogram of all tiles at once,
so that equal colours stay equal.
"""

import argparse
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.exposure import match_histograms

import i2i
from i2i import api, images, sheet
from i2i import plugin as plugins
from i2i.config import read_yaml, resolve
from i2i.data import evaluation, open_splits
from i2i.metrics.kernel import kernel_distance
from i2i.nn.features import efficientnet_lite0
from i2i.training.batches import prepare
from i2i.training.best import load_best
from i2i.training.run import Run

SHOWN = 16


def both(samples):
    """All inputs and targets of a split, uint8 `[N, H, W, C]`."""
    batches = list(evaluation(samples, batch=16, threads=0))
    return [np.concatenate([batch[side] for batch in batches]) for side in ("input", "target")]


def matched(pictures, wanted, together):
    """The pictures with the histogram of `wanted` in each channel: each of them, or all of them as one image."""
    reference = wanted.reshape(-1, 1, wanted.shape[-1])
    given = [pictures.reshape(-1, 1, pictures.shape[-1])] if together else list(pictures)
    made = [match_histograms(image, reference, channel_axis=-1) for image in given]
    return np.stack(made).reshape(pictures.shape).round().clip(0, 255).astype(np.uint8)


def features(network, pictures):
    """Of uint8 `[N, H, W, C]`."""
    parts = [pictures[first : first + 32] for first in range(0, len(pictures), 32)]
    with torch.no_grad():
        return torch.cat([network(torch.from_numpy(part).permute(0, 3, 1, 2).float() / 127.5 - 1) for part in parts])


def table(network, given, truth, known, made):
    """Prints, for one direction, the distance and the mean absolute error of each way to get there."""
    ways = {
        "copying": given,
        "histogram matching, each": matched(given, known, together=False),
        "histogram matching, all": matched(given, known, together=True),
        "CycleGAN": made,
    }
    compare(network, ways, truth)


def compare(network, ways, truth):
    """A row for each way, the first of which is copying."""
    print("| way | kernel distance | of copying's | mean absolute error |\n|---|---|---|---|")
    real = features(network, truth)
    copied = kernel_distance(features(network, ways["copying"]), real)
    for name, pictures in ways.items():
        distance = kernel_distance(features(network, pictures), real)
        error = np.abs(pictures.astype(float) - truth).mean()
        print(f"| {name} | {distance:.3f} | {100 * distance / copied:.0f} % | {error:.1f} |")


def draw(columns, path):
    """Input, output and truth of evenly spaced tiles, four triples beside each other."""
    shown = np.linspace(0, len(columns[0]) - 1, SHOWN).astype(int)
    rows = [[column[index] for index in four for column in columns] for four in sheet.wrap(list(shown), 4)]
    drawn = Image.fromarray(sheet.lay(rows, heads=("input", "output", "truth") * 4))
    images.write(drawn, path)


def played(plugin, said):
    """The folder that is named, and a run in it on `earth`, which is trained where there is none; tells how long."""
    parser = argparse.ArgumentParser(description=said)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    run = Run(folder / "run")
    if not run.model.is_file():
        api.train(plugin, {"device": "cpu", "data": {"source": "earth"}}, out=run.path)
    facts = run.facts()
    taken = datetime.fromisoformat(facts["ended"]) - datetime.fromisoformat(facts["started"])
    best = facts["best"]["step"]
    print(f"{facts['step']} steps, the best of them {best}, scores and export: {taken.seconds} s; {facts['device']}")
    return folder, run


def main():
    """Trains where there is no run yet, then measures."""
    folder, run = played("cyclegan", __doc__)
    manifest = plugins.load("cyclegan")
    config = resolve(manifest.config, [read_yaml(run.config)])
    splits = open_splits(config.data, "unpaired")
    known = both(splits.train)
    network = efficientnet_lite0()
    there, back = (i2i.load(run.path, direction=name) for name in ("AtoB", "BtoA"))
    for name in ("validation", "test"):
        satellite, topographic = both(getattr(splits, name))
        made, remade = there(satellite), back(topographic)
        for title, *sides in (
            ("satellite to map", satellite, topographic, known[1], made),
            ("map to satellite", topographic, satellite, known[0], remade),
        ):
            print(f"\n{name}, {len(satellite)} tiles, {title}\n")
            table(network, *sides)
    draw((satellite, made, topographic), folder / "to-map.png")
    draw((topographic, remade, satellite), folder / "to-satellite.png")
    game = load_best(manifest.build(config), run)
    batch = prepare({"input": satellite, "target": topographic}, torch.device("cpu"), torch.contiguous_format)
    with torch.no_grad():
        print("\nthere and back again, of 255, test:")
        for name, values in game.measures(batch).items():
            print(f"  {name}: {values.mean():.2f}")


if __name__ == "__main__":
    main()
