"""Files that are no model, or a hostile one: each must be refused by name before onnxruntime sees it."""

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from i2i.errors import ArtifactError
from i2i.runtime.model import onnxfile
from i2i.runtime.model.find import find_model
from i2i.runtime.model.protobuf import field
from i2i.runtime.translator import Translator

FUZZED = 300


@pytest.fixture
def save(tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`save(change)` writes a good model after `change` has had its way with it; no session may be made of it."""

    def write(change: Callable[[onnx.ModelProto], object]) -> Path:
        proto = models.graph(models.describe())
        change(proto)
        saved: Path = models.save(tmp_path / "m.onnx", proto, models.describe().properties())
        monkeypatch.setattr(onnxruntime, "InferenceSession", None)
        return saved

    return write


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        Translator.load(path, "cpu")
    assert str(caught.value).startswith(f"{path}: ")
    assert all(part in str(caught.value) for part in (*parts, "\n  "))


@pytest.mark.parametrize("domain", ["com.evil", "ai.onnx.contrib", "com.microsoft.extensions", "trt.plugins"])
def test_operators_that_onnxruntime_does_not_have(save: Any, domain: str) -> None:
    path = save(lambda proto: proto.graph.node.append(helper.make_node("Summon", ["image"], ["z"], domain=domain)))
    refused(path, f"needs operator 'Summon' of '{domain}'")


@pytest.mark.parametrize("domain", ["", "ai.onnx", "com.microsoft", "ai.onnx.ml"])
def test_operators_that_it_has(save: Any, domain: str) -> None:
    onnxfile.check(
        save(lambda proto: proto.graph.node.append(helper.make_node("Any", ["image"], ["z"], domain=domain)))
    )


def test_operators_that_reach_out_of_the_file(save: Any) -> None:
    node = helper.make_node("EPContext", ["image"], ["z"], domain="com.microsoft", ep_cache_context="../../engine")
    refused(save(lambda proto: proto.graph.node.append(node)), "needs operator 'EPContext'", "another program")


def test_operators_inside_a_branch(save: Any) -> None:
    out = helper.make_tensor_value_info("y", TensorProto.UINT8, [1])
    inner = helper.make_graph([helper.make_node("Summon", [], ["y"], domain="com.evil")], "branch", [], [out])
    node = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    refused(save(lambda proto: proto.graph.node.append(node)), "'Summon' of 'com.evil'")


def test_names_cannot_steer_the_terminal(save: Any) -> None:
    path = save(
        lambda proto: proto.graph.node.append(helper.make_node("\x1b[2Jclear\nnext", ["image"], ["z"], domain="x"))
    )
    with pytest.raises(ArtifactError) as caught:
        Translator.load(path, "cpu")
    assert "'?[2Jclear' of 'x'" in str(caught.value)


def functions(*bodies: tuple[str, list[str]]) -> Callable[[onnx.ModelProto], None]:
    """Functions of the model's own domain, each with the operators it calls; the graph calls the first one."""

    def change(proto: onnx.ModelProto) -> None:
        own = [helper.make_opsetid("own", 1), helper.make_opsetid("", 18)]
        for name, calls in bodies:
            nodes = [helper.make_node(call, ["x"], ["y"], domain="own" if call[0] == "F" else "") for call in calls]
            proto.functions.append(helper.make_function("own", name, ["x"], ["y"], nodes, own))
        proto.graph.node.append(helper.make_node(bodies[0][0], ["image"], ["z"], domain="own"))

    return change


def test_functions_of_the_model_itself_are_its_own_operators(save: Any) -> None:
    onnxfile.check(save(functions(("F1", ["F2", "F2"]), ("F2", ["Relu"]))))


def test_a_function_may_not_call_what_is_not_there(save: Any) -> None:
    refused(save(functions(("F1", ["F2"]))), "needs operator 'F2' of 'own'")


def test_functions_that_grow_without_end(save: Any) -> None:
    refused(save(functions(("F1", ["F2"]), ("F2", ["F1"]))), "call each other for ever")
    refused(save(functions(("F1", ["F1"]))), "call each other for ever")
    tower = [(f"F{level}", [f"F{level + 1}"] * 10) for level in range(1, 7)]
    refused(save(functions(*tower, ("F7", ["Relu"]))), "more than 100,000 nodes")


def tensor(**facts: Any) -> Callable[[onnx.ModelProto], None]:
    return lambda proto: proto.graph.initializer.append(TensorProto(name="w", **facts))


@pytest.mark.parametrize(
    "facts",
    [
        {"data_type": TensorProto.FLOAT, "dims": [1_000_000, 1_000_000], "raw_data": bytes(16)},
        {"data_type": TensorProto.FLOAT, "dims": [1_000_000, 1_000_000]},
        {"data_type": TensorProto.FLOAT, "dims": [-1], "raw_data": bytes(16)},
        {"data_type": TensorProto.FLOAT, "dims": [2**32, 2**32], "raw_data": b""},  # 0 modulo 2^64
        {"data_type": TensorProto.FLOAT, "dims": [3], "raw_data": bytes(16)},
        {"data_type": TensorProto.FLOAT, "dims": [5], "float_data": [1, 2, 3, 4]},
        {"data_type": TensorProto.INT64, "dims": [2], "int64_data": [1]},
        {"data_type": TensorProto.STRING, "dims": [3], "string_data": [b"a", b"b"]},
        {"data_type": TensorProto.INT4, "dims": [3], "raw_data": bytes(1)},
    ],
)
def test_tensors_that_claim_more_than_they_hold(save: Any, facts: dict[str, Any]) -> None:
    refused(save(tensor(**facts)), "its tensor 'w' claims")


@pytest.mark.parametrize(
    "facts",
    [
        {"data_type": TensorProto.FLOAT, "dims": [2, 2], "raw_data": bytes(16)},
        {"data_type": TensorProto.FLOAT, "dims": [], "raw_data": bytes(4)},
        {"data_type": TensorProto.FLOAT, "dims": [0, 7]},
        {"data_type": TensorProto.FLOAT, "dims": [4], "float_data": [1, 2, 3, 4]},
        {"data_type": TensorProto.FLOAT16, "dims": [2], "int32_data": [1, 2]},
        {"data_type": TensorProto.INT64, "dims": [3], "int64_data": [1, 2**40, -1]},
        {"data_type": TensorProto.DOUBLE, "dims": [2], "double_data": [1, 2]},
        {"data_type": TensorProto.STRING, "dims": [2], "string_data": [b"", b"b"]},
        {"data_type": TensorProto.INT4, "dims": [3], "raw_data": bytes(2)},
        {"data_type": TensorProto.INT4, "dims": [3], "int32_data": [1, 2]},
    ],
)
def test_tensors_that_hold_what_they_claim(save: Any, facts: dict[str, Any]) -> None:
    onnxfile.check(save(tensor(**facts)))


def test_a_tensor_of_an_attribute(save: Any) -> None:
    value = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[10**12], raw_data=bytes(4))
    node = helper.make_node("Constant", [], ["z"], value=value)
    refused(save(lambda proto: proto.graph.node.append(node)), "claims 1,000,000,000,000 elements")


def test_sparse_tensors(save: Any) -> None:
    def change(proto: onnx.ModelProto) -> None:
        values = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], raw_data=bytes(4))
        places = TensorProto(name="i", data_type=TensorProto.INT64, dims=[1], raw_data=bytes(8))
        proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [10**12]))

    refused(save(change), "holds sparse tensors")


def test_weights_elsewhere_need_no_key(save: Any) -> None:
    path = save(tensor(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL))
    refused(path, "weights in other files")


def nested(depth: int) -> bytes:
    """A graph with a node with an attribute with a graph, and so on."""
    graph = field(2, "g")
    for _ in range(depth):
        graph = field(1, field(4, "If") + field(5, field(1, "body") + field(6, graph)))
    return field(7, graph)


def test_graphs_in_graphs(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(nested(3))
    onnxfile.check(path)
    for depth in (20, 3000):
        path.write_bytes(nested(depth))
        refused(path, "graphs in graphs")


def test_more_nodes_than_any_network_has(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(field(7, field(1, field(4, "Relu")) * 100_001))
    refused(path, "more than 100,000 nodes")


def test_more_fields_than_are_worth_to_step_over(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(field(7, b"\x78\x00" * 3_000_000))
    refused(path, "more than 2,000,000 parts")


def test_files_beyond_what_protobuf_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 5)  # a hole: it takes no space
    refused(path, "2.0 GiB", "2 GiB at most")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes among the files")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    refused(pipe, "no file, but a folder, a pipe or a device")
    link = tmp_path / "link.onnx"
    link.symlink_to(pipe)
    refused(link, "no file, but a folder, a pipe or a device")
    refused(Path("/dev/zero"), "no file, but a folder, a pipe or a device")
    with pytest.raises(ArtifactError, match="Is a directory"):
        onnxfile.check(tmp_path)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no sockets among the files")
def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.onnx")
        refused(tmp_path / "s.onnx", "cannot be read")


def test_links_to_files_and_dangling_ones(tmp_path: Path, models: Any) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(models.build(tmp_path / "m.onnx"))
    assert Translator.load(link, "cpu").device == "cpu"
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="there is no such file"):
        find_model(link)


def test_a_description_that_would_break_arithmetic(tmp_path: Path, models: Any) -> None:
    proto, properties = models.graph(models.describe()), models.describe().properties()
    wrong = {"multiple": "0", "minimum": "-1", "scale": "100000000000", "channels_out": "5", "operations": "NaN"}
    for name, text in wrong.items():
        path = models.save(tmp_path / "m.onnx", proto, {**properties, f"i2i.{name}": text})
        refused(path, f"incomplete or damaged: {name}")
    refused(models.save(tmp_path / "m.onnx", proto, {**properties, "i2i.parity": "[" * 100_000}), "parity", "JSON")


def test_the_first_input_of_four_dimensions(models: Any) -> None:
    assert onnxfile.first_image(models.graph(models.describe()).SerializeToString()) == ("n", "h", "w", 3)
    assert onnxfile.first_image(models.noise_graph(models.describe_noise()).SerializeToString()) == ()


def test_damaged_files_are_refused_or_open(tmp_path: Path, models: Any) -> None:
    """Files cut off, or with a few bits turned over: an ArtifactError or a model, and never anything else."""
    whole = models.build(tmp_path / "whole.onnx", multiple=2, scale=2).read_bytes()
    path = tmp_path / "m.onnx"
    opened, errors = 0, []
    for number in range(FUZZED):
        chance = random.Random(number)
        damaged = bytearray(whole)
        if chance.random() < 0.2:
            del damaged[chance.randrange(len(damaged)) :]
        for _ in range(chance.choice((1, 1, 2, 4, 16)) if len(damaged) == len(whole) else 0):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            Translator.load(path, "cpu")
            opened += 1
        except ArtifactError as error:
            errors.append(str(error))
    assert opened > FUZZED / 50
    assert len(errors) > FUZZED / 2
    assert all(error.startswith(f"{path}: ") for error in errors)
    assert all(letter.isprintable() for error in errors for letter in error.replace("\n", ""))
