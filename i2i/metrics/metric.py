"""What every metric has in common: a direction, a unit, and pixels as a file would hold them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """How the figure of one name is to be read.

    said: what it is, in one sentence for tables and reports.
    """

    higher_is_better: bool
    unit: str = ""
    said: str = ""


def to_levels(images: Tensor) -> Tensor:
    """Images in [-1, 1] as the whole numbers 0 to 255 that a file would hold, in float32."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255)
