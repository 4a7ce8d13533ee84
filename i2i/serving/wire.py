"""Tensors as the Open Inference Protocol sends them: JSON lists, flat or nested, or bytes behind the JSON.

https://github.com/kserve/open-inference-protocol, and Triton's extension for binary tensor data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from i2i.serving import exchange
from i2i.serving.errors import TooLargeError
from i2i.serving.problems import ProblemError

LENGTH: Final = "Inference-Header-Content-Length"
_TYPES: Final[dict[str, np.dtype[Any]]] = {"UINT8": np.dtype("<u1"), "FP32": np.dtype("<f4"), "INT64": np.dtype("<i8")}
_WHOLE: Final = frozenset({int})  # no bool, which is one for Python
_REAL: Final = frozenset({int, float})
LISTED: Final = 2**20  # numbers that a body's JSON holds: more would hold up everyone else while they are read
_BESIDE: Final = 1000  # commas that are not between those

Array = NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """What a model takes or gives: -1 in a shape is any number."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def metadata(self) -> dict[str, Any]:
        """As the protocol has it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Inference:
    """A request for inference: its inputs, its id, and whether the output goes as bytes."""

    inputs: Mapping[str, Array]
    identity: str | None
    binary: bool


def parse(body: bytes, length: str | None, wanted: Sequence[Tensor], given: str) -> Inference:
    """The request of a body for a model that takes `wanted` and gives the output `given`.

    length: of the JSON, where bytes follow it. Raises ProblemError (400) with what is wrong, and TooLargeError for more
    than 2^20 numbers as JSON.
    """
    end = len(body) if length is None else exchange.length(length)
    if end is None or end > len(body):
        raise _wrong(f"{LENGTH} '{str(length)[:40]}' is not a length of the body's JSON")
    if body.count(b",", 0, end) > LISTED + _BESIDE:
        raise too_many("the request")
    try:
        request = json.loads(body[:end])
    except (ValueError, RecursionError):
        raise _wrong("the body is not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise _wrong("the body has no list `inputs`")
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise _wrong("id: not a string")
    inputs = _inputs(request["inputs"], memoryview(body)[end:], {tensor.name: tensor for tensor in wanted})
    return Inference(inputs, identity, _binary_output(request, given))


def too_many(what: str) -> TooLargeError:
    """That a request or an answer has more numbers than are read or written as JSON."""
    return TooLargeError(
        f"{what} has more than {LISTED:,} numbers as JSON", "Use the protocol's extension for binary tensor data."
    )


def answer(output: Array, name: str, model: str, request: Inference) -> tuple[bytes, int | None]:
    """The body of an answer with uint8 `output`, and the length of its JSON where bytes follow."""
    described: dict[str, Any] = {"name": name, "datatype": "UINT8", "shape": list(output.shape)}
    said: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": [described]}
    if request.identity is not None:
        said["id"] = request.identity
    if not request.binary:
        described["data"] = output.ravel().tolist()
        return json.dumps(said).encode(), None
    data = output.tobytes()
    described["parameters"] = {"binary_data_size": len(data)}
    head = json.dumps(said).encode()
    return head + data, len(head)


def _inputs(items: Sequence[Any], rest: memoryview, known: Mapping[str, Tensor]) -> dict[str, Array]:
    inputs: dict[str, Array] = {}
    for item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or name not in known or name in inputs:
            raise _wrong(f"inputs: '{str(name)[:40]}' is not one of {', '.join(known)}, each given once")
        size = _parameter(item, "binary_data_size")
        if size is None:
            inputs[name] = _listed(item, known[name])
            continue
        if type(size) is not int or not 0 <= size <= len(rest):
            raise _wrong(f"{name}: binary_data_size is more than what follows")
        inputs[name] = _binary(item, known[name], bytes(rest[:size]))
        rest = rest[size:]
    if len(rest):
        raise _wrong(f"{len(rest)} bytes are left over behind the inputs")
    if missing := [name for name in known if name not in inputs]:
        raise _wrong(f"inputs: {', '.join(missing)} missing")
    return inputs


def _binary_output(request: Mapping[str, Any], given: str) -> bool:
    """Whether the one output goes as bytes; raises ProblemError where another is asked for."""
    outputs, everywhere = request.get("outputs"), _parameter(request, "binary_data_output")
    if not outputs:
        return everywhere is True
    if not isinstance(outputs, list) or len(outputs) != 1 or not isinstance(outputs[0], dict):
        raise _wrong(f"outputs: the model has one, '{given}'")
    if outputs[0].get("name") != given:
        raise _wrong(f"outputs: '{str(outputs[0].get('name'))[:40]}' is not '{given}', the model's one")
    own = _parameter(outputs[0], "binary_data")
    return own is True or (own is None and everywhere is True)


def _parameter(item: Mapping[str, Any], name: str) -> Any:
    parameters = item.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def _shape(item: Mapping[str, Any], tensor: Tensor) -> tuple[int, ...]:
    shape = item.get("shape")
    if item.get("datatype") != tensor.datatype:
        raise _wrong(f"{tensor.name}: datatype {str(item.get('datatype'))[:40]}: the model takes {tensor.datatype}")
    if (
        not isinstance(shape, list)
        or len(shape) != len(tensor.shape)
        or not all(type(side) is int and 0 < side < 2**31 for side in shape)
        or not all(own in (-1, side) for own, side in zip(tensor.shape, shape, strict=True))
    ):
        raise _wrong(f"{tensor.name}: shape {str(shape)[:80]}: the model takes {list(tensor.shape)}")
    return tuple(shape)


def _binary(item: Mapping[str, Any], tensor: Tensor, data: bytes) -> Array:
    shape, kind = _shape(item, tensor), _TYPES[tensor.datatype]
    if math.prod(shape) * kind.itemsize != len(data):
        raise _wrong(f"{tensor.name}: {len(data)} bytes are not a {tensor.datatype} of shape {list(shape)}")
    return _finite(np.frombuffer(data, kind).reshape(shape), tensor)


def _listed(item: Mapping[str, Any], tensor: Tensor) -> Array:
    """The array of JSON's lists, of which NumPy sees none before each value is known to be a number."""
    shape, kind = _shape(item, tensor), _TYPES[tensor.datatype]
    values = _flat(item.get("data"), shape, tensor)
    if not {type(value) for value in values} <= (_REAL if kind.kind == "f" else _WHOLE):
        raise _wrong(f"{tensor.name}: data has a value that is no number of {tensor.datatype}")
    if kind.kind != "f":
        info = np.iinfo(kind)
        if min(values) < info.min or max(values) > info.max:
            raise _wrong(f"{tensor.name}: a value is out of the range of {tensor.datatype}")
    try:
        with np.errstate(over="ignore"):  # what becomes infinite is found below
            return _finite(np.array(values, kind).reshape(shape), tensor)
    except OverflowError:  # a whole number that no float comes near
        raise _infinite(tensor) from None


def _flat(data: Any, shape: tuple[int, ...], tensor: Tensor) -> list[Any]:
    """The values of a flat list, or of lists nested as the shape says."""
    nested = isinstance(data, list) and bool(data) and isinstance(data[0], list)
    values = [data]
    for side in shape if nested else (math.prod(shape),):
        if not all(isinstance(value, list) and len(value) == side for value in values):
            raise _wrong(
                f"{tensor.name}: data is not {math.prod(shape)} numbers, flat or nested as its shape {list(shape)} says"
            )
        values = [each for value in values for each in value]
    return values


def _finite(values: Array, tensor: Tensor) -> Array:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise _infinite(tensor)
    return values


def _infinite(tensor: Tensor) -> ProblemError:
    return _wrong(f"{tensor.name}: a value is not a finite number")


def _wrong(what: str) -> ProblemError:
    return ProblemError(400, what)
