"""SPADE on label maps of the earth: what a run makes of the test maps, beside what needs no training.

`python tests/benchmarks/label_maps.py MAPS RUN` takes the set that `earth.py` of i2i-spade has written to MAPS and a
run on it, translates the test maps by the exported file alone, at twice the size of the training, prints the scores
that i2i gives label maps, and draws RUN/label-maps.jpg: label map, output and photograph of evenly spaced tiles.

`class means` paints each class in the mean colour that it has in the training images. `real tiles` are the training
images against the test images: how far apart two sets of real tiles are.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import i2i
from i2i import images, sheet
from i2i.config import DataConfig
from i2i.data import evaluation, open_splits
from i2i.metrics.kernel import kernel_distance
from i2i.metrics.protocol import protocol
from i2i.nn.features import efficientnet_lite0

SIDE = 128
SHOWN = 12


def both(samples):
    """All label maps and images of a split, uint8 `[N, H, W, 3]`."""
    batches = list(evaluation(samples, batch=16, threads=0))
    return [np.concatenate([batch[side] for batch in batches]) for side in ("input", "target")]


def classes(maps):
    """A number for each colour."""
    return maps.astype(np.int64) @ [1 << 16, 1 << 8, 1]


def class_means(maps, trained_maps, trained_images):
    """The maps with each class in the mean colour of the training images."""
    made, trained = np.zeros_like(maps), classes(trained_maps)
    for number in np.unique(trained):
        made[classes(maps) == number] = trained_images[trained == number].mean(0).round()
    return made


def tensor(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def features(pixels):
    with torch.no_grad():
        return torch.cat([efficientnet_lite0()(tensor(pixels[at : at + 32])) for at in range(0, len(pixels), 32)])


def main():
    """Measures and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", type=Path)
    parser.add_argument("run", type=Path)
    options = parser.parse_args()
    config = DataConfig(source=str(options.maps.resolve()), size=SIDE, load_size=SIDE, fit="none")
    splits = open_splits(config, "semantic")
    trained = both(splits.train)
    maps, truth = both(splits.test)
    translate = i2i.load(options.run / "model.onnx")
    ways = {
        "class means": class_means(maps, *trained),
        "SPADE": np.stack([translate(each) for each in maps]),
    }
    for name, made in ways.items():
        scoring = protocol("semantic", config)
        scoring.add(tensor(made), tensor(truth), {})
        print(f"| {name} | " + " | ".join(f"{key} {value:.3f}" for key, value in scoring.scores().items()) + " |")
    print(f"| real tiles | {kernel_distance(features(trained[1]), features(truth)):.3f} |")
    shown = np.linspace(0, len(maps) - 1, SHOWN).astype(int)
    rows = [[part[index] for index in three for part in (maps, ways["SPADE"], truth)] for three in sheet.wrap(shown, 3)]
    drawn = Image.fromarray(sheet.lay(rows, heads=("label map", "output", "truth") * 3))
    images.write(drawn, options.run / "label-maps.jpg", quality=88)


if __name__ == "__main__":
    main()
