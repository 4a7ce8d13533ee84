"""Small ONNX models written by hand, without package onnx; the numbers of fields are those of onnx.proto3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from i2i.runtime.model.protobuf import field

DTYPES: Final = {  # by ONNX's number
    **{1: "<f4", 10: "<f2", 11: "<f8", 9: "|b1"},
    **{2: "|u1", 4: "<u2", 12: "<u4", 13: "<u8", 3: "|i1", 5: "<i2", 6: "<i4", 7: "<i8"},
}
_NUMBERS: Final = {np.dtype(name): number for number, name in DTYPES.items()}
_IR, _OPSET = 10, 18  # versions of the format and of the operators
_INTEGER: Final = 2  # an attribute's type


def model(
    nodes: Sequence[bytes], constants: Mapping[str, NDArray[Any]], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    """A model of nodes in order, of constants by name, and of inputs and outputs as `value` writes them."""
    graph = [
        *(field(1, each) for each in nodes),
        field(2, "graph"),
        *(field(5, _tensor(name, array)) for name, array in constants.items()),
        *(field(11, each) for each in inputs),
        *(field(12, each) for each in outputs),
    ]
    return field(1, _IR) + field(7, b"".join(graph)) + field(8, field(1, "") + field(2, _OPSET))


def node(kind: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    """An operator of ONNX with one output and attributes that are integers."""
    held = (field(1, name) + field(3, value) + field(20, _INTEGER) for name, value in attributes.items())
    read = b"".join(field(1, name) for name in inputs)
    return read + field(2, output) + field(4, kind) + b"".join(field(5, each) for each in held)


def value(name: str, dtype: np.dtype[Any], shape: Sequence[int | str]) -> bytes:
    """An input or output: its name, type and dimensions, which are sizes or, where free, names."""
    dimensions = [field(1, field(2 if isinstance(size, str) else 1, size)) for size in shape]
    return field(1, name) + field(2, field(1, field(1, _NUMBERS[dtype]) + field(2, b"".join(dimensions))))


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    sizes = b"".join(field(1, size) for size in array.shape)
    return sizes + field(2, _NUMBERS[array.dtype]) + field(8, name) + field(9, array.tobytes())
