"""Memory and time of `i2i translate` on one image of 16,384 x 16,384 pixels, through narrow CycleGAN generators.

`python tests/benchmarks/large_image.py [--side N] [--tile N]` prints, for a generator without norms and one with
instance norm, the process's peak resident memory and its seconds, and compares windows of the result with those that
the same generator makes of a crop at once. The image repeats a photograph-like pattern: a crop of whole periods has the
statistics of the image, but for what reflects at the borders.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from i2i.runtime.strips.rows import open_source
from i2i.runtime.strips.rows_write import open_sink

PERIOD = 512  # pixels of the pattern
CROP = 8 * PERIOD
WINDOW = 256
MARGIN = PERIOD  # more than any of these generators sees


def pattern():
    """Waves of many lengths with noise, uint8 `[PERIOD, PERIOD, 3]`, which fit together at the sides."""
    rng = np.random.default_rng(0)
    frequencies = np.hypot(np.fft.fftfreq(PERIOD)[:, None], np.fft.fftfreq(PERIOD)[None])
    falling = 1 / np.maximum(frequencies, 1 / PERIOD) ** 1.3  # as in photographs
    waves = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, PERIOD, PERIOD))) * falling).real
    waves = 120 + 45 * (waves - waves.mean()) / waves.std()
    return np.clip(np.moveaxis(waves, 0, -1), 0, 255).astype(np.uint8)


def write_image(path, side):
    """The pattern again and again."""
    strip = np.tile(pattern(), (1, -(-side // PERIOD), 1))[:, :side]
    with open_sink(path, side, side, 3) as sink:
        for top in range(0, side, PERIOD):
            sink.write(strip[: side - top])


def export(path, norm):
    """Writes a freshly drawn generator of 4 filters and 2 blocks; it imports torch, and has a process of its own."""
    import onnx
    import torch

    from i2i import plugin as plugins
    from i2i.artifact import Description, Parity
    from i2i.config import Layer, resolve
    from i2i_export.onnx import NORMALISATION, to_onnx
    from i2i_export.receptive import view

    manifest = plugins.load("cyclegan")
    config = resolve(manifest.config, [Layer("x", {"game": {"filters": 4, "blocks": 2, "norm": norm}})])
    torch.manual_seed(0)
    made = next(iter(manifest.build(config).exports().values()))
    for parameter in made.network.parameters():
        if parameter.dim() == 4:  # without norms a generator begins with zeros
            torch.nn.init.kaiming_normal_(parameter)
    model = to_onnx(made)
    words = dict.fromkeys(("plugin_version", "i2i_version", "batch_statistics", "dropout", "training", "digest"), "?")
    described = Description(
        plugin="cyclegan", channels_in=3, channels_out=3, multiple=made.multiple, minimum=made.minimum or made.multiple,
        trained_size=256, normalisation=NORMALISATION, parity=Parity(cases=0, largest=0, differing=0),
        **asdict(view(model.SerializeToString(), 3, made.multiple)), **words,
    )  # fmt: skip
    onnx.helper.set_model_props(model, described.properties())
    path.write_bytes(model.SerializeToString())


def compare(model, given, result):
    """Prints how far windows of the result are from what the model makes of a crop at once."""
    from i2i.runtime.translator import Translator

    rng = np.random.default_rng(1)
    with open_source(given, 3, given.parent, max_pixels=2**40) as source:
        side, crop = source.width, min(CROP, source.width)
        direct = Translator.load(model, "cpu", tile="off")(source.read(0, crop, 0, crop)).astype(int)
    last = side - WINDOW - MARGIN
    inside = [tuple(rng.integers(MARGIN, last, 2)) for _ in range(32)] if last > MARGIN else []
    squared, largest = [], 0
    with open_source(result, 3, result.parent, max_pixels=2**40) as source:
        assert (source.height, source.width) == (side, side)
        for top, left in [(0, 0), *inside]:
            found = source.read(top, top + WINDOW, left, left + WINDOW)
            row, column = (at if at < MARGIN else MARGIN + at % PERIOD for at in (top, left))
            difference = found - direct[row : row + WINDOW, column : column + WINDOW]
            squared.append(np.square(difference).mean())
            largest = max(largest, np.abs(difference).max())
    decibels = 10 * np.log10(255**2 / max(np.mean(squared), 1e-9))
    print(
        f"  {len(squared)} windows of {WINDOW} px: at most {largest} of 255 from those of a crop of {crop} px at once, "
        f"{decibels:.1f} dB"
    )


def child(*arguments):
    """Runs Python with these arguments; seconds, and bytes of its peak resident memory."""
    start = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, *map(str, arguments)], os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"failed: {' '.join(map(str, arguments))}")
    return time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main():
    """Prints three lines for each generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16_384)
    parser.add_argument("--tile", default="1024")
    parser.add_argument("--export", nargs=2, metavar=("PATH", "NORM"), help=argparse.SUPPRESS)
    parser.add_argument("--compare", nargs=3, type=Path, metavar=("MODEL", "GIVEN", "RESULT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.export:
        return export(Path(asked.export[0]), asked.export[1])
    if asked.compare:
        return compare(*asked.compare)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        folder, given = Path(scratch), Path(scratch) / "big.png"
        start = time.perf_counter()
        write_image(given, asked.side)
        size = given.stat().st_size / 2**20
        print(f"{asked.side} x {asked.side} pixels, a PNG of {size:.0f} MiB, in {time.perf_counter() - start:.1f} s")
        for norm in ("none", "instance"):
            model, result = folder / f"{norm}.onnx", folder / f"{norm}.png"
            child(__file__, "--export", model, norm)
            translate = ("-m", "i2i", "translate", given, "-m", model, "-o", result, "--device", "cpu")
            seconds, peak = child(*translate, "--tile", asked.tile, "--max-pixels", asked.side**2)
            print(f"norm {norm}: {peak / 2**30:.2f} GiB at most, {seconds:.1f} s")
            child(__file__, "--compare", model, given, result)
            result.unlink()
    return None


if __name__ == "__main__":
    main()
