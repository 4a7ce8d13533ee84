"""A network as one ONNX graph of pixels.

Images: uint8 `[N, H, W, C]` in, uint8 `[N, H*scale, W*scale, C]` out. Noise: float32 `[N, Z]` and, where there are
classes, int64 labels `[N]` in, uint8 `[N, H, W, C]` out.
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout

import onnx
import torch
from onnx import ModelProto, ValueInfoProto
from torch import Tensor, nn

from i2i.artifact import INPUT, LABEL, NOISE, OUTPUT
from i2i.errors import ExportError
from i2i.games.game import Export, NoiseExport
from i2i.nn.spectral import folded

OPSET = 18  # the CUDA provider runs Pad and ConvTranspose of later opsets on the CPU
TO_PIXELS = "(value + 1) * 127.5 rounded and clipped after the network"
NORMALISATION = f"value / 127.5 - 1 before the network, {TO_PIXELS}"


class FromImage(nn.Module):
    """A network of [-1, 1] images as a function of the pixels in a file."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """uint8 `[N, H, W, C]` to uint8 `[N, H*scale, W*scale, C]`."""
        return _pixels(self.network(image.permute(0, 3, 1, 2).float() / 127.5 - 1))


class FromNoise(nn.Module):
    """A network that makes [-1, 1] images of noise, and of classes where it knows some, as one that makes pixels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """float32 `[N, Z]` and int64 `[N]` to uint8 `[N, H, W, C]`."""
        return _pixels(self.network(noise) if label is None else self.network(noise, label))


def deployable(export: Export | NoiseExport) -> nn.Module:
    """What is traced, and what the graph is compared with, in evaluation mode."""
    module = FromImage(export.network) if isinstance(export, Export) else FromNoise(export.network)
    return module.eval()


def _pixels(made: Tensor) -> Tensor:
    return ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def to_onnx(export: Export | NoiseExport) -> ModelProto:
    """The graph of a network in its deployed form, any N, H and W; raises ExportError where torch cannot trace it."""
    example = _example(export)
    free = {0: torch.export.Dim.DYNAMIC}
    image = {**free, 1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                folded(deployable(export)),
                tuple(example.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(example),
                output_names=[OUTPUT],
                dynamic_shapes=tuple(image if name == INPUT else free for name in example),
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


def _example(export: Export | NoiseExport) -> dict[str, Tensor]:
    if isinstance(export, Export):
        side = 2 * export.multiple
        return {INPUT: torch.zeros((2, side, side + export.multiple, export.channels_in), dtype=torch.uint8)}
    labels = {LABEL: torch.zeros(2, dtype=torch.int64)} if export.classes else {}
    return {NOISE: torch.zeros(2, export.noise), **labels}


def _name_dimensions(model: ModelProto, export: Export | NoiseExport) -> None:
    """Calls the free dimensions what they are; the exporter numbers them, in every intermediate value too."""
    del model.graph.value_info[:]
    if isinstance(export, NoiseExport):
        for value in (*model.graph.input, *model.graph.output):
            _name(value, ("N",))
        return
    height, width = ("H", "W") if export.scale == 1 else (f"{export.scale}*H", f"{export.scale}*W")
    _name(model.graph.input[0], ("N", "H", "W"))
    _name(model.graph.output[0], ("N", height, width))


def _name(value: ValueInfoProto, names: tuple[str, ...]) -> None:
    for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
        dimension.dim_param = name
