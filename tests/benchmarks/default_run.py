"""The default run, `i2i train pix2pix` and nothing else: its time, its score and a picture of held-out images.

`python tests/benchmarks/default_run.py FOLDER` trains into FOLDER/run (or takes the run that is there) and draws
FOLDER/picture.png from the test images, by the exported file alone.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

import i2i
from i2i import images
from i2i.config import read_yaml, resolve
from i2i.data import evaluation, open_splits
from i2i.sheet import lay, wrap
from i2i.training.run import Run
from i2i_pix2pix.config import Pix2PixConfig


def psnr(image, target):
    """10 log10(255^2 / MSE), in dB."""
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - target) ** 2, axis=(1, 2, 3)))


def pooled(image, target):
    """The PSNR of the mean squared error over all images, in dB."""
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - target) ** 2))


def main():
    """Trains where there is no run yet, then scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    run = Run(folder / "run")
    if not run.model.is_file():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "i2i", "train", "pix2pix", "--out", str(run.path)], check=True)
        print(f"whole command: {time.perf_counter() - start:.0f} s")
    config = resolve(Pix2PixConfig, [read_yaml(run.config)])
    translate = i2i.load(run.path)
    for name in ("validation", "test"):
        batches = list(evaluation(getattr(open_splits(config.data), name), batch=16, threads=2))
        given, wanted = (np.concatenate([batch[side] for batch in batches]) for side in ("input", "target"))
        made = translate(given)
        print(
            f"{name}, {len(given)} images: PSNR {psnr(made, wanted).mean():.2f} dB, "
            f"copying {psnr(given, wanted).mean():.2f} dB; "
            f"of the mean error: {pooled(made, wanted):.2f} dB, copying {pooled(given, wanted):.2f} dB"
        )
    # Evenly spaced, not chosen.
    shown = np.linspace(0, len(given) - 1, 20).astype(int)
    triples = [np.concatenate([column[index] for column in (given, made, wanted)], axis=1) for index in shown]
    enlarged = Image.fromarray(lay(wrap([triple.repeat(2, 0).repeat(2, 1) for triple in triples], 4), gap=24))
    images.write(enlarged, folder / "picture.png")


if __name__ == "__main__":
    main()
