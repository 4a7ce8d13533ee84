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

Kind = Literal["image", "noise"]


class Parity(BaseModel):
    """How far the artifact was from the network when it was exported, in 255ths, over `cases` inputs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    cases: int
    largest: int
    differing: float = Field(description="fraction of values that differ at all")


class Description(BaseModel):
    """What a model says of itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int = Field(SCHEMA, description="of this description")
    kind: Kind = Field("image", description="what the input is")
    plugin: str
    plugin_version: str
    i2i_version: str
    channels_in: int = Field(description="1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; 0 of noise")
    channels_out: int
    direction: str = Field("", description="like AtoB, where one run makes a model for each")
    noise: int = Field(0, description="how many numbers of noise make an image")
    classes: tuple[str, ...] = Field((), description="names of the classes of `label` in the order of their numbers")
    size: int = Field(0, description="pixels along the side of an image that is made from noise")
    scale: int = Field(1, description="output pixels per input pixel along a side")
    multiple: int = Field(description="height and width are multiples of this")
    minimum: int = Field(description="and at least this")
    receptive_radius: int = Field(description="input pixels that an output pixel can see in one direction")
    statistics: Literal["none", "image"] = Field(description="'image': normalises by statistics of the whole image")
    trained_size: int = Field(description="pixels along the side of the training images")
    normalisation: str = Field(description="what the graph does to the pixels before and after the network")
    batch_statistics: str = Field(description="what was done about batch normalisation")
    dropout: str = Field(description="what was done about dropout")
    training: str = Field(description="what it was trained on, and for how long")
    digest: str = Field(description="SHA-256 of the weights")
    parity: Parity

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
            except ValueError:
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
