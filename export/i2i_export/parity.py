"""Whether an artifact computes what its network computes, on real images of several sizes and in several batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime
import torch

from i2i.artifact import INPUT, Parity
from i2i.errors import ExportError
from i2i.games.game import Export
from i2i.images import Pixels, resize
from i2i_export.onnx import Deployable

TOLERANCE = 1  # of 255: a value on the edge between two levels may be rounded either way


def check(model: bytes, export: Export, pictures: Sequence[Pixels]) -> Parity:
    """Compares the serialised model, on the CPU, with the network in its deployed form.

    pictures: real images, uint8 `[H, W, C]`. Raises ExportError where any value differs by more than 1 of 255.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    network = Deployable(export.network).eval()
    largest, differing, values, cases = 0, 0, 0, 0
    for batch in _cases(pictures, export.multiple):
        made = session.run(None, {INPUT: batch})[0].astype(np.int16)
        with torch.no_grad():
            expected = network(torch.from_numpy(batch)).numpy().astype(np.int16)
        if made.shape != expected.shape:
            raise ExportError(
                f"the exported graph makes {made.shape} of {batch.shape}, the network {expected.shape}",
                "The network's `forward` fixes a size: compute it from the tensor's shape.",
            )
        difference = np.abs(made - expected)
        if difference.max() > TOLERANCE:
            raise ExportError(
                f"the exported graph differs from the network by {difference.max()} of 255 on a batch {batch.shape}",
                "Nothing was written. A layer behaves otherwise in ONNX: look for randomness or training-mode layers.",
            )
        largest = max(largest, int(difference.max()))
        differing += int((difference > 0).sum())
        values += difference.size
        cases += len(batch)
    return Parity(cases=cases, largest=largest, differing=differing / values)


def _cases(pictures: Sequence[Pixels], multiple: int) -> Iterator[Pixels]:
    height, width = (max(multiple, side // multiple * multiple) for side in pictures[0].shape[:2])
    shapes = [(1, height, width), (1, height + multiple, 2 * width), (2, height, width + multiple), (3, height, width)]
    for count, tall, wide in shapes:
        chosen = [pictures[index % len(pictures)] for index in range(count)]
        yield np.stack([resize(picture, tall, wide) for picture in chosen])
