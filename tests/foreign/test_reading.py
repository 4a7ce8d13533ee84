"""Files of weights of whatever origin: what is in them is read, never executed, and each mistake has its own words."""

import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from i2i.errors import CheckpointError
from i2i.foreign.reading import read

WEIGHTS = {"first.weight": torch.arange(12.0).reshape(3, 4), "first.bias": torch.tensor([1.0, -2.0, 0.5])}


def same(tensors, expected=WEIGHTS):
    assert list(tensors) == list(expected)
    for name, tensor in tensors.items():
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert not tensor.requires_grad
        assert torch.equal(tensor, expected[name].float())


def refused(path):
    """The message and hint with which `path` is refused; both name something."""
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ""])
def test_tensors_of_pytorch_are_read_in_both_formats(tmp_path, older, suffix):
    torch.save(OrderedDict(WEIGHTS), tmp_path / f"G{suffix}", _use_new_zipfile_serialization=not older)
    same(read(tmp_path / f"G{suffix}"))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_safetensors_are_read_whatever_they_are_called(tmp_path, suffix):
    save_file(WEIGHTS, tmp_path / f"G{suffix}")
    tensors = read(tmp_path / f"G{suffix}")
    same({name: tensors[name] for name in WEIGHTS})


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_length_of_a_header_is_taken_for_nothing_else(tmp_path, suffix):
    """Of 128 bytes, the file begins as pickles do."""
    path = tmp_path / f"G{suffix}"
    for length in range(200):
        save_file({"weight": torch.ones(3)}, path, metadata={"of": "x" * length})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[:8] == (128).to_bytes(8, "little")
    same(read(path), {"weight": torch.ones(3)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_becomes_float32_and_integers_stay(tmp_path, dtype):
    torch.save(
        {name: tensor.to(dtype) for name, tensor in WEIGHTS.items()} | {"n": torch.tensor(7)}, tmp_path / "G.pth"
    )
    tensors = read(tmp_path / "G.pth")
    assert tensors.pop("n").dtype == torch.int64
    same(tensors)


def test_parameters_and_views_become_plain_tensors(tmp_path):
    turned = WEIGHTS["first.weight"].T
    torch.save({"a": torch.nn.Parameter(WEIGHTS["first.weight"]), "b": turned}, tmp_path / "G.pth")
    same(read(tmp_path / "G.pth"), {"a": WEIGHTS["first.weight"], "b": turned.contiguous()})


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", "model", "netG", "anything"])
def test_what_wraps_the_network_is_taken_off(tmp_path, wrapper):
    torch.save({wrapper: WEIGHTS, "epoch": 3, "optimizer": {"state": {0: WEIGHTS}, "param_groups": []}}, tmp_path / "G")
    same(read(tmp_path / "G"))


def test_wrappers_in_wrappers_are_taken_off(tmp_path):
    torch.save({"model": {"state_dict": {"G": WEIGHTS}}, "best": torch.tensor(1.0)}, tmp_path / "G.ckpt")
    same(read(tmp_path / "G.ckpt"))


def test_averaged_weights_are_taken_before_those_that_were_averaged(tmp_path):
    other = {name: tensor + 1 for name, tensor in WEIGHTS.items()}
    torch.save({"params": other, "params_ema": WEIGHTS}, tmp_path / "G.pth")
    same(read(tmp_path / "G.pth"))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]
)
def test_what_wraps_the_names_is_taken_off(tmp_path, prefix):
    torch.save({prefix + name: tensor for name, tensor in WEIGHTS.items()}, tmp_path / "G.pth")
    same(read(tmp_path / "G.pth"))


def test_a_part_that_was_compiled_by_itself_has_its_own_name_again(tmp_path):
    torch.save({"head._orig_mod.weight": WEIGHTS["first.weight"]}, tmp_path / "G.pth")
    assert list(read(tmp_path / "G.pth")) == ["head.weight"]


def test_names_that_would_become_one_are_refused(tmp_path):
    torch.save({"module.a": torch.ones(1), "a": torch.ones(1)}, tmp_path / "G.pth")
    assert "two tensors are called a" in refused(tmp_path / "G.pth")


@pytest.mark.parametrize("kind", ["zip", "older", "safetensors"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.97])
def test_a_truncated_file_is_called_damaged(tmp_path, kind, kept):
    path = tmp_path / ("G.safetensors" if kind == "safetensors" else "G.pth")
    large = {"weight": torch.arange(3000.0)}
    if kind == "safetensors":
        save_file(large, path)
    else:
        torch.save(large, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert "damaged or cut off" in refused(path)


def test_a_changed_byte_is_a_mistake_or_a_wrong_value_and_no_accident(tmp_path):
    path = tmp_path / "G.pth"
    torch.save(WEIGHTS, path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(CheckpointError):
            assert read(path).keys() <= WEIGHTS.keys()


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "an empty file"),
        (b"hello, this is no file of weights at all", "not a file of weights"),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>", "a web page"),
        (b"\n<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not a file of weights"),
        (b"\x80", "damaged or cut off"),
        (b"PK\x03\x04", "damaged or cut off"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path, contents, said):
    (tmp_path / "G.pth").write_bytes(contents)
    assert said in refused(tmp_path / "G.pth")


def test_an_archive_of_something_else_is_called_that(tmp_path):
    with zipfile.ZipFile(tmp_path / "G.pth", "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    assert "a zip archive, but none of PyTorch" in refused(tmp_path / "G.pth")


@pytest.mark.filterwarnings("ignore")
def test_an_archive_of_torchscript_is_called_that(tmp_path):
    torch.jit.script(torch.nn.Conv2d(3, 3, 1)).save(str(tmp_path / "G.pt"))
    assert "TorchScript" in refused(tmp_path / "G.pt")


def test_a_missing_file_and_a_folder_are_called_that(tmp_path):
    assert "there is no such file" in refused(tmp_path / "G.pth")
    assert "a folder" in refused(tmp_path)


def test_a_file_that_the_system_refuses_is_called_unreadable(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert "cannot be read" in refused(tmp_path / "file" / "G.pth")


@pytest.mark.parametrize("older", [False, True])
def test_the_state_of_an_optimizer_is_called_that(tmp_path, older):
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "opt.pth", _use_new_zipfile_serialization=not older)
    assert "the state of an optimizer" in refused(tmp_path / "opt.pth")
    torch.save({"epoch": 1, "optimizers": [optimizer.state_dict()], "schedulers": []}, tmp_path / "1.state")
    assert "the state of a training" in refused(tmp_path / "1.state")
    torch.save({"epoch": 1, "optimizer": optimizer.state_dict()}, tmp_path / "2.state")
    assert "the state of a training" in refused(tmp_path / "2.state")


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({}, "has no tensors in it"),
        ({"epoch": 3, "name": "x"}, "has no tensors in it"),
        ({"state_dict": {}}, "has no tensors in it"),
        (torch.ones(3), "a single tensor"),
        ([torch.ones(3)], "of type list"),
        (7, "of type int"),
        ({"first": {"a": torch.ones(1)}, "second": {"a": torch.ones(1)}}, "several networks"),
    ],
)
def test_what_holds_no_network_is_called_that(tmp_path, contents, said):
    torch.save(contents, tmp_path / "G.pth")
    assert said in refused(tmp_path / "G.pth")


def test_of_several_networks_the_names_are_given_and_how_to_save_one(tmp_path):
    torch.save({"G_B": WEIGHTS, "G_A": WEIGHTS, "epoch": 1}, tmp_path / "G.pth")
    message = refused(tmp_path / "G.pth")
    assert "holds several networks: G_A, G_B: which one?" in message
    assert "torch.save(torch.load('G.pth')['G_A'], 'generator.pth')" in message


def test_tensors_are_taken_and_not_what_lies_beside_them(tmp_path):
    torch.save(WEIGHTS | {"extra": {"c": torch.ones(1)}}, tmp_path / "G.pth")
    same(read(tmp_path / "G.pth"))


@pytest.mark.parametrize("name", ["upscaler", "optimal", "autoscaled"])
def test_a_name_that_has_part_of_a_trainings_is_a_networks(tmp_path, name):
    torch.save({name: WEIGHTS}, tmp_path / "G.pth")
    same(read(tmp_path / "G.pth"))


@pytest.mark.parametrize("name", ["optimizer_G", "D_optimizer", "optimizers", "lr_scheduler", "grad_scaler", "scaler"])
def test_what_only_trains_is_passed_over(tmp_path, name):
    torch.save({"mine": WEIGHTS, name: {"a": torch.ones(1)}}, tmp_path / "G.pth")
    same(read(tmp_path / "G.pth"))


def test_a_mapping_that_holds_itself_comes_to_an_end(tmp_path):
    holding = {"weight": torch.ones(1)}
    holding["model"] = holding
    torch.save(holding, tmp_path / "G.pth")
    assert list(read(tmp_path / "G.pth")) == ["weight"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_value_that_is_no_number_is_found_by_name(tmp_path, value, dtype):
    broken = {name: tensor.to(dtype).clone() for name, tensor in WEIGHTS.items()}
    broken["first.bias"][1] = value
    torch.save(broken, tmp_path / "G.pth")
    assert "1 of 3 values of first.bias are NaN or infinite" in refused(tmp_path / "G.pth")


def test_numbers_beyond_float32_are_found_too(tmp_path):
    torch.save({"a": torch.tensor([1e300], dtype=torch.float64)}, tmp_path / "G.pth")
    assert "values of a are NaN or infinite" in refused(tmp_path / "G.pth")


UNUSABLE = {
    "a sparse tensor": lambda: torch.eye(3).to_sparse(),
    "complex values": lambda: torch.ones(2, dtype=torch.complex64),
    "quantized values": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "claims more values than the file has": lambda: torch.ones(1).expand(10**6, 10**6),
}


@pytest.mark.parametrize("said", UNUSABLE)
@pytest.mark.filterwarnings("ignore")
def test_tensors_of_another_kind_are_refused_by_name(tmp_path, said):
    torch.save({"head.weight": UNUSABLE[said]()}, tmp_path / "G.pth")
    message = refused(tmp_path / "G.pth")
    assert said in message
    assert "head.weight" in message


def test_nothing_is_written_beside_the_file(tmp_path):
    torch.save(WEIGHTS, tmp_path / "G.pth")
    read(tmp_path / "G.pth")
    assert [path.name for path in Path(tmp_path).iterdir()] == ["G.pth"]
