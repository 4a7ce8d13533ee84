from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from i2i.errors import ArtifactError
from i2i.runtime.generator import Generator
from i2i.runtime.translator import Translator


def refused(path: Path, *parts: str) -> None:
    """Opening `path` must fail with its name, each of `parts`, and a next step on a line of its own."""
    with pytest.raises(ArtifactError) as caught:
        Translator.load(path, "cpu")
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    for part in parts:
        assert part in message
    assert "\n  " in message


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "no.onnx", "no such file")


def test_directory_without_a_model(tmp_path: Path) -> None:
    refused(tmp_path, "holds no model.onnx", "i2i export")


@pytest.mark.parametrize("content", [b"", b"\0", b"some text\n" * 50, b"\x08\x07", b"PK\x03\x04" + bytes(500)])
def test_what_is_no_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refused(path, "not a whole ONNX model")


def test_truncated_at_any_place(tmp_path: Path, models: Any) -> None:
    whole = models.build(tmp_path / "whole.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 97):
        cut.write_bytes(whole[:length])
        refused(cut)


def test_foreign_onnx(tmp_path: Path, models: Any) -> None:
    path = models.save(tmp_path / "m.onnx", models.graph(models.describe()), {"author": "somebody"})
    refused(path, "not one that i2i exported", "i2i train")


def test_newer_schema(tmp_path: Path, models: Any) -> None:
    refused(models.build(tmp_path / "m.onnx", schema_version=99), "99", "pip install -U i2i")


def test_damaged_description(tmp_path: Path, models: Any) -> None:
    proto = models.graph(models.describe())
    properties = models.describe().properties()
    del properties["i2i.multiple"]
    refused(models.save(tmp_path / "a.onnx", proto, properties), "multiple")
    refused(models.save(tmp_path / "b.onnx", proto, {**properties, "i2i.multiple": "{"}), "i2i.multiple", "JSON")


@pytest.mark.parametrize("field", ["operations", "memory"])
@pytest.mark.parametrize("text", ["1e308", "1e999", "Infinity", "-1"])
def test_a_description_beyond_all_measure(tmp_path: Path, models: Any, field: str, text: str) -> None:
    properties = models.describe().properties()
    proto = models.graph(models.describe())
    refused(models.save(tmp_path / "m.onnx", proto, {**properties, f"i2i.{field}": text}), "damaged", field)


def test_external_data_is_refused_though_it_is_there(tmp_path: Path, models: Any) -> None:
    proto = models.graph(models.describe())
    helper.set_model_props(proto, models.describe().properties())
    path = tmp_path / "m.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="weights", size_threshold=0)
    assert (tmp_path / "weights").stat().st_size > 0
    refused(path, "weights in other files")


def test_external_data_is_found_inside_a_branch(tmp_path: Path, models: Any) -> None:
    hidden = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[1], data_location=TensorProto.EXTERNAL)
    hidden.external_data.add(key="location", value="/etc/passwd")
    out = helper.make_tensor_value_info("y", TensorProto.UINT8, [1])
    branch = helper.make_graph([helper.make_node("Constant", [], ["y"], value=hidden)], "branch", [], [out])
    proto = models.graph(models.describe())
    proto.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))
    refused(models.save(tmp_path / "m.onnx", proto, models.describe().properties()), "weights in other files")


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("x", TensorProto.UINT8, ["n", "h", "w", 3]),
        ("image", TensorProto.FLOAT, ["n", "h", "w", 3]),
        ("image", TensorProto.UINT8, ["n", "h", "w"]),
        ("image", TensorProto.UINT8, ["n", 3, "h", "w"]),
        ("image", TensorProto.UINT8, ["n", "h", "w", 1]),
        ("image", TensorProto.UINT8, ["n", 256, 256, 3]),
    ],
)
def test_another_input(tmp_path: Path, models: Any, name: str, kind: int, shape: list[Any]) -> None:
    proto = models.model(
        [helper.make_node("Identity", [name], ["output"])],
        helper.make_tensor_value_info(name, kind, shape),
        helper.make_tensor_value_info("output", kind, shape),
    )
    path = models.save(tmp_path / "m.onnx", proto, models.describe().properties())
    refused(path, f"its input is '{name}' tensor", "not 'image' tensor(uint8) [N, H, W, 3]")


def test_an_image_without_channels(tmp_path: Path, models: Any) -> None:
    shape = ["n", "h", "w", "c"]
    proto = models.model(
        [helper.make_node("Identity", ["image"], ["output"])],
        helper.make_tensor_value_info("image", TensorProto.UINT8, shape),
        helper.make_tensor_value_info("output", TensorProto.UINT8, shape),
    )
    path = models.save(tmp_path / "m.onnx", proto, models.describe(channels_in=0).properties())
    refused(path, "not 'image' tensor(uint8) [N, H, W, 0]")


def test_another_output(tmp_path: Path, models: Any) -> None:
    proto = models.graph(models.describe(channels_out=4))
    path = models.save(tmp_path / "m.onnx", proto, models.describe().properties())
    refused(path, "its output is 'output' tensor(uint8)", "not 'output' tensor(uint8) [N, H, W, 3]")


def test_more_inputs_than_the_image(tmp_path: Path, models: Any) -> None:
    proto = models.graph(models.describe())
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    path = models.save(tmp_path / "m.onnx", proto, models.describe().properties())
    refused(path, "its input is 'image'", "'z' tensor(float) [1]")


def test_an_operator_that_onnxruntime_does_not_know(tmp_path: Path, models: Any, capfd: Any) -> None:
    proto = models.graph(models.describe())
    proto.graph.node[0].op_type = "Teleport"
    refused(models.save(tmp_path / "m.onnx", proto, models.describe().properties()), "cannot open it", "Teleport")
    assert capfd.readouterr() == ("", "")  # onnxruntime prints on its own where it may


@pytest.mark.parametrize(
    ("changes", "graph", "parts"),
    [
        ({}, {"noise": 6}, ["its input is 'noise' tensor(float) ['n', 6], not 'noise' tensor(float) [N, 5]"]),
        ({"classes": ("a",)}, {}, ["its input is 'noise' tensor(float)", "not 'noise'", "'label' tensor(int64) [N]"]),
        ({}, {"classes": ("a",)}, ["'label' tensor(int64) ['n'], not 'noise' tensor(float) [N, 5]"]),
        ({}, {"size": 8}, ["its output is 'output' tensor(uint8) ['n', 8, 8, 3], not", "[N, 4, 4, 3]"]),
        ({}, {"channels_out": 1}, ["['n', 4, 4, 1], not 'output' tensor(uint8) [N, 4, 4, 3]"]),
    ],
)
def test_another_signature_of_a_noise_model(
    tmp_path: Path, models: Any, changes: dict[str, Any], graph: dict[str, Any], parts: list[str]
) -> None:
    proto = models.noise_graph(models.describe_noise(**graph))
    path = models.save(tmp_path / "m.onnx", proto, models.describe_noise(**changes).properties())
    with pytest.raises(ArtifactError) as caught:
        Generator.load(path)
    assert all(part in str(caught.value) for part in [f"{path}: ", *parts, "\n  Export it again"])


def test_each_kind_of_model_names_the_command_for_it(tmp_path: Path, models: Any) -> None:
    noise = models.build_noise(tmp_path / "noise.onnx")
    image = models.build(tmp_path / "image.onnx")
    refused(noise, "makes images from noise, and translates none", f"i2i generate {noise}")
    with pytest.raises(
        ArtifactError, match=r"image\.onnx: translates images.*\n  Use: i2i translate IMAGE -m .*image\.onnx"
    ):
        Generator.load(image)


def test_a_kind_from_the_future(tmp_path: Path, models: Any) -> None:
    properties = {**models.describe().properties(), "i2i.kind": '"sound"'}
    path = models.save(tmp_path / "m.onnx", models.graph(models.describe()), properties)
    refused(path, "its description is incomplete or damaged: kind")


def test_a_description_of_before_there_were_kinds_and_directions(tmp_path: Path, models: Any) -> None:
    properties = models.describe().properties()
    for later in ("kind", "direction", "noise", "classes", "size"):
        del properties[f"i2i.{later}"]
    path = models.save(tmp_path / "m.onnx", models.graph(models.describe()), properties)
    assert Translator.load(path, "cpu").description == models.describe()
