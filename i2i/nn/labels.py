"""Label maps as networks see them: a channel for each class, made of the colours of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.palette import levels


class OneHot(nn.Module):
    """From a label map in colours, `[N, 3, H, W]` in [-1, 1], to `[N, K, H, W]`, 1 at the class of a pixel, else 0.

    colours: of the K classes in their order, as `#rrggbb`. A pixel is of the class whose colour is nearest by the sum
    of the absolute differences of the levels, of the first one of equally near ones. All steps are of whole numbers up
    to 765, which even half precision holds, so a deployed graph tells classes apart exactly as the training does.
    Raises ConfigError for what is no colour.
    """

    palette: Tensor
    ranks: Tensor

    def __init__(self, colours: Sequence[str]) -> None:
        super().__init__()
        palette = torch.from_numpy(levels(colours)).float().T.reshape(3, len(colours), 1, 1)
        self.register_buffer("palette", palette, persistent=False)  # not learned: it is part of the configuration
        ranks = torch.arange(len(colours), 0, -1).float().reshape(1, -1, 1, 1)
        self.register_buffer("ranks", ranks, persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """The classes, in float32 whatever else is computed in; raises ValueError where there are not 3 channels."""
        if picture.shape[1] != 3:
            raise ValueError(
                f"a label map of {picture.shape[1]} channels: its colours are red, green and blue; "
                "leave data.input_channels at 3"
            )
        with torch.autocast(picture.device.type, enabled=False):
            pixels = ((picture.float() + 1) * 127.5).round()
            red, green, blue = (
                (pixels[:, channel : channel + 1] - self.palette[channel]).abs() for channel in range(3)
            )
            distance = red + green + blue
            near = F.relu(1 - (distance - distance.amin(1, keepdim=True)))  # 1 at the nearest, and at equals of it
            ranked = near * self.ranks
            return F.relu(1 - (ranked.amax(1, keepdim=True) - ranked))


def subsampled(labels: Tensor, step: int) -> Tensor:
    """Every `step`-th pixel of `[N, K, H, W]` along both sides, the first one of each: no class is ever mixed."""
    # The same as indexing by steps; a pooling of one pixel is known to be local when large images are cut into tiles.
    return F.max_pool2d(labels, kernel_size=1, stride=step)
