"""What tiling is made of: windows along an axis, statistics that are merged, protobuf's wire format."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from i2i.runtime.model import protobuf
from i2i.runtime.tiles.layout import Axis
from i2i.runtime.tiles.moments import Moments


@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 30), st.integers(1, 16))
def test_pieces_cover_an_axis_once_and_overlap_by_the_halo(multiples, side, halo, align):
    axis = Axis(multiples * align, side, halo, align)
    pieces = list(axis.pieces())
    assert [piece.begin for piece in pieces] == [0, *(piece.end for piece in pieces[:-1])]
    assert pieces[-1].end == axis.length
    for piece in pieces:
        assert piece.begin < piece.end
        stop = piece.start + axis.window
        assert piece.start >= 0
        assert stop <= axis.length
        assert piece.start % align == 0
        assert piece.begin % align == 0
        assert piece.start == 0 or piece.begin - piece.start >= halo
        assert stop == axis.length or stop - piece.end >= halo


@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_moments_of_pieces_are_those_of_the_whole(mean):
    values = np.random.default_rng(0).normal(mean, 2, (5, 40, 60)).astype(np.float32)
    values[1] *= 1e-3
    pieces = [Moments.of(part) for rows in np.split(values, [7, 30], axis=1) for part in np.split(rows, [11], axis=2)]
    merged = pieces[0]
    for piece in pieces[1:]:
        merged = merged.merged(piece)
    exact = values.astype(np.float64)
    assert merged.count == 40 * 60
    assert np.allclose(merged.mean, exact.mean(axis=(1, 2)), rtol=1e-6, atol=1e-6)
    assert np.allclose(merged.variance, exact.var(axis=(1, 2)), rtol=1e-4)


def test_half_precision_does_not_overflow():
    values = np.full((1, 256, 256), 60_000, np.float16)
    values[0, 0, 0] = -60_000
    found = Moments.of(values)
    assert np.allclose(found.variance, values.astype(np.float64).var(), rtol=1e-3)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_written_as_protobuf_does(value):
    written = protobuf.field(3, value)
    assert written == onnx.AttributeProto(i=value).SerializeToString()
    assert protobuf.read_varint(written, 1) == (value % 2**64, len(written))


def test_appending_to_a_message_changes_it():
    node = helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], epsilon=0.5)
    changed = node.SerializeToString() + protobuf.field(4, "BatchNormalization") + protobuf.field(1, "mean")
    read = onnx.NodeProto.FromString(changed)
    assert (read.op_type, list(read.input)) == ("BatchNormalization", ["x", "s", "b", "mean"])
    assert helper.get_attribute_value(read.attribute[0]) == 0.5


@pytest.mark.parametrize("broken", [b"\x80" * 11, b"\x0a\x05ab", b"\x0b", b"\x80"])
def test_what_is_no_message_is_an_error(broken):
    with pytest.raises((ValueError, IndexError)):
        list(protobuf.fields(broken))
