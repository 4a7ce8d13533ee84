"""Protobuf's wire format, read and written: enough of it to look into an ONNX file and to change one, without onnx.

A message is a sequence of numbered fields. Where a field that holds one value comes twice the last one counts, so a
message is changed by appending to it. Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final

Data = bytes | memoryview | mmap.mmap
_FIXED_LENGTHS: Final = {1: 8, 5: 4}  # wire type -> bytes


def fields(data: Data, at: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """The number of each field of the message at `at` to `end`, and where its payload begins and ends.

    Raises ValueError or IndexError where it is no message, or lies outside the data.
    """
    stop = len(data) if end is None else end
    while at < stop:
        tag, at = read_varint(data, at)
        wire = tag & 7
        begin = at
        if wire == 0:
            _, at = read_varint(data, at)
        elif wire == 2:
            length, begin = read_varint(data, at)
            at = begin + length
        elif wire in _FIXED_LENGTHS:
            at += _FIXED_LENGTHS[wire]
        else:
            raise ValueError("unknown wire type")
        if at > stop:
            raise ValueError("cut off")
        yield tag >> 3, begin, at


def read_varint(data: Data, at: int) -> tuple[int, int]:
    """The integer at `at`, and where it ends; raises ValueError or IndexError where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("number too long")


def varint(value: int) -> bytes:
    """The integer, 64 bits at most and negative ones as their complement, as bytes."""
    value &= (1 << 64) - 1
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def field(number: int, payload: bytes | memoryview | str | int) -> bytes:
    """A field of a message: bytes, which may be a message, text, or an integer."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    held = payload.encode() if isinstance(payload, str) else bytes(payload)
    return varint(number << 3 | 2) + varint(len(held)) + held
