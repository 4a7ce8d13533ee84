"""Tiny artifacts built without torch: what they compute is plain enough to be computed again in a test."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from i2i.artifact import INPUT, LABEL, NOISE, OUTPUT, Description, Parity


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
    whole = helper.make_graph(nodes, "g", given if isinstance(given, list) else [given], [made], constants or [])
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def describe_noise(**changes: Any) -> Description:
    facts: dict[str, Any] = {"kind": "noise", "plugin": "dcgan", "channels_in": 0, "noise": 5, "size": 4}
    return describe(**{**facts, **changes})


def noise_graph(description: Description) -> onnx.ModelProto:
    """Value number i of an image, pixel by pixel, is 100 + 40 * z[i modulo Z] + 10 * label, rounded and clipped."""
    side, channels, width = description.size, description.channels_out, description.noise
    constants = {
        "turns": np.arange(side * side * channels, dtype=np.int64) % width,
        "forty": np.float32(40),
        "ten": np.float32(10),
        "hundred": np.float32(100),
        "column": np.array([1], dtype=np.int64),
        "shape": np.array([-1, side, side, channels], dtype=np.int64),
        "low": np.float32(0),
        "high": np.float32(255),
    }
    with_label = [
        helper.make_node("Cast", [LABEL], ["class"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["class", "column"], ["classes"]),
        helper.make_node("Mul", ["classes", "ten"], ["shift"]),
        helper.make_node("Add", ["raised", "shift"], ["shifted"]),
    ]
    nodes = [
        helper.make_node("Gather", [NOISE, "turns"], ["flat"], axis=1),
        helper.make_node("Mul", ["flat", "forty"], ["scaled"]),
        helper.make_node("Add", ["scaled", "hundred"], ["raised"]),
        *(with_label if description.classes else []),
        helper.make_node("Round", ["shifted" if description.classes else "raised"], ["whole"]),
        helper.make_node("Clip", ["whole", "low", "high"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "shape"], ["nhwc"]),
        helper.make_node("Cast", ["nhwc"], [OUTPUT], to=TensorProto.UINT8),
    ]
    noise = helper.make_tensor_value_info(NOISE, TensorProto.FLOAT, ["n", width])
    label = helper.make_tensor_value_info(LABEL, TensorProto.INT64, ["n"])
    return model(
        nodes,
        [noise, label] if description.classes else [noise],
        helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", side, side, channels]),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def save(path: Path, proto: onnx.ModelProto, properties: dict[str, str]) -> Path:
    helper.set_model_props(proto, properties)
    onnx.save(proto, path)
    return path


def build(path: Path, *, mirror: bool = False, **changes: Any) -> Path:
    """Writes the artifact of `graph` with a description of its own."""
    description = describe(**changes)
    return save(path, graph(description, mirror=mirror), description.properties())


def build_noise(path: Path, **changes: Any) -> Path:
    """Writes the artifact of `noise_graph` with a description of its own."""
    description = describe_noise(**changes)
    return save(path, noise_graph(description), description.properties())
