"""The metrics by name: what each is, and which are of each kind of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from i2i.metrics.metric import Metric
from i2i.plugin import Kind

KID = "kid_efficientnet"
METRICS: Final[Mapping[str, Metric]] = {
    "psnr": Metric(True, " dB", "Peak signal-to-noise ratio to the target, over all channels."),
    "ssim": Metric(True, "", "Structural similarity to the target (Wang 2004), the mean over channels."),
    "mae": Metric(False, "", "Mean absolute difference to the target, in 255ths."),
    "psnr_y": Metric(True, " dB", "Peak signal-to-noise ratio of luma, without a border as wide as the scale."),
    "ssim_y": Metric(True, "", "Structural similarity of luma, without a border as wide as the scale."),
    "ms_ssim": Metric(True, "", "Structural similarity to the target at five sizes (Wang 2003)."),
    "lpips": Metric(False, "", "Difference to the target in the features of a network, as weighted by people (LPIPS)."),
    KID: Metric(False, "", "Distance of all outputs to all targets in features of EfficientNet-lite0; 0 is none."),
    "kid": Metric(False, "", "Distance of all outputs to all targets in features of Inception (KID); 0 is none."),
    "fid": Metric(False, "", "Frechet distance of all outputs to all targets in features of Inception (FID)."),
    "precision": Metric(True, "", "Share of outputs that lie among the targets: how real they are."),
    "recall": Metric(True, "", "Share of targets that lie among the outputs: how much of the variety is made."),
    "swd": Metric(False, "", "Sliced Wasserstein distance of small patches at several sizes, in thousandths."),
    "deviation": Metric(True, "", "How much outputs differ from each other, as a share of how much targets do."),
    "parzen": Metric(True, " nats", "Log-likelihood of targets under Gaussian windows around the outputs."),
}
TO_TARGET: Final = ("psnr", "ssim", "mae", "psnr_y", "ssim_y", "ms_ssim", "lpips")  # each output to its own
OWN: Final[Mapping[Kind, Sequence[str]]] = {
    "paired": ("psnr", "ssim", "mae"),
    "semantic": (KID, "psnr", "ssim", "mae"),
    "unpaired": (KID,),
    "upscaled": ("psnr_y", "ssim_y", KID),
    "images": (KID, "deviation", "parzen"),
    "labelled": (KID, "deviation", "parzen"),
}
MATCHED: Final[frozenset[Kind]] = frozenset({"paired", "semantic", "upscaled"})
"""Kinds of data in which each output has a target of its own."""


def available(kind: Kind) -> Mapping[str, Metric]:
    """The metrics that data of this kind can be scored by, its own ones first."""
    names = [*OWN[kind], *(name for name in METRICS if name not in OWN[kind])]
    return {name: METRICS[name] for name in names if kind in MATCHED or name not in TO_TARGET}
