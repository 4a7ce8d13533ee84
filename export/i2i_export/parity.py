"""Whether an artifact computes what its network computes, on real inputs of several sizes and in several batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime
import torch

from i2i import noise
from i2i.artifact import INPUT, LABEL, NOISE, Parity
from i2i.errors import ExportError
from i2i.games.game import Export, NoiseExport
from i2i.images import Pixels, resize
from i2i.runtime.devices.device import usable_cores
from i2i_export.calibrate import Inputs
from i2i_export.onnx import deployable

TOLERANCE = 1  # of 255: a value on the edge between two levels may be rounded either way
_FLAT = 2.0  # levels, the deviation of an image that says nothing


def check(model: bytes, export: Export | NoiseExport, pictures: Sequence[Pixels]) -> Parity:
    """Compares the serialised model, on the CPU, with the network in its deployed form.

    pictures: real images, uint8 `[H, W, C]`, for a network that takes images; one that takes noise is given noise, and
    every class. Raises ExportError where any value differs by more than 1 of 255.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    network = deployable(export)
    largest, differing, values, cases = 0, 0, 0, 0
    for inputs in _of_images(pictures, export.multiple) if isinstance(export, Export) else _of_noise(export):
        shape = next(iter(inputs.values())).shape
        made = session.run(None, dict(inputs))[0].astype(np.int16)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy().astype(np.int16)
        if made.shape != expected.shape:
            raise ExportError(
                f"the exported graph makes {made.shape} of {shape}, the network {expected.shape}",
                "The network's `forward` fixes a size: compute it from the tensor's shape.",
            )
        difference = np.abs(made - expected)
        if difference.max() > TOLERANCE:
            raise ExportError(
                f"the exported graph differs from the network by {difference.max()} of 255 on a batch {shape}",
                "Nothing was written. A layer behaves otherwise in ONNX: look for randomness or training-mode layers.",
            )
        largest = max(largest, int(difference.max()))
        differing += int((difference > 0).sum())
        values += difference.size
        cases += shape[0]
    return Parity(cases=cases, largest=largest, differing=differing / values)


def _of_images(pictures: Sequence[Pixels], multiple: int) -> Iterator[Inputs]:
    # Of a plane of one colour, a norm divides rounding errors by nearly nothing: the network itself makes noise of it.
    pictures = [picture for picture in pictures if picture.std() > _FLAT] or pictures
    height, width = (max(multiple, side // multiple * multiple) for side in pictures[0].shape[:2])
    shapes = [(1, height, width), (1, height + multiple, 2 * width), (2, height, width + multiple), (3, height, width)]
    for count, tall, wide in shapes:
        chosen = [pictures[index % len(pictures)] for index in range(count)]
        yield {INPUT: np.stack([resize(picture, tall, wide) for picture in chosen])}


def _of_noise(export: NoiseExport) -> Iterator[Inputs]:
    for seed, count in enumerate((1, 3, max(8, len(export.classes)))):
        labels = {LABEL: np.arange(count) % len(export.classes)} if export.classes else {}
        yield {NOISE: noise.draw(seed, count, export.noise), **labels}
