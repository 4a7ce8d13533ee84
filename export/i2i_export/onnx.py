"""A network as one ONNX graph: uint8 images `[N, H, W, C]` in, uint8 images `[N, H*scale, W*scale, C]` out."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from i2i.artifact import INPUT, OUTPUT
from i2i.errors import ExportError
from i2i.games.game import Export

OPSET = 18  # the CUDA provider runs Pad and ConvTranspose of later opsets on the CPU
NORMALISATION = "value / 127.5 - 1 before the network, (value + 1) * 127.5 rounded and clipped after it"


class Deployable(nn.Module):
    """A network of [-1, 1] images as a function of the pixels in a file."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """uint8 `[N, H, W, C]` to uint8 `[N, H*scale, W*scale, C]`."""
        made: Tensor = self.network(image.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def to_onnx(export: Export) -> ModelProto:
    """The graph of a network in its deployed form, any N, H and W; raises ExportError where torch cannot trace it."""
    module = Deployable(export.network).eval()
    side = 2 * export.multiple
    example = torch.zeros((2, side, side + export.multiple, export.channels_in), dtype=torch.uint8)
    free = torch.export.Dim.DYNAMIC
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: free, 1: free, 2: free},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter wraps whatever the network raised in one of many types
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(
            f"torch could not export {type(export.network).__name__}: {first_line}",
            "Replace what depends on values or sizes in its `forward` by tensor operations.",
        ) from error
    assert program is not None
    model = program.model_proto
    _name_dimensions(model, export)
    onnx.checker.check_model(model)
    return model


def _name_dimensions(model: ModelProto, export: Export) -> None:
    """Calls the free dimensions what they are; the exporter numbers them, in every intermediate value too."""
    del model.graph.value_info[:]
    height, width = ("H", "W") if export.scale == 1 else (f"{export.scale}*H", f"{export.scale}*W")
    for value, names in ((model.graph.input[0], ("N", "H", "W")), (model.graph.output[0], ("N", height, width))):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dimension.dim_param = name
