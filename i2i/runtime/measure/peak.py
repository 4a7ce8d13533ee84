"""How fast this machine multiplies matrices: what the speed of a model is measured against."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from i2i.errors import OutOfMemoryError
from i2i.runtime.model.messages import model, node, value

if TYPE_CHECKING:
    from i2i.runtime.session import Session

_SIDES: Final = (1024, 2048, 4096, 8192)  # of the matrices; a GPU needs large ones
_PRODUCTS: Final = 4  # in a row, so that what comes before and after them does not count
_ROUNDS: Final = 5
_LONG_ENOUGH: Final = 0.05  # seconds of a run: larger matrices would not be multiplied faster


def matrix_peak(session: Session) -> float:
    """The multiplications per second of float32 matrix products, where and as `session` runs: the fastest seen.

    Only one number goes in and one comes out, so that on a GPU no transfer is measured. Raises OutOfMemoryError and
    ArtifactError as a model does, and the former only where not even the smallest matrices fit.
    """
    fastest = 0.0
    for side in _SIDES:
        try:
            taken = _seconds(session, side)
        except (MemoryError, OutOfMemoryError):
            if not fastest:
                raise
            break
        fastest = max(fastest, _PRODUCTS * side**3 / taken)
        if taken > _LONG_ENOUGH:
            break
    return fastest


def _seconds(session: Session, side: int) -> float:
    """Of the fastest run; the first, which warms up, does not count."""
    seconds = []
    with TemporaryDirectory(ignore_cleanup_errors=True) as engines:  # not beside the model, which is the user's
        graph = session.sibling(products(side), engines=Path(engines))
        for _ in range(1 + _ROUNDS):
            start = time.perf_counter()
            graph.run(["largest"], {"scale": np.ones(1, np.float32)}, f"{side} x {side} matrices")
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def products(side: int) -> bytes:
    """A model that multiplies a random matrix, `scale` times, by itself again and again, and gives the largest number.

    `scale` is float32 `[1]`, which keeps an optimiser from computing the products once and for all; `largest` is
    float32 `[]`. The numbers have a deviation of 1 / sqrt(side), so that products are no larger than their factors.
    """
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32) / np.float32(side**0.5)
    nodes = [node("Mul", ["matrix", "scale"], "product0")]
    nodes += [node("MatMul", [f"product{i}", "matrix"], f"product{i + 1}") for i in range(_PRODUCTS)]
    nodes += [node("ReduceMax", [f"product{_PRODUCTS}"], "largest", keepdims=0)]
    given, made = value("scale", matrix.dtype, (1,)), value("largest", matrix.dtype, ())
    return model(nodes, {"matrix": matrix}, [given], [made])
