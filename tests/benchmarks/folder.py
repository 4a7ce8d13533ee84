"""A folder of images of 256 px by `i2i translate`, beside a plain loop of open, run, save and the session alone.

`python tests/benchmarks/folder.py MODEL [--images N] [--slice N] [--device NAME]` makes its own images, takes them in
slices, each of the ways in turn with the same ones, and prints images per second, and the ratios of the medians.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from i2i.artifact import INPUT, OUTPUT
from i2i.runtime.devices.device import choose
from i2i.runtime.devices.providers import Opener
from i2i.runtime.folder.amount import many
from i2i.runtime.folder.jobs import plan
from i2i.runtime.folder.pipeline import translate_files
from i2i.runtime.translator import Translator

SIZE = 256


def photographs(folder, count):
    """Smooth shapes with grain: as hard to compress as photographs, at about 90 KiB."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32)
        grained = np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grained).save(folder / f"{number:05}.png", compress_level=1)


def plain(session, sources, target):
    """What one writes first."""
    target.mkdir()
    for source in sources:
        with Image.open(source) as image:
            pixels = np.asarray(image.convert("RGB"))[None]
        (made,) = session.run([OUTPUT], {INPUT: pixels})
        Image.fromarray(made[0]).save(target / source.name)


def alone(session, sources, target):
    """Only the inference, of one image again and again."""
    with Image.open(sources[0]) as image:
        pixels = np.asarray(image.convert("RGB"))[None]
    for _ in sources:
        session.run([OUTPUT], {INPUT: pixels})


def pipeline(translator, sources, target):
    """What `i2i translate` does."""
    tasks = plan([str(source) for source in sources], output=target, plugin="x")
    for result in translate_files(translator, tasks):
        assert result.error is None, result.error


def main():
    """Prints a line for each way, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--slice", type=int, default=100)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    session = Opener(choose(given.device), given.model).open(given.model)
    with tempfile.TemporaryDirectory() as scratch:
        photographs(Path(scratch, "in"), given.images)
        sources = sorted(Path(scratch, "in").iterdir())
        parallel = many(plan([str(source) for source in sources], output=Path(scratch, "out"), plugin="x"))
        translator = Translator.load(given.model, given.device, parallel=parallel)
        ways = {
            "plain loop": (plain, session),
            "session alone": (alone, session),
            "i2i translate": (pipeline, translator),
        }
        speeds = {name: [] for name in ways}
        for way, opened in ways.values():  # the first of each plans, and warms the disk cache
            way(opened, sources[:4], Path(scratch, f"warm-{way.__name__}"))
        for start in range(0, given.images, given.slice):
            part = sources[start : start + given.slice]
            for name, (way, opened) in ways.items():
                begun = time.perf_counter()
                way(opened, part, Path(scratch, f"{way.__name__}-{start}"))
                speeds[name].append(len(part) / (time.perf_counter() - begun))
    median = {name: statistics.median(of) for name, of in speeds.items()}
    for name, of in speeds.items():
        print(f"{name}: {median[name]:.1f} images/s ({min(of):.1f} to {max(of):.1f})")
    for other in ("plain loop", "session alone"):
        print(f"i2i translate over {other}: {median['i2i translate'] / median[other]:.2f}")


if __name__ == "__main__":
    main()
