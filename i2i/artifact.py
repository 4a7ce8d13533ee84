"""The artifact: one `.onnx` that gives uint8 `[N, H, W, C]`, with its description in `metadata_props`.

A model of kind `image` takes `image`, uint8 `[N, H, W, C]`. A model of kind `noise` takes `noise`, float32 `[N, Z]`,
and, if it knows classes, `label`, int64 `[N]`, the number of a class. Each field of the description is a property
`i2i.FIELD` with a JSON value, so that any ONNX viewer or runtime shows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from i2i.errors import ArtifactError

SCHEMA = 1
PREFIX = "i2i."
INPUT = "image"
NOISE = "noise"
LABEL = "label"
OUTPUT = "output"  # a graph may not use one name twice
_MOST = 2**16  # of any number of pixels in a description, which a hostile file may hold too
_MOST_OF_A_PIXEL = 1e12  # multiplications or bytes, of which the networks here take a million

Kind = Literal["image", "noise"]
Precision = Literal["fp32", "fp16", "int8"]


class Parity(BaseModel):
    """How far the artifact was from the network when it was exported, in 255ths, over `cases` inputs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cases: int
    largest: int
    differing: float = Field(ge=0, le=1, description="fraction of values that differ at all")


class Loss(BaseModel):
    """How far a variant was from the model in fp32 when it was made, over `images` validation images."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    images: int
    psnr: float = Field(allow_inf_nan=False, description="dB, of the mean squared error over all of them")
    bound: float = Field(allow_inf_nan=False, description="dB, below which the variant would have been refused")
    layers: str = Field("", description="how many layers with weights compute in the precision, of how many")


class Description(BaseModel):
    """What a model says of itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int = Field(SCHEMA, description="of this description")
    kind: Kind = Field("image", description="what the input is")
    plugin: str
    plugin_version: str
    i2i_version: str
    channels_in: int = Field(ge=0, le=4, description="1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; 0 of noise")
    channels_out: int = Field(ge=1, le=4)
    direction: str = Field("", description="like AtoB, where one run makes a model for each")
    noise: int = Field(0, ge=0, le=_MOST, description="how many numbers of noise make an image")
    classes: tuple[str, ...] = Field((), description="names of the classes of `label` in the order of their numbers")
    size: int = Field(0, ge=0, le=_MOST, description="pixels along the side of an image that is made from noise")
    scale: int = Field(1, ge=1, le=_MOST, description="output pixels per input pixel along a side")
    multiple: int = Field(ge=1, le=_MOST, description="height and width are multiples of this")
    minimum: int = Field(ge=1, le=_MOST, description="and at least this")
    receptive_radius: int = Field(
        ge=0, le=_MOST, description="input pixels that an output pixel can see in one direction"
    )
    stride: int = Field(
        0, ge=0, le=_MOST, description="the image moved by this many pixels gives the result moved; 0: not known"
    )
    view: Literal["window", "whole"] = Field(
        "window", description="'whole': each output pixel sees the whole image, by more than statistics of norms"
    )
    statistics: Literal["none", "image"] = Field(description="'image': normalises by statistics of the whole image")
    trained_size: int = Field(ge=1, le=_MOST, description="pixels along the side of the training images")
    normalisation: str = Field(description="what the graph does to the pixels before and after the network")
    batch_statistics: str = Field(description="what was done about batch normalisation")
    dropout: str = Field(description="what was done about dropout")
    training: str = Field(description="what it was trained on, and for how long")
    digest: str = Field(description="SHA-256 of the weights")
    precision: Precision = Field("fp32", description="of the weights and activations")
    operations: float = Field(
        0, ge=0, le=_MOST_OF_A_PIXEL, description="multiplications for each input pixel; 0: not known"
    )
    memory: float = Field(
        0,
        ge=0,
        le=_MOST_OF_A_PIXEL,
        description="bytes for each input pixel of the values that are needed at one time, in float32; 0: not known",
    )
    parity: Parity
    loss: Loss | None = Field(None, description="of a variant, against fp32")

    def properties(self) -> dict[str, str]:
        """The description as `metadata_props`."""
        return {PREFIX + key: json.dumps(value) for key, value in self.model_dump(mode="json").items()}


def describe(properties: Mapping[str, str], where: str) -> Description:
    """Reads a description back from `metadata_props`; raises ArtifactError, naming `where`, for a foreign one."""
    values: dict[str, Any] = {}
    for key, text in properties.items():
        if key.startswith(PREFIX):
            try:
                values[key.removeprefix(PREFIX)] = json.loads(text)
            except (ValueError, RecursionError):  # brackets in brackets, without end
                raise ArtifactError(f"{where}: its property {key} is not JSON", "Export the model again.") from None
    schema = values.get("schema_version")
    if schema is None:
        raise ArtifactError(
            f"{where}: an ONNX model, but not one that i2i exported: it does not describe itself",
            "Give a model.onnx that `i2i train` or `i2i export` wrote.",
        )
    if not isinstance(schema, int) or schema > SCHEMA:
        raise ArtifactError(
            f"{where}: written by i2i {values.get('i2i_version', '?')} with description schema {schema}; "
            f"this version reads up to {SCHEMA}",
            "Update i2i: pip install -U i2i",
        )
    try:
        return Description.model_validate(values)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors())
        raise ArtifactError(
            f"{where}: its description is incomplete or damaged: {fields}", "Export it again."
        ) from None
