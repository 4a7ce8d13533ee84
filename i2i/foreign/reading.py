"""Tensors out of a file of weights of whatever origin: nothing in it is ever executed."""

from __future__ import annotations

import os
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i.errors import CheckpointError
from i2i.foreign.unwrapping import state_dict

_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = b"\x80"
_OTHER: Final = {
    b"<": ("a web page, not the file that it leads to", "Download the file itself."),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "Fetch the file: git lfs pull."),
}
_EXPECTED: Final = "Give what `torch.save(network.state_dict(), FILE)` or safetensors wrote."
_HARMLESS: Final = re.compile(  # what torch.save asks for as it writes tensors
    r"collections\.OrderedDict|torch\.(Size|device|Tensor|\w+Storage|half|bfloat16|float\d*|float[48]_\w+|double)"
    r"|torch\.(chalf|cfloat|cdouble|complex\d+|u?int\d*|long|short|bool|qu?int\w+)|torch\._utils\._rebuild_\w+"
    r"|torch\._tensor\._rebuild_from_type_v2|torch\.storage\.\w+Storage|torch\.nn\.parameter\.Parameter"
)
_FLOATS: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE: Final = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_TIMES: Final = 4  # so often a file may use its bytes: some networks tie tensors together


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of the network in a file of PyTorch (.pth, .pt, .ckpt) or safetensors, by name.

    They are on the CPU, contiguous, finite, and of float32 where they are no integers. Wrappers around them, such as
    `params_ema` or `state_dict`, are taken off, averaged weights first, and so are `module.` and `_orig_mod.` in their
    names. Pickles are read with `weights_only=True` and never otherwise. Raises CheckpointError, naming what is wrong.
    """
    if path.is_dir():
        raise CheckpointError(f"{path}: a folder", "Give the file of weights in it.")
    try:
        with path.open("rb") as file:
            begin = file.read(32)
            file.seek(0)
            if not begin:
                raise CheckpointError(f"{path}: an empty file", "Copy or download it again.")
            size = os.fstat(file.fileno()).st_size
            found = _load(path, file, begin, size)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file", "Check the name and the folder.") from None
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read: {error.strerror or error}", "Check its name, and whether you may read it."
        ) from error
    tensors = state_dict(found, path)
    for name, tensor in tensors.items():
        _check(name, tensor, path)
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > _TIMES * size:
        raise CheckpointError(
            f"{path}: its tensors claim more values than the file has", "Save each tensor by itself: tensor.clone()."
        )
    return {name: _plain(name, tensor, path) for name, tensor in tensors.items()}


def _load(path: Path, file: BinaryIO, begin: bytes, size: int) -> object:
    """Whatever is in the file; raises CheckpointError."""
    # Before all others: it begins with the length of its header, and that may be any number.
    if begin[8:9] == b"{" and int.from_bytes(begin[:8], "little") + 8 <= size:
        return _safetensors(path)
    if begin.startswith(_ZIP):
        _check_archive(path, file, size)
        return _unpickled(path, file)
    if begin.startswith(_PICKLE):
        return _unpickled(path, file)
    if path.suffix == ".safetensors" or begin[8:9] == b"{":
        return _safetensors(path)
    for prefix, (what, hint) in _OTHER.items():
        if begin.lstrip().startswith(prefix):
            raise CheckpointError(f"{path}: {what}", hint)
    raise CheckpointError(f"{path}: not a file of weights", _EXPECTED)


def _safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except OSError:
        raise
    except Exception as error:  # it raises errors of its own, and what torch does at sizes and types
        raise _damaged(path, error) from error


def _check_archive(path: Path, file: BinaryIO, size: int) -> None:
    """Raises CheckpointError where a zip archive is cut off, of TorchScript, or of something else altogether.

    Or where it holds more than its size: then it was not written by torch, which compresses nothing.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            names = {member.filename.rpartition("/")[2] for member in members}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    if "constants.pkl" in names:
        raise CheckpointError(
            f"{path}: an archive of TorchScript, which is a program with weights in it",
            "Where you trust it, save its weights alone: torch.save(torch.jit.load(FILE).state_dict(), NEW).",
        )
    if "data.pkl" not in names:
        raise CheckpointError(f"{path}: a zip archive, but none of PyTorch", _EXPECTED)
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > size:
        raise CheckpointError(
            f"{path}: a zip archive of PyTorch that was packed again: more is in it than its size", _EXPECTED
        )


def _unpickled(path: Path, file: BinaryIO) -> object:
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols and old storages: what matters is raised
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = next((name for name in _globals(file) if not _HARMLESS.fullmatch(name)), None)
        if named is None:
            raise _damaged(path, "its pickle is none of torch.save") from error
        raise CheckpointError(
            f"{path}: holds more than tensors: it asks for {named}, which could run code; nothing was executed",
            "Get a file of the network's weights alone. Where you trust this one, whoever has its code can write that: "
            "torch.save(network.state_dict(), FILE).",
        ) from error
    except Exception as error:  # torch raises what it happens upon: RuntimeError, EOFError, KeyError, ValueError, ...
        raise _damaged(path, error) from error


def _globals(file: BinaryIO) -> Iterator[str]:
    """What the pickles of a file ask for, as `module.name`, read off without being looked up."""
    file.seek(0)
    archived = file.read(len(_ZIP)) == _ZIP  # as torch decides it; an archive may also lie at the end of a pickle
    file.seek(0)
    if not archived:
        yield from _asked(file)
        return
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.rpartition("/")[2] == "data.pkl":
                with archive.open(name) as data:
                    yield from _asked(data)


def _asked(file: Any) -> Iterator[str]:
    pushed: list[str | None] = []  # on the stack, as far as it is text
    memo: dict[int, str | None] = {}
    try:
        while True:  # torch's older format has several pickles in a row, and no pickle after them
            for opcode, argument, _ in pickletools.genops(file):
                match opcode.name:
                    case "GLOBAL" | "INST":
                        yield str(argument).replace(" ", ".", 1)
                        pushed.append(None)
                    case "STACK_GLOBAL":
                        module, name = pushed[-2:]
                        yield f"{module}.{name}" if module and name else "something that it does not name plainly"
                        pushed.append(None)
                    case "MEMOIZE":
                        memo[len(memo)] = pushed[-1]
                    case "PUT" | "BINPUT" | "LONG_BINPUT":
                        memo[int(str(argument))] = pushed[-1]
                    case "GET" | "BINGET" | "LONG_BINGET":
                        pushed.append(memo.get(int(str(argument))))
                    case "PROTO" | "FRAME":
                        pass
                    case _:
                        pushed.append(argument if isinstance(argument, str) else None)
    except (ValueError, IndexError, zipfile.BadZipFile):
        return


def _damaged(path: Path, cause: object) -> CheckpointError:
    said = str(cause).strip().splitlines()
    return CheckpointError(
        f"{path}: damaged or cut off: {said[0] if said else type(cause).__name__}", "Copy or download it again."
    )


def _check(name: str, tensor: Tensor, path: Path) -> None:
    """Raises CheckpointError where a tensor is none that our networks can have."""
    if tensor.layout is not torch.strided:
        raise CheckpointError(f"{path}: {name} is a sparse tensor", "Save it as a dense one: tensor.to_dense().")
    if tensor.is_meta or tensor.dtype not in (*_FLOATS, *_WHOLE):
        kind = "empty" if tensor.is_meta else "complex" if tensor.is_complex() else str(tensor.dtype)
        kind = "quantized" if tensor.is_quantized else kind.removeprefix("torch.")
        raise CheckpointError(
            f"{path}: {name} is a tensor of {kind} values", "Import the weights as they were trained."
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{path}: {name} claims more values than the file has", "Copy or download it again.")


def _plain(name: str, tensor: Tensor, path: Path) -> Tensor:
    """A tensor as our networks have them; raises CheckpointError where it is not of numbers."""
    tensor = tensor.detach()
    if tensor.is_floating_point():
        tensor = tensor.to(torch.float32)
        if not (finite := tensor.isfinite()).all():
            count = int((~finite).sum())
            raise CheckpointError(
                f"{path}: {count} of {tensor.numel()} values of {name} are NaN or infinite",
                "Its training has failed: take an earlier checkpoint.",
            )
    return tensor.contiguous()
