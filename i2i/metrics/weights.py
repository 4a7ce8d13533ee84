"""Files of weights that metrics look through: which are known, where they are had from, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from i2i.errors import I2IError, did_you_mean

SOURCES: Final[Mapping[str, str]] = {
    "lpips": "torchvision's alexnet-owt-7be5be79.pth (LPIPS-Alex) or vgg16-397923af.pth (LPIPS-VGG)",
    "inception": "pt_inception-2015-12-05-6726825d.pth of pytorch-fid, which torch-fidelity has as "
    "weights-inception-2015-12-05-6726825d.pth",
}


@dataclass(frozen=True)
class Weights:
    """Files by the names in `SOURCES`: `Weights({"lpips": Path("alexnet.pth")})`; raises I2IError for another name."""

    files: Mapping[str, Path]

    def __post_init__(self) -> None:
        for name in self.files:
            if name not in SOURCES:
                raise I2IError(
                    f"weights {name}: no metric looks through these{did_you_mean(name, SOURCES)}",
                    f"There are {' and '.join(SOURCES)}.",
                )

    def read(self, name: str, metric: str) -> dict[str, Tensor]:
        """The tensors of the file of that name; raises I2IError where there is none, or it holds something else."""
        path = self.files.get(name)
        if path is None:
            raise I2IError(
                f"{metric} looks through a network whose weights are a file of their own, and none is given",
                f"Get {SOURCES[name]} and name it: `i2i eval --weights {name}=FILE`.",
            )
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except OSError as error:
            raise I2IError(
                f"{path}: cannot be read: {error.strerror or error}", "Give the path of a weights file."
            ) from error
        except Exception as error:  # torch.load raises whatever the unpickler stumbles over
            raise I2IError(f"{path}: not a file of weights alone", f"It should be {SOURCES[name]}.") from error
        if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
            raise I2IError(f"{path}: holds no state dict", f"It should be {SOURCES[name]}.")
        return dict(stored)

    def fitting(
        self, name: str, metric: str, wanted: Mapping[str, Tensor], stored: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Of the file's tensors those in `wanted`; raises I2IError where one is missing or of another shape."""
        for key, tensor in wanted.items():
            found = stored.get(key)
            if found is None or found.shape != tensor.shape:
                has = "has none" if found is None else f"is {list(found.shape)}"
                raise I2IError(
                    f"{self.files[name]}: not the weights for {metric}: '{key}' should be {list(tensor.shape)}, "
                    f"the file's {has}",
                    f"It should be {SOURCES[name]}.",
                )
        return {key: stored[key].to(tensor.dtype) for key, tensor in wanted.items()}


NONE: Final = Weights({})
