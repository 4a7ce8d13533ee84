"""Tiny artifacts built without torch: what they compute is plain enough to be computed again in a test."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from i2i.artifact import INPUT, OUTPUT, Description, Parity


def describe(**changes: Any) -> Description:
    facts: dict[str, Any] = {
        "plugin": "pix2pix",
        "plugin_version": "1",
        "i2i_version": "0",
        "channels_in": 3,
        "channels_out": 3,
        "multiple": 1,
        "minimum": 1,
        "receptive_radius": 0,
        "statistics": "none",
        "trained_size": 256,
        "normalisation": "none",
        "batch_statistics": "none",
        "dropout": "none",
        "training": "none",
        "digest": "0",
        "parity": Parity(cases=1, largest=0, differing=0),
    }
    return Description(**{**facts, **changes})


def graph(description: Description, *, mirror: bool = False) -> onnx.ModelProto:
    """255 - x, with channels taken in turn, each pixel `scale` times, mirrored left to right if asked.

    It fails where height or width is no multiple of `multiple`, and its mirror brings what was padded on the right
    into what is kept, so that both the wrong padding and the wrong crop change the result.
    """
    cin, cout, scale = description.channels_in, description.channels_out, description.scale
    constants = {
        "white": np.float32(255),
        "turns": np.arange(cout, dtype=np.int64) % cin,
        "scales": np.array([1, 1, scale, scale], dtype=np.float32),
        "last": np.array([-1], dtype=np.int64),
        "first": np.array([np.iinfo(np.int64).min], dtype=np.int64),
        "axis": np.array([3], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["white", "float"], ["inverted"]),
        helper.make_node("Gather", ["inverted", "turns"], ["channels"], axis=3),
        helper.make_node("Transpose", ["channels"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("SpaceToDepth", ["nchw"], ["blocks"], blocksize=description.multiple),
        helper.make_node("DepthToSpace", ["blocks"], ["whole"], blocksize=description.multiple),
        helper.make_node(
            "Resize",
            ["whole", "", "scales"],
            ["scaled"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node("Slice", ["scaled", "last", "first", "axis", "last"], ["mirrored"]),
        helper.make_node("Transpose", ["mirrored" if mirror else "scaled"], ["nhwc"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["nhwc"], [OUTPUT], to=TensorProto.UINT8),
    ]
    return model(
        nodes,
        helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", "h", "w", cin]),
        helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", "h2", "w2", cout]),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def model(nodes: list[Any], given: Any, made: Any, constants: list[Any] | None = None) -> onnx.ModelProto:
    whole = helper.make_graph(nodes, "g", [given], [made], constants or [])
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def save(path: Path, proto: onnx.ModelProto, properties: dict[str, str]) -> Path:
    helper.set_model_props(proto, properties)
    onnx.save(proto, path)
    return path


def build(path: Path, *, mirror: bool = False, **changes: Any) -> Path:
    """Writes the artifact of `graph` with a description of its own."""
    description = describe(**changes)
    return save(path, graph(description, mirror=mirror), description.properties())
