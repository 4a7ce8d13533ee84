"""Files of weights that mean ill: nothing in them is executed, and none takes memory or time that it has not itself."""

import io
import json
import os
import pickle
import struct
import zipfile

import pytest
import torch

from i2i.errors import CheckpointError
from i2i.foreign.reading import read

WEIGHTS = {"first.weight": torch.arange(12.0).reshape(3, 4), "first.bias": torch.tensor([1.0, -2.0, 0.5])}


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


class Evaluated:
    """Likewise, by code in a string."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return eval, (f"__import__('pathlib').Path({str(self.target)!r}).touch()",)


class Options:
    """A class of somebody's own, harmless, such as projects save with their networks."""


def refused(path):
    """The message and hint with which `path` is refused; both name something."""
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("payload", [Payload, Evaluated])
@pytest.mark.parametrize("how", ["zip", "older", "plain", "plain, newest protocol", "plain, text protocol", "renamed"])
def test_code_in_a_pickle_is_refused_and_not_executed(tmp_path, payload, how):
    written = tmp_path / "executed"
    path = tmp_path / ("G.safetensors" if how == "renamed" else "G.pth")
    contents = {"weight": torch.ones(2), "options": payload(written)}
    if how.startswith("plain"):
        protocol = {"plain": 2, "plain, newest protocol": pickle.HIGHEST_PROTOCOL, "plain, text protocol": 0}[how]
        path.write_bytes(pickle.dumps({"options": payload(written)}, protocol))
    else:
        torch.save(contents, path, _use_new_zipfile_serialization=how != "older")
    message = refused(path)
    assert not written.exists()
    if how != "plain, text protocol":  # which begins like no file of weights
        assert {Payload: f"{os.system.__module__}.system", Evaluated: "eval"}[payload] in message
        assert "nothing was executed" in message
    pickle.loads(pickle.dumps(payload(written)))
    assert written.exists()  # it would have


def test_it_is_never_read_in_another_way_whatever_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"options": Payload(tmp_path / "executed")}, tmp_path / "G.pth")
    assert "system" in refused(tmp_path / "G.pth")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("older", [False, True])
def test_objects_of_somebodys_own_classes_are_named(tmp_path, older):
    torch.save({"G": WEIGHTS, "opt": Options()}, tmp_path / "G.pth", _use_new_zipfile_serialization=not older)
    assert "Options, which could run code" in refused(tmp_path / "G.pth")


def test_a_whole_network_is_refused_by_the_name_of_its_class(tmp_path):
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1)), tmp_path / "G.pth")
    assert "torch.nn.modules.container.Sequential" in refused(tmp_path / "G.pth")


@pytest.mark.parametrize("name", ["load", "save", "hub.load", "compile"])
def test_functions_of_torch_are_code_too(tmp_path, name):
    module, _, function = f"torch.{name}".rpartition(".")
    (tmp_path / "G.pth").write_bytes(b"\x80\x02c" + f"{module}\n{function}\n".encode() + b"(U\x01xtR.")
    assert f"torch.{name}, which could run code" in refused(tmp_path / "G.pth")


def test_a_name_out_of_the_memo_is_resolved(tmp_path):
    """As pickle writes a second function of a module: its name lies in the memo."""
    path = tmp_path / "G.pth"
    text = b"\x8c\x05posix\x94\x8c\x06system\x940\x8c\x04list\x94000"
    path.write_bytes(b"\x80\x04" + text + b"h\x00h\x01\x93\x8c\x01x\x85R.")
    assert "posix.system, which could run code" in refused(path)
    path.write_bytes(b"\x80\x04" + text + b"h\x00h\x01h\x020\x93\x8c\x01x\x85R.")
    message = refused(path)
    assert "something that it does not name plainly, which could run code" in message
    assert "list" not in message


def test_an_archive_behind_a_pickle_changes_nothing(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("nothing", b"")
    path = tmp_path / "G.pth"
    path.write_bytes(pickle.dumps({"options": Payload(tmp_path / "executed")}, 2) + archive.getvalue())
    assert f"{os.system.__module__}.system" in refused(path)
    assert not (tmp_path / "executed").exists()


def test_an_archive_that_was_compressed_is_not_unpacked(tmp_path):
    torch.save({"weight": torch.zeros(1_000_000)}, tmp_path / "G.pth")
    with zipfile.ZipFile(tmp_path / "G.pth") as whole, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for member in whole.infolist():
            bomb.writestr(member.filename, whole.read(member), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pth").stat().st_size < 10_000
    assert "more is in it than its size" in refused(tmp_path / "bomb.pth")


def test_members_that_lie_over_each_other_are_not_read(tmp_path):
    torch.save({"weight": torch.zeros(10_000)}, tmp_path / "G.pth")
    whole = tmp_path / "G.pth"
    with zipfile.ZipFile(whole, "a") as archive:
        storage = next(member for member in archive.infolist() if member.filename.endswith("data/0"))
        for number in range(20):
            twin = zipfile.ZipInfo(f"archive/data/{number + 1}")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, field, getattr(storage, field))
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    assert "more is in it than its size" in refused(whole)


def test_many_names_of_one_storage_are_refused_and_tied_weights_are_not(tmp_path):
    tied = torch.ones(4000)
    torch.save({"a": tied, "b": tied, "c": tied.view(2, -1)}, tmp_path / "tied.pth")
    assert {name: len(tensor) for name, tensor in read(tmp_path / "tied.pth").items()} == {"a": 4000, "b": 4000, "c": 2}
    torch.save({f"layer{number}": tied for number in range(50)}, tmp_path / "G.pth")
    assert "its tensors claim more values than the file has" in refused(tmp_path / "G.pth")


def safetensors(path, kind, shape, size):
    header = json.dumps({"head.weight": {"dtype": kind, "shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))


@pytest.mark.parametrize(("kind", "size"), [("F4", 2), ("F8_E5M2", 4), ("F8_E8M0", 4), ("C64", 32), ("U64", 32)])
def test_kinds_of_numbers_that_no_weights_are_of_are_refused_by_name(tmp_path, kind, size):
    safetensors(tmp_path / "G.safetensors", kind, [2, 2], size)
    assert "head.weight is a tensor of" in refused(tmp_path / "G.safetensors")


def test_a_kind_of_numbers_that_does_not_exist_is_damage(tmp_path):
    safetensors(tmp_path / "G.safetensors", "F5", [2, 2], 2)
    assert "damaged or cut off" in refused(tmp_path / "G.safetensors")
