"""The network of 2015 through which published FID and KID look, from torch-fidelity; its weights are a file."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from textwrap import shorten
from typing import Final, final

import torch
from torch import Tensor, nn

from i2i.errors import I2IError
from i2i.metrics.features import Looking
from i2i.metrics.weights import Weights

NAME: Final = "inception-2015-12-05"
_LAYER: Final = "2048"  # the last pooling


@final
class Inception(nn.Module):
    """From images `[N, C, H, W]` in [-1, 1], C 1 or 3, to features `[N, 2048]`.

    Images are brought to 299 x 299 pixels, stretched if need be, by the bilinear interpolation of TensorFlow 1, as
    published figures have it. Raises I2IError where torch-fidelity or the weights are missing or do not fit.
    """

    def __init__(self, weights: Weights, metric: str) -> None:
        super().__init__()
        stored = weights.read("inception", metric)
        try:
            network = import_module("torch_fidelity.feature_extractor_inceptionv3").FeatureExtractorInceptionV3
        except ImportError as error:
            raise I2IError(f"{metric}: torch-fidelity is not installed", "pip install 'i2i[fid]'") from error
        # It unpickles whatever its file holds: what it gets is written here, of the tensors that were read safely.
        written = BytesIO()
        torch.save(stored, written)
        written.seek(0)
        try:
            self.network = network("inception", [_LAYER], feature_extractor_weights_path=written)
        except RuntimeError as error:
            reason = shorten(" ".join(str(error).splitlines()[1:]), 160)  # the first line names the class alone
            raise I2IError(
                f"{weights.files['inception']}: not the weights for {metric}: {reason}",
                "It should be pt_inception-2015-12-05-6726825d.pth.",
            ) from error

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        levels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        found: Tensor = self.network(levels.expand(-1, 3, -1, -1))[0]
        return found


def through_inception(weights: Weights, metric: str) -> Looking:
    """What `metric` looks through; its name says how images are resized."""
    return Looking(Inception(weights, metric), f"{NAME}-bilinear299")
