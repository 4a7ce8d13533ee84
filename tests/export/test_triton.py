"""A model repository for Triton says of the model what the model file says."""

import re
import shutil

import onnx
import pytest

from i2i import api
from i2i.artifact import Description, Parity, describe
from i2i.errors import ExportError
from i2i_export.triton import configuration, pack

TYPES = {"TYPE_UINT8": 2, "TYPE_FP32": 1, "TYPE_INT64": 7}  # of Triton -> of ONNX
TOKEN = re.compile(r'\s*(?:#[^\n]*\n\s*)*("(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|-?\d+|[{}\[\]:,])')


def parse(text):
    """A protobuf text message as a dict: of fields that come again, and of lists, all values in a list."""
    tokens = TOKEN.findall(text)
    assert TOKEN.sub("", text).strip() == ""

    def value():
        token = tokens.pop(0)
        if token == "{":
            return message("}")
        if token == "[":
            items = []
            while tokens[0] != "]":
                items.append(value())
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
            return items
        if token.startswith('"'):
            return token[1:-1]
        return int(token) if token.lstrip("-").isdigit() else token

    def message(end):
        found = {}
        while tokens and tokens[0] != end:
            name = tokens.pop(0)
            if tokens[0] == ":":
                tokens.pop(0)
            held = value()
            if name in found:
                found[name] = [*(found[name] if isinstance(found[name], list) else [found[name]]), held]
            else:
                found[name] = held
        if end:
            assert tokens.pop(0) == end
        return found

    return message("")


def check_against(config, model):
    """That names, types and shapes of the configuration are those of the graph, without the batch."""
    for side, values in (("input", model.graph.input), ("output", model.graph.output)):
        assert [tensor["name"] for tensor in config[side]] == [value.name for value in values]
        for tensor, value in zip(config[side], values, strict=True):
            assert TYPES[tensor["data_type"]] == value.type.tensor_type.elem_type
            first, *sides = [d.dim_value if not d.dim_param else -1 for d in value.type.tensor_type.shape.dim]
            assert first == -1
            assert tensor.get("reshape", {}).get("shape", tensor["dims"]) == sides


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    return shutil.copytree(finished.path, tmp_path_factory.mktemp("triton") / "pix2pix-001")


@pytest.fixture(scope="module")
def repository(run, tmp_path_factory):
    place = tmp_path_factory.mktemp("repository")
    api.export_triton(run, place)
    return place


def test_it_describes_the_model(run, repository):
    folder = repository / "pix2pix-001"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["1", "1/model.onnx", "config.pbtxt"]
    config = parse((folder / "config.pbtxt").read_text())
    model = onnx.load(folder / "1" / "model.onnx")
    check_against(config, model)
    assert (config["name"], config["backend"], config["max_batch_size"]) == ("pix2pix-001", "onnxruntime", 8)
    assert config["dynamic_batching"] == {"preferred_batch_size": [4, 8], "max_queue_delay_microseconds": 2000}
    assert config["instance_group"] == [{"count": 1, "kind": "KIND_AUTO"}]
    said = {entry["key"]: entry["value"]["string_value"] for entry in config["parameters"]}
    described = describe({p.key: p.value for p in model.metadata_props}, "model")
    assert said["i2i.multiple"] == str(described.multiple)
    assert said["i2i.minimum"] == str(described.minimum)
    assert (run / "model.onnx").read_bytes() == (folder / "1" / "model.onnx").read_bytes()


def test_what_is_there_is_not_replaced(run, repository):
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    with pytest.raises(ExportError, match=r"1: is there already\n  Add it as --version 2"):
        api.export_triton(run, repository)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before
    folder, model = repository / "pix2pix-001", run / "model.onnx"
    said = describe({p.key: p.value for p in onnx.load(model).metadata_props}, "model")
    assert pack(model, said, repository, "pix2pix-001", 3) == folder
    with pytest.raises(ExportError, match="--version 4"):
        pack(model, said, repository, "pix2pix-001", 3)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "3", "config.pbtxt"]
    configured = (folder / "config.pbtxt").read_text()
    (folder / "config.pbtxt").write_text(f"# of ours\n{configured.partition(chr(10))[2]}")
    assert pack(model, said, repository, "pix2pix-001", 5) == folder
    (folder / "config.pbtxt").write_text("max_batch_size: 1\n")
    with pytest.raises(ExportError, match=r"config\.pbtxt: is not what this model needs"):
        pack(model, said, repository, "pix2pix-001", 4)
    assert not (folder / "4").exists()


def test_of_two_directions_both_are_added_or_none(run, tmp_path, monkeypatch):
    said = describe({p.key: p.value for p in onnx.load(run / "model.onnx").metadata_props}, "model")
    back = shutil.copy(run / "model.onnx", tmp_path / "model.BtoA.onnx")
    files = {run / "model.onnx": "AtoB", back: "BtoA"}
    both = {path: said.model_copy(update={"direction": name}) for path, name in files.items()}
    monkeypatch.setattr("i2i.api.exporting.export", lambda *_: both)
    repository = tmp_path / "repository"
    for files in (["1"], ["config.pbtxt"]):  # the version is there; or it is configured otherwise
        (repository / "it-BtoA").mkdir(parents=True)
        for name in files:
            (repository / "it-BtoA" / name).touch()
        with pytest.raises(ExportError):
            api.export_triton(run, repository, name="it")
        assert [path.name for path in repository.iterdir()] == ["it-BtoA"]
        shutil.rmtree(repository)
    api.export_triton(run, repository, name="it")
    assert sorted(path.name for path in repository.iterdir()) == ["it", "it-BtoA"]


@pytest.mark.parametrize("name", ["", "..", "a/b", 'a"b', ".hidden", "ä"])
def test_odd_names_are_refused_before_anything_is_done(run, tmp_path, name):
    with pytest.raises(ExportError, match="cannot be the name of a model in Triton"):
        api.export_triton(run, tmp_path / "new", name=name)
    assert not (tmp_path / "new").exists()


def of_noise(**changes):
    facts = {
        **dict.fromkeys(("plugin_version", "i2i_version", "normalisation", "batch_statistics", "dropout"), "x"),
        **{"plugin": "cgan", "training": "x", "digest": "x", "kind": "noise", "noise": 100, "size": 32},
        **{"channels_in": 0, "channels_out": 1, "multiple": 1, "minimum": 1, "receptive_radius": 0},
        **{"statistics": "none", "trained_size": 32, "parity": Parity(cases=1, largest=0, differing=0)},
    }
    return Description(**facts, **changes)


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_a_generator_takes_noise_and_a_number_without_dimensions(classes):
    config = parse(configuration("digits", of_noise(classes=classes)))
    noise, *label = config["input"]
    assert noise == {"name": "noise", "data_type": "TYPE_FP32", "dims": [100]}
    wanted = {"name": "label", "data_type": "TYPE_INT64", "dims": [1], "reshape": {"shape": []}}
    assert label == ([wanted] if classes else [])
    assert config["output"] == [{"name": "output", "data_type": "TYPE_UINT8", "dims": [32, 32, 1]}]


def test_integers_go_on_processors():
    config = parse(configuration("digits", of_noise(precision="int8")))
    assert config["instance_group"] == [{"count": 1, "kind": "KIND_CPU"}]
