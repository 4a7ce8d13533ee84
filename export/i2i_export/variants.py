"""Smaller and faster variants of a checked model, accepted only where they make the same images, nearly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto

from i2i.artifact import Loss, Precision
from i2i.errors import ExportError
from i2i_export.calibrate import observe, outputs
from i2i_export.cases import Cases
from i2i_export.graph import products
from i2i_export.half import LARGEST, halved, held
from i2i_export.quantize import convolutions, quantized, watched
from i2i_export.subpixel import blocked, subpixel

BOUNDS: Final[dict[Precision, float]] = {"fp16": 40.0, "int8": 32.0}  # dB, of PSNR against fp32
_MARGIN: Final = 1.0  # dB above the bound on the images that it is fitted to: the others may be harder
_SAME: Final = 100.0  # dB, where nothing differs
_TRIED: Final = 4  # images by which convolutions are chosen
_GRAPHS: Final = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
_ROOM: Final = 4  # times what was seen must half precision hold


def variant(model: ModelProto, precision: Precision, cases: Cases, multiple: int) -> tuple[ModelProto, Loss]:
    """`model`, in fp32, made anew in `precision`, and what is lost by that on the images that it was not fitted to.

    multiple: of which height and width of what it makes are. Raises ExportError where too much is lost.
    """
    if any(attribute.type in _GRAPHS for node in model.graph.node for attribute in node.attribute):
        raise ExportError(
            f"the network branches on values, which {precision} does not follow",
            "Use fp32; or replace it by arithmetic.",
        )
    made, layers = _half(model, cases) if precision == "fp16" else _integers(model, cases, multiple)
    wanted = outputs(model, cases.judging)
    found = psnr(outputs(made, cases.judging), wanted)
    bound = BOUNDS[precision]
    if not found >= bound:
        raise ExportError(
            f"{precision} makes images of {found:.1f} dB against fp32, and at least {bound:.0f} are needed",
            "Nothing was written. Deploy " + ("fp32." if precision == "fp16" else "fp16, or fp32."),
        )
    return made, Loss(images=len(wanted), psnr=round(found, 2), bound=bound, layers=layers)


def psnr(made: Sequence[NDArray[np.uint8]], wanted: Sequence[NDArray[np.uint8]]) -> float:
    """The peak signal-to-noise ratio, in dB, of the mean squared error over all values of all images; 100 at most."""
    error = _error(made, wanted)
    return min(_SAME, 10 * float(np.log10(255**2 / error))) if error else _SAME


def _error(made: Sequence[NDArray[np.uint8]], wanted: Sequence[NDArray[np.uint8]]) -> float:
    differences = [one.astype(np.float64) - other for one, other in zip(made, wanted, strict=True)]
    return float(sum((each**2).sum() for each in differences) / sum(each.size for each in differences))


def _half(model: ModelProto, cases: Cases) -> tuple[ModelProto, str]:
    try:
        made = halved(model)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ExportError(f"the graph cannot be made in half precision: {first_line}", "Use int8 or fp32.") from error
    for name, seen in observe(model, held(made), cases.fitting).items():
        if not seen.largest * _ROOM <= LARGEST:
            raise ExportError(
                f"the layer {name} reaches {seen.largest:.3g}; half precision ends at {LARGEST:.0f}",
                "Use int8 or fp32; or train with a norm, which keeps activations small.",
            )
    return made, ""


def _integers(model: ModelProto, cases: Cases, multiple: int) -> tuple[ModelProto, str]:
    plain = blocked(subpixel(model), multiple)
    able = convolutions(plain)
    if not able:
        raise ExportError("the network has no convolutions that integers would make faster", "Use fp16, or fp32.")
    seen = observe(plain, watched(plain), cases.fitting)
    for name, found in seen.items():
        if not np.isfinite(found.largest):
            raise ExportError(f"the layer {name} reaches {found.largest:.3g}", "Train it anew: its weights are broken.")
    tried = cases.fitting[:: max(1, len(cases.fitting) // _TRIED)]
    wanted = outputs(model, tried)

    def loss(chosen: Sequence[str], every: int = 1) -> float:
        return _error(outputs(quantized(plain, seen, chosen), tried[::every]), wanted[::every])

    chosen = _chosen(able, loss, allowed=255**2 / 10 ** ((BOUNDS["int8"] + _MARGIN) / 10))
    if not chosen:
        raise ExportError(
            f"int8 makes images of less than {BOUNDS['int8']:.0f} dB against fp32, whichever layers compute in it",
            "Nothing was written. Deploy fp16, or fp32.",
        )
    return quantized(plain, seen, chosen), f"{len(chosen)} of {len(products(plain))} layers with weights"


class _Loss(Protocol):
    """The squared error with these convolutions in integers, of every so manieth image that is tried."""

    def __call__(self, chosen: Sequence[str], every: int = 1) -> float: ...


def _chosen(able: Sequence[str], loss: _Loss, allowed: float) -> list[str]:
    """As many convolutions as may be quantised at an error of `allowed`; first those go that alone do most harm.

    Errors of separate layers nearly add up, so that how many must go is known before it is tried.
    """
    if loss(able) <= allowed:
        return list(able)
    harm = {name: loss([name], every=2) for name in able}
    left = sorted(able, key=lambda name: harm[name])
    while left and sum(harm[name] for name in left) > allowed:
        left.pop()
    while left and loss(left) > allowed:
        left.pop()
    return [name for name in able if name in left]
