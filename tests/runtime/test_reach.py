"""Graphs of many kinds in pieces: each pixel is that of the whole, or the graph is said to see the whole image."""

from dataclasses import asdict

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from i2i.artifact import INPUT, OUTPUT
from i2i.runtime.translator import Translator
from i2i_export.receptive import view

RNG = np.random.default_rng(0)
IMAGE = np.clip(RNG.normal(128, 70, (72, 104, 3)) + np.linspace(-60, 60, 104)[:, None], 0, 255).astype(np.uint8)
SAME = {"pads": [1, 1, 1, 1]}


def weights(*shape):
    return RNG.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)


def node(kind, *inputs, out="y", **attributes):
    return helper.make_node(kind, list(inputs), [out] if isinstance(out, str) else out, **attributes)


def resized(scale, mode, **attributes):
    scales = {"none": np.array([], np.float32), "scales": np.array([1, 1, scale, scale], np.float32)}
    return [node("Resize", "x", "none", "scales", mode=mode, **attributes)], scales


# What lies between `x` and `y`, both [N, 3, H, W] but for the scale: nodes, constants; and whether a window must do.
GRAPHS = {
    "conv of even size": ([node("Conv", "x", "w", pads=[0, 1, 1, 0])], {"w": weights(3, 3, 2, 2)}, True),
    "dilated": ([node("Conv", "x", "w", dilations=[3, 2], pads=[3, 2, 3, 2])], {"w": weights(3, 3, 3, 3)}, True),
    "reflected": (
        [node("Pad", "x", "p", out="q", mode="reflect"), node("Conv", "q", "w")],
        {"p": np.array([0, 0, 2, 1, 0, 0, 2, 1]), "w": weights(3, 3, 5, 3)},
        True,
    ),
    "wrapped": (
        [node("Pad", "x", "p", out="q", mode="wrap"), node("Conv", "q", "w")],
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "w": weights(3, 3, 3, 3)},
        False,
    ),
    "pooled": (
        [
            node("MaxPool", "x", out="m", kernel_shape=[3, 3], strides=[2, 2], **SAME),
            node("ConvTranspose", "m", "w", strides=[2, 2], output_padding=[1, 1], **SAME),
        ],
        {"w": weights(3, 3, 3, 3)},
        True,
    ),
    "averaged without padding": (
        [
            node("AveragePool", "x", out="m", kernel_shape=[3, 3], strides=[2, 2], **SAME),
            node("ConvTranspose", "m", "w", strides=[2, 2], pads=[1, 1, 1, 1]),
        ],
        {"w": weights(3, 3, 4, 4)},
        True,
    ),
    "places of maxima": (
        [
            node("MaxPool", "x", out=["m", "i"], kernel_shape=[3, 3], **SAME),
            node("Cast", "i", out="f", to=TensorProto.FLOAT),
            node("Mod", "f", "two", out="o", fmod=1),
            node("Add", "m", "o"),
        ],
        {"two": np.float32(2)},
        False,
    ),
    "repeated": (*resized(2, "nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), True),
    "linear": (*resized(2, "linear"), True),
    "linear by four": (*resized(4, "linear", coordinate_transformation_mode="pytorch_half_pixel"), True),
    "cubic": (*resized(2, "cubic", coordinate_transformation_mode="half_pixel"), True),
    "aligned corners": (*resized(2, "linear", coordinate_transformation_mode="align_corners"), False),
    "blocks": (
        [
            node("SpaceToDepth", "x", out="s", blocksize=4),
            node("Conv", "s", "w", out="c", **SAME),
            node("DepthToSpace", "c", blocksize=4, mode="CRD"),
        ],
        {"w": weights(48, 48, 3, 3)},
        True,
    ),
    "cropped": (
        [
            node("Conv", "x", "w", out="c", pads=[2, 2, 2, 2]),
            node("Slice", "c", "a", "b", "d"),
        ],
        {"w": weights(3, 3, 3, 3), "a": np.array([1, 1]), "b": np.array([-1, -1]), "d": np.array([2, 3])},
        True,
    ),
    "a channel's slope": (
        [node("Conv", "x", "w", out="c", **SAME), node("PRelu", "c", "s")],
        {"w": weights(3, 3, 3, 3), "s": weights(3, 1, 1)},
        True,
    ),
    "a stride of its own": (
        [
            node("Conv", "x", "w", out="c", strides=[3, 3], pads=[1, 1, 1, 1]),
            node("ConvTranspose", "c", "v", strides=[3, 3]),
        ],
        {"w": weights(3, 3, 3, 3), "v": weights(3, 3, 3, 3)},
        False,  # sizes are multiples of 4
    ),
    "two norms of one value": (
        [
            node("Conv", "x", "w", out="c", pads=[7, 7, 7, 7]),
            node("Sigmoid", "c", out="k"),
            node("InstanceNormalization", "c", "one", "zero", out="n"),
            node("Relu", "n", out="r"),
            node("Conv", "r", "w", out="d", pads=[7, 7, 7, 7]),
            node("InstanceNormalization", "c", "one", "half", out="m"),
            node("Add", "d", "m", out="e"),
            node("Add", "e", "k"),
        ],
        {
            "w": weights(3, 3, 15, 15),
            **{n: np.full(3, v, np.float32) for n, v in (("one", 1), ("zero", 0), ("half", 0.5))},
        },
        True,
    ),
    "a norm off the grid": (
        [
            node("Conv", "x", "w", out="c"),
            node("InstanceNormalization", "c", "one", "zero", out="n"),
            node("Pad", "n", "p", mode="reflect"),
        ],
        {
            "w": weights(3, 3, 3, 3),
            "one": np.ones(3, np.float32),
            "zero": np.zeros(3, np.float32),
            "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        },
        False,
    ),
    "the nearest of the channels": (
        [
            node("Slice", "x", "0", "1", "1", out="red"),
            node("Slice", "x", "1", "3", "1", out="rest"),
            node("Slice", "rest", "1", "2", "1", out="blue"),
            node("Sub", "red", "palette", out="of red"),
            node("Sub", "blue", "palette", out="of blue"),
            node("Mul", "of red", "of blue", out="far"),
            node("ReduceMin", "far", "1", out="least"),
            node("ReduceMax", "far", "1", out="most", keepdims=1),
            node("Sub", "far", "least", out="d"),
            node("Mul", "d", "most", out="e"),
            node("Conv", "e", "w", **SAME),
        ],
        {
            "palette": weights(1, 5, 1, 1),
            "w": weights(3, 5, 3, 3) / 2,
            **{str(n): np.array([n]) for n in (0, 1, 2, 3)},
        },
        True,
    ),
    "the least of the rows": (
        [node("ReduceMin", "x", "rows", out="m"), node("Sub", "x", "m")],
        {"rows": np.array([2])},
        False,
    ),
    "a mean of all": (
        [node("ReduceMean", "x", "d", out="m"), node("Add", "x", "m")],
        {"d": np.array([2, 3])},
        False,
    ),
    "a branch": (
        [
            helper.make_node(
                "If",
                ["yes"],
                ["y"],
                then_branch=helper.make_graph(
                    [helper.make_node("ReduceMean", ["x"], ["t"])], "t", [], [helper.make_empty_tensor_value_info("t")]
                ),
                else_branch=helper.make_graph(
                    [helper.make_node("Identity", ["x"], ["f"])], "f", [], [helper.make_empty_tensor_value_info("f")]
                ),
            )
        ],
        {"yes": np.array(False)},
        False,
    ),
}


def built(name, tmp_path, models):
    nodes, constants, _ = GRAPHS[name]
    around = {"middle": np.float32(127.5), "low": np.float32(0), "high": np.float32(255)}
    before = [
        node("Cast", INPUT, out="floats", to=TensorProto.FLOAT),
        node("Transpose", "floats", out="planes", perm=[0, 3, 1, 2]),
        node("Div", "planes", "middle", out="x"),
    ]
    after = [
        node("Mul", "y", "middle", out="scaled"),
        node("Round", "scaled", out="rounded"),
        node("Clip", "rounded", "low", "high", out="clipped"),
        node("Cast", "clipped", out="bytes", to=TensorProto.UINT8),
        node("Transpose", "bytes", out=OUTPUT, perm=[0, 2, 3, 1]),
    ]
    graph = models.model(
        [*before, *nodes, *after],
        helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", "h", "w", 3]),
        helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, ["n", "h2", "w2", 3]),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (around | constants).items()],
    )
    scale = 4 if "four" in name else 2 if name in ("repeated", "linear", "cubic", "aligned corners") else 1
    seen = view(graph.SerializeToString(), 3, 4)
    described = models.describe(multiple=4, minimum=4, scale=scale, **asdict(seen))
    return models.save(tmp_path / "model.onnx", graph, described.properties())


@pytest.mark.parametrize("name", GRAPHS)
def test_a_window_suffices_or_the_graph_says_that_it_does_not(name, tmp_path, models):
    path = built(name, tmp_path, models)
    pieces = Translator.load(path, "cpu", tile=8)
    assert (pieces.description.view == "window") == GRAPHS[name][2]
    if GRAPHS[name][2]:
        whole = Translator.load(path, "cpu", tile="off")(IMAGE).astype(int)
        assert whole.std() > 10
        assert np.abs(whole - pieces(IMAGE)).max() <= 1
    else:
        assert "approximation" in pieces.approximate(104, 72)
