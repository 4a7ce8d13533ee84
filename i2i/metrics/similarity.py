"""Structural similarity, and the same at several sizes, on windows that lie in the image.

Wang et al. 2004, IEEE Transactions on Image Processing 13(4), with its Gaussian window of 11 x 11, sigma 1.5, and its
constants, as in Wang's own program and in scikit-image. Everything is in float64: variances are small differences of
large squares. torchmetrics counts windows that a reflection of the border fills up, too, and is not comparable.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import I2IError

RADIUS: Final = 5  # of the window
SIDE: Final = 2 * RADIUS + 1
_SIGMA: Final = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# Of the sizes, from the full one downwards: Wang et al. 2003, "Multi-scale structural similarity", section 3.2.
EXPONENTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST: Final = SIDE * 2 ** (len(EXPONENTS) - 1)  # pixels of a side: a window fits at the last size


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Structural similarity, `[N]` in float64, of images `[N, C, H, W]` in [0, 255]; the mean over channels.

    Images of fewer than 11 pixels along a side are continued by their border until a window fits.
    """
    return torch.stack([_maps(*_fitted(one, other))[0].mean() for one, other in zip(output, target, strict=True)])


def ms_ssim(output: Tensor, target: Tensor) -> Tensor:
    """SSIM at five sizes, each half of the one before, `[N]` in float64, of images `[N, C, H, W]` in [0, 255].

    The similarity of structure and contrast at all sizes, that of luminance at the smallest; by channel, and then the
    mean over channels. What is below 0 counts as 0, as a power of it is no number. Raises I2IError for images of fewer
    than 176 pixels along a side.
    """
    if min(output.shape[2:]) < SMALLEST:
        raise I2IError(
            f"ms_ssim: images of {output.shape[3]} x {output.shape[2]} pixels are too small: a window of {SIDE} pixels "
            f"must fit into a sixteenth of them",
            f"Score images of {SMALLEST} x {SMALLEST} pixels or more, or leave ms_ssim out.",
        )
    return torch.stack([_ms_ssim(one.double(), other.double()) for one, other in zip(output, target, strict=True)])


def _ms_ssim(one: Tensor, other: Tensor) -> Tensor:
    found = torch.ones(len(one), dtype=torch.float64, device=one.device)
    for number, exponent in enumerate(EXPONENTS):
        whole, structure = _maps(one, other)
        last = number == len(EXPONENTS) - 1
        found = found * (whole if last else structure).mean((1, 2)).clamp(min=0) ** exponent
        one, other = (F.avg_pool2d(each, 2) for each in (one, other))
    return found.mean()


def _fitted(*images: Tensor) -> list[Tensor]:
    """Images `[C, H, W]` in float64, with a border where no window fits into them."""
    height, width = (max(0, SIDE - side) for side in images[0].shape[1:])
    border = (width // 2, width - width // 2, height // 2, height - height // 2)
    return [F.pad(image.double()[None], border, mode="replicate")[0] for image in images]


def _maps(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM, and its part of contrast and structure alone, of images `[C, H, W]`, at each place of the window."""
    mean_one, mean_other = _windowed(one), _windowed(other)
    product = mean_one * mean_other
    squares = mean_one.square() + mean_other.square()
    covariance = _windowed(one * other) - product
    variances = (_windowed(one.square() + other.square()) - squares).clamp(min=0)
    structure = (2 * covariance + _C2) / (variances + _C2)
    return (2 * product + _C1) / (squares + _C1) * structure, structure


def _windowed(image: Tensor) -> Tensor:
    """The mean under the window at each place that it lies in the image, `[C, H - 10, W - 10]`."""
    # Rows, then columns, as sums of shifted images: several times as fast on a CPU as a convolution in float64.
    weights = [float(weight) for weight in _weights()]
    for dim in (2, 1):
        places = image.shape[dim] - 2 * RADIUS
        total = image.narrow(dim, RADIUS, places) * weights[0]
        for distance in range(1, RADIUS + 1):
            both = image.narrow(dim, RADIUS - distance, places) + image.narrow(dim, RADIUS + distance, places)
            total.add_(both, alpha=weights[distance])
        image = total
    return image


def _weights() -> Tensor:
    """Of the window along an axis, from its middle outwards."""
    side = torch.exp(-(torch.arange(RADIUS + 1, dtype=torch.float64) ** 2) / (2 * _SIGMA**2))
    return side / (2 * side.sum() - side[0])
