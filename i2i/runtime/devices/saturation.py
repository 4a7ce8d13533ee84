"""Whether this processor's fast products of integers are wrong where they are large."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import onnxruntime

from i2i.runtime.model.messages import model, node, value

EXACT: Final = "session.x64quantprecision"  # onnxruntime's option for slower products that are right
_SIDE: Final = 64  # of the matrices: enough for the kernels that models run in


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
    shape = _SIDE, _SIDE
    codes, sums = value("codes", np.dtype(np.uint8), shape), value("sums", np.dtype(np.int32), shape)
    weights = np.full(shape, 127, np.int8)
    return model([node("MatMulInteger", ["codes", "weights"], "sums")], {"weights": weights}, [codes], [sums])
