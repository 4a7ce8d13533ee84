"""LPIPS: the difference of two images in a network's features, weighted as people see it.

Zhang et al. 2018, arXiv:1801.03924, eq. 1, version 0.1. The weights of features (the heads) come with torchmetrics,
those of the network that makes them are a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import as_file, files
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import VGG, AlexNet, alexnet, vgg16

from i2i.errors import I2IError
from i2i.metrics.weights import Weights
from i2i.nn.features import FeatureNetwork

SMALLEST: Final = 32  # pixels that the last layer needs


class _Net(NamedTuple):
    make: Callable[[], AlexNet | VGG]
    ends: Sequence[int]  # of torchvision's `features`, one behind each rectifier that is looked at


_NETS: Final[Mapping[str, _Net]] = {
    "alex": _Net(alexnet, (2, 5, 8, 10, 12)),
    "vgg": _Net(vgg16, (4, 9, 16, 23, 30)),
}


class LPIPS:
    """Scores images by AlexNet or VGG16, whichever the file in `weights` is of; raises I2IError where it is neither.

    net: "alex" or "vgg".
    """

    def __init__(self, weights: Weights) -> None:
        stored = weights.read("lpips", "lpips")
        first = stored.get("features.0.weight", torch.empty(0))
        self.net = "alex" if first.shape[2:] == (11, 11) else "vgg"
        make, ends = _NETS[self.net]
        with torch.device("meta"):  # nothing is drawn that the file replaces
            features = make().features
        wanted = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
        fitting = weights.fitting("lpips", f"LPIPS ({self.net})", wanted, stored)
        features.load_state_dict({name.removeprefix("features."): each for name, each in fitting.items()}, assign=True)
        self._network = FeatureNetwork(
            [features[begin:end] for begin, end in zip([0, *ends], ends, strict=False)],
            nn.Identity(),
            mean=(0.485, 0.456, 0.406),
            deviation=(0.229, 0.224, 0.225),
            scale=1,
        )
        self._heads = _heads(self.net)

    @torch.no_grad()
    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """LPIPS `[N]` of images `[N, C, H, W]` in [0, 255], C 1 or 3; raises I2IError below 32 pixels a side."""
        if min(output.shape[2:]) < SMALLEST:
            raise I2IError(
                f"lpips: images of {output.shape[3]} x {output.shape[2]} pixels are too small for its network",
                f"Score images of {SMALLEST} x {SMALLEST} pixels or more, or leave lpips out.",
            )
        self._network = self._network.to(output.device)
        one, other = (self._network.maps(images / 127.5 - 1) for images in (output, target))
        total = torch.zeros(len(output), dtype=torch.float64, device=output.device)
        for first, second, head in zip(one, other, self._heads, strict=True):
            apart = (_unit(first) - _unit(second)).square()
            total += (apart * head.to(output.device)).sum(1).double().mean((1, 2))
        return total


def _unit(features: Tensor) -> Tensor:
    """Vectors of length 1 at each place."""
    return features * (features.square().sum(1, keepdim=True) + 1e-8).rsqrt()


def _heads(net: str) -> list[Tensor]:
    with as_file(files("torchmetrics") / "functional" / "image" / "lpips_models" / f"{net}.pth") as path:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    return [stored[f"lin{number}.model.1.weight"] for number in range(len(_NETS[net].ends))]
