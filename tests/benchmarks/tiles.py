"""Images in pieces against whole ones, for trained models: largest difference, PSNR, and the times in one run.

    python tests/benchmarks/tiles.py MODEL_OR_RUN... [--image PHOTO] [--width 1536 --height 1024 --tile 256]

Whole and in pieces take turns, three times; the times are medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from i2i.images import from_pixels, read, resize, to_pixels
from i2i.runtime.translator import Translator

TURNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--image", type=Path, default=Path("/usr/share/backgrounds/mate/nature/Garden.jpg"))
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--tile", type=int, default=256)
    given = parser.parse_args()
    photo = resize(to_pixels(read(given.image), 3), given.height, given.width)
    for model in given.models:
        compare(model, from_pixels(photo), given.tile)


def compare(model: Path, photo: Image.Image, tile: int) -> None:
    whole, pieces = (Translator.load(model, "cpu", tile=size) for size in ("off", tile))
    took: dict[str, list[float]] = {"whole": [], "pieces": []}
    made: dict[str, np.ndarray] = {}
    for _ in range(TURNS):
        for name, translate in (("whole", whole), ("pieces", pieces)):
            start = time.perf_counter()
            made[name] = np.asarray(translate(photo)).astype(int)
            took[name].append(time.perf_counter() - start)
    apart = np.abs(made["whole"] - made["pieces"])
    error = (apart.astype(float) ** 2).mean()
    psnr = f"{10 * np.log10(255**2 / error):.1f} dB" if error else "the same"
    said = whole.description
    seconds = {name: statistics.median(times) for name, times in took.items()}
    print(
        f"{model}: {said.plugin}, sees {said.receptive_radius} px, statistics: {said.statistics}\n"
        f"  differs by at most {apart.max()} of 255, in {(apart > 0).mean():.4%} of the values, {psnr}\n"
        f"  whole {seconds['whole']:.1f} s, pieces of {tile} {seconds['pieces']:.1f} s: "
        f"{seconds['pieces'] / seconds['whole']:.2f} times as long"
    )


if __name__ == "__main__":
    main()
