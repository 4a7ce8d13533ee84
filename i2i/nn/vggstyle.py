"""The discriminator of SRGAN."""

from __future__ import annotations

from torch import Tensor, nn


class VGGStyle(nn.Module):
    """Judges a whole image of one size: eight 3x3 convolutions, of which every other halves, and two dense layers.

    Ledig et al. 2017, arXiv:1609.04802, section 2.1.1 and figure 4, after Simonyan & Zisserman and Radford et al.:
    `filters` doubled up to eight times, batch norm but for the first layer, LeakyReLU 0.2, no pooling; no sigmoid, the
    objective takes logits. The dense layer ties it to images of `size` pixels; the paper's are of 96.
    """

    def __init__(self, channels: int, *, size: int = 96, filters: int = 64, dense: int = 1024) -> None:
        super().__init__()
        net: list[nn.Module] = [nn.Conv2d(channels, filters, 3, 1, 1), nn.LeakyReLU(0.2)]
        width, strides = filters, 1
        for wider in (1, 2, 4, 8):
            for stride in (1, 2):
                if wider == 1 and stride == 1:
                    continue  # the one above
                net += [
                    nn.Conv2d(width, wider * filters, 3, stride, 1, bias=False),
                    nn.BatchNorm2d(wider * filters),
                    nn.LeakyReLU(0.2),
                ]
                width, strides = wider * filters, strides * stride
        side = -(-size // strides)
        net += [nn.Flatten(), nn.Linear(width * side**2, dense), nn.LeakyReLU(0.2), nn.Linear(dense, 1)]
        self.net = nn.Sequential(*net)

    def forward(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """Logits `[N, 1]` of images `[N, channels, size, size]` in [-1, 1]; a condition is not looked at."""
        del condition
        logits: Tensor = self.net(image)
        return logits
