"""Whether this processor's fast products of integers are wrong where they are large."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import onnxruntime

from i2i.runtime.model.protobuf import field

EXACT: Final = "session.x64quantprecision"  # onnxruntime's option for slower products that are right
_SIDE: Final = 64  # of the matrices: enough for the kernels that models run in
_UINT8, _INT8, _INT32 = 2, 3, 6  # ONNX's types


@cache
def saturates() -> bool:
    """Multiplies the largest codes and weights that there are, on the CPU.

    With AVX2 or AVX-512 but without VNNI, two products are added in 16 bits, which end at 32767. Where that is so,
    `EXACT` is to be "1"; elsewhere it would make a model in int8 as slow as one in fp32.
    """
    session = onnxruntime.InferenceSession(_product(), providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"codes": np.full((_SIDE, _SIDE), 255, np.uint8)})
    return bool((sums != _SIDE * 255 * 127).any())


def _product() -> bytes:
    """A model that multiplies `codes`, uint8 `[64, 64]`, by a matrix of 127, int8: `sums`, int32 `[64, 64]`."""
    weights = np.full((_SIDE, _SIDE), 127, np.int8).tobytes()
    held = field(1, _SIDE) + field(1, _SIDE) + field(2, _INT8) + field(8, "weights") + field(9, weights)
    node = field(1, "codes") + field(1, "weights") + field(2, "sums") + field(4, "MatMulInteger")
    graph = field(1, node) + field(2, "product") + field(5, held)
    graph += field(11, _matrix("codes", _UINT8)) + field(12, _matrix("sums", _INT32))
    return field(1, 10) + field(7, graph) + field(8, field(1, "") + field(2, 18))  # IR version 10, opset 18


def _matrix(name: str, element: int) -> bytes:
    side = field(1, field(1, _SIDE))
    return field(1, name) + field(2, field(1, field(1, element) + field(2, side + side)))
