"""Whole processes: `i2i --help`, and `i2i translate` of one image of 256 px, beside importing onnxruntime.

`python tests/benchmarks/startup.py [--rounds N]` prints medians and ratios, and whether torch was imported.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

from i2i import plugin as plugins
from i2i.artifact import Description, Parity
from i2i.config import Layer, resolve
from i2i.training.average import Average
from i2i_export.onnx import to_onnx


def artifact(folder, size, filters):
    """A freshly initialised pix2pix as an artifact."""
    manifest = plugins.load("pix2pix")
    config = resolve(manifest.config, [Layer("x", {"data": {"size": size}, "game": {"filters": filters}})])
    torch.manual_seed(0)
    export = Average(manifest.build(config), 0).game.exports()["G"]
    model = to_onnx(export)
    words = dict.fromkeys(
        ("plugin_version", "i2i_version", "normalisation", "batch_statistics", "dropout", "training", "digest"), "?"
    )
    described = Description(
        plugin="pix2pix", channels_in=3, channels_out=3, multiple=export.multiple, minimum=export.multiple,
        receptive_radius=0, statistics="image", trained_size=size,
        parity=Parity(cases=0, largest=0, differing=0), **words,
    )  # fmt: skip
    onnx.helper.set_model_props(model, described.properties())
    path = folder / f"unet-{size}-{filters}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def seconds(command):
    """Of one whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def imports_torch(command):
    """Whether a Python process with these arguments imports torch."""
    shown = subprocess.run([command[0], "-X", "importtime", *command[1:]], check=True, capture_output=True, text=True)
    return any(line.rpartition("|")[2].strip() == "torch" for line in shown.stderr.splitlines())


def main():
    """Prints a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8)).save(folder / "input.png")
        i2i = [sys.executable, "-m", "i2i"]
        translate = [*i2i, "translate", str(folder / "input.png"), "--overwrite", "--device", "cpu", "-m"]
        commands = {
            "import onnxruntime": [sys.executable, "-c", "import onnxruntime"],
            "i2i --help": [*i2i, "--help"],
            "i2i translate, U-Net of the CPU preset (7 M)": [*translate, str(artifact(folder, 64, 32))],
            "i2i translate, published U-Net-256 (54 M)": [*translate, str(artifact(folder, 256, 64))],
        }
        taken = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                elapsed = seconds(command)
                if number:  # the first of each warms the disk cache
                    taken[name].append(elapsed)
        base = statistics.median(taken["import onnxruntime"])
        for name, command in commands.items():
            median = statistics.median(taken[name])
            print(
                f"{name}: {median:.3f} s ({min(taken[name]):.3f} to {max(taken[name]):.3f}), "
                f"{median / base:.2f} of import onnxruntime; imports torch: {json.dumps(imports_torch(command))}"
            )


if __name__ == "__main__":
    main()
