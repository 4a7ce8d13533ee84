"""How much faster int8 is on this processor than fp32, by turns: python tests/benchmarks/int8.py [--rounds N]

Weights are random, which changes no time; calibration is on noise. Wanted: ResNet-9 at 256 px at least 2.2 times,
U-Net-256 at least 1.5. `rewritten` is fp32 in blocks of pixels and without transposed convolutions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch
from onnx import ModelProto

from i2i.artifact import INPUT
from i2i.games.game import Export
from i2i.nn.deploy import deployed
from i2i.nn.resnet import ResNet
from i2i.nn.srresnet import SRResNet
from i2i.nn.unet import UNet
from i2i.runtime.devices.saturation import EXACT, saturates
from i2i_export.calibrate import observe
from i2i_export.onnx import to_onnx
from i2i_export.quantize import convolutions, quantized, watched
from i2i_export.subpixel import blocked, subpixel

NETWORKS: dict[str, tuple[Callable[[], Export], int]] = {
    "ResNet-9, instance norm": (lambda: Export(deployed(ResNet(3, 3, blocks=9), "image"), 3, 3, 4), 256),
    "U-Net-256, image statistics": (lambda: Export(deployed(UNet(3, 3, depth=8), "image"), 3, 3, 256), 256),
    "SRResNet x4": (lambda: Export(deployed(SRResNet(3, 3), "running"), 3, 3, 1, scale=4), 64),
}


def variants(export: Export, side: int) -> tuple[dict[str, ModelProto], str]:
    """The graph in fp32, rewritten, and in int8; and how many convolutions compute in integers."""
    model = to_onnx(export)
    plain = blocked(subpixel(model), export.multiple * export.scale)
    picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    able = convolutions(plain)
    whole = sum(node.op_type == "Conv" for node in plain.graph.node)
    integers = quantized(plain, observe(plain, watched(plain), [{INPUT: picture}]), able)
    return {"fp32": model, "rewritten": plain, "int8": integers}, f"{len(able)} of {whole} convolutions"


def seconds(models: dict[str, ModelProto], side: int, rounds: int, threads: int) -> dict[str, list[float]]:
    """The times of each, taken by turns, after a first run that is not counted."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if saturates():
        options.add_session_config_entry(EXACT, "1")
    sessions = {
        name: onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for name, model in models.items()
    }
    picture = {INPUT: np.zeros((1, side, side, 3), np.uint8)}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, session in sessions.items():
            begin = time.perf_counter()
            session.run(None, picture)
            if number:
                taken[name].append(time.perf_counter() - begin)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.manual_seed(0)
    for name, (build, side) in NETWORKS.items():
        models, how = variants(build(), side)
        taken = seconds(models, side, given.rounds, given.threads)
        whole = np.median(taken["fp32"])
        print(f"{name}, {side} px, {given.threads} threads; {how}")
        for variant, times in taken.items():
            size = len(models[variant].SerializeToString()) / 1e6
            each = [before / after for before, after in zip(taken["fp32"], times, strict=True)]
            low, high = np.percentile(each, [25, 75])
            median = np.median(times)
            print(
                f"  {variant:10} {1e3 * median:8.1f} ms  {whole / median:5.2f} x fp32 "
                f"(quartiles of the rounds {low:.2f} to {high:.2f})  {size:6.1f} MB"
            )


if __name__ == "__main__":
    main()
