"""A model file in a repository of NVIDIA's Triton Inference Server, with its configuration.

Fields: triton-inference-server/common, protobuf/model_config.proto; parameters: triton-inference-server/
onnxruntime_backend, README.md.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from i2i.artifact import INPUT, LABEL, NOISE, OUTPUT, Description
from i2i.errors import ExportError
from i2i.files import replacing

BATCH: Final = {"image": 8, "noise": 64}  # images at most that are computed together
DELAY: Final = 2_000  # microseconds that a request waits for others
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check(repository: Path, name: str, version: int, description: Description | None = None) -> None:
    """Raises ExportError for what cannot be a model's name, and for a version of it that is there already.

    description: of the model that is to be added, where it is known: its other versions must be configured likewise.
    """
    if not _NAME.fullmatch(name):
        raise ExportError(
            f"'{name}' cannot be the name of a model in Triton",
            "Give another one with --name: letters, digits, '.', '_' and '-'.",
        )
    folder = repository / name
    if (folder / str(version)).exists():
        known = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
        raise ExportError(
            f"{folder / str(version)}: is there already",
            f"Add it as --version {max(known) + 1}, or choose another --name, or another folder with -o.",
        )
    written = folder / "config.pbtxt"
    if description is not None and folder.exists() and not _says(written, configuration(name, description)):
        raise ExportError(
            f"{written}: is not what this model needs",
            "Choose another --name, or another folder with -o.",
        )


def pack(model: Path, description: Description, repository: Path, name: str, version: int) -> Path:
    """Adds a model file to `repository` as `NAME/VERSION/model.onnx`, with `NAME/config.pbtxt`; returns `NAME`'s path.

    Raises ExportError as `check` does.
    """
    check(repository, name, version, description)
    folder = repository / name
    if not folder.exists():
        with replacing(folder) as aside:
            (aside / str(version)).mkdir(parents=True)
            (aside / "config.pbtxt").write_text(configuration(name, description), encoding="utf-8")
            shutil.copyfile(model, aside / str(version) / "model.onnx")
        return folder
    with replacing(folder / str(version)) as aside:
        aside.mkdir()
        shutil.copyfile(model, aside / "model.onnx")
    return folder


def configuration(name: str, description: Description) -> str:
    """The `config.pbtxt` of a model: what goes in and out but for the batch, and how requests are batched."""
    most = BATCH[description.kind]
    output = _tensor(OUTPUT, "UINT8", _sides(description), description.channels_out)
    limits = []
    if description.kind == "image":
        inputs = [_tensor(INPUT, "UINT8", (-1, -1), description.channels_in)]
        sizes = {"multiple": description.multiple, "minimum": description.minimum, "scale": description.scale}
        limits = [_parameter(f"i2i.{key}", value) for key, value in sizes.items()]
    else:
        inputs = [_tensor(NOISE, "FP32", (), description.noise)]
        if description.classes:
            inputs.append(f'  {{ name: "{LABEL}" data_type: TYPE_INT64 dims: [ 1 ] reshape {{ shape: [ ] }} }}')
    # Triton puts a model on the GPUs that are there; integers are for processors.
    kind = "KIND_CPU" if description.precision == "int8" else "KIND_AUTO"
    parameters = "\n".join([_parameter("cudnn_conv_algo_search", 1), *limits])
    given = ",\n".join(inputs)
    return f"""# {_summary(description)}
name: "{name}"
backend: "onnxruntime"
max_batch_size: {most}
input [
{given}
]
output [
{output}
]
# Requests of one size wait for each other until there are enough, or for so long.
dynamic_batching {{
  preferred_batch_size: [ {most // 2}, {most} ]
  max_queue_delay_microseconds: {DELAY}
}}
instance_group [ {{ count: 1 kind: {kind} }} ]
# HEURISTIC: on a GPU, the default tries every algorithm again for every new image size.
{parameters}
"""


def _says(config: Path, wanted: str) -> bool:
    return config.is_file() and _fields(config.read_text(encoding="utf-8")) == _fields(wanted)


def _fields(config: str) -> list[str]:
    return [line for line in config.splitlines() if not line.lstrip().startswith("#")]


def _summary(description: Description) -> str:
    if description.kind == "noise":
        return f"{description.plugin}: an image for each row of noise."
    return (
        f"{description.plugin}: height and width are multiples of {description.multiple}, and at least "
        f"{description.minimum}: pad at the bottom and the right, and crop."
    )


def _sides(description: Description) -> tuple[int, int]:
    return (-1, -1) if description.kind == "image" else (description.size, description.size)


def _tensor(name: str, type_name: str, sides: tuple[int, ...], channels: int) -> str:
    dims = ", ".join(map(str, (*sides, channels)))
    return f'  {{ name: "{name}" data_type: TYPE_{type_name} dims: [ {dims} ] }}'


def _parameter(key: str, value: int) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
