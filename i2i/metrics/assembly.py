"""From names of metrics to what measures them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from i2i.config import DataConfig
from i2i.metrics.catalogue import KID, MATCHED, TO_TARGET
from i2i.metrics.features import Features, through_efficientnet
from i2i.metrics.frechet import Frechet
from i2i.metrics.inception import through_inception
from i2i.metrics.kernel import KernelDistance
from i2i.metrics.lpips import LPIPS
from i2i.metrics.luma import psnr_y, ssim_y
from i2i.metrics.manifold import NEIGHBOURS, Covered
from i2i.metrics.measure import Measure, PerImage, Scoring
from i2i.metrics.paired import mae, psnr
from i2i.metrics.pixels import Pixels
from i2i.metrics.sets import TwoSets
from i2i.metrics.similarity import ms_ssim, ssim
from i2i.metrics.sliced import Patches
from i2i.metrics.statistic import Statistic
from i2i.metrics.weights import Weights
from i2i.plugin import Kind

Made = dict[str, tuple[str, Callable[[TwoSets], Statistic]]]
_INCEPTION: Final[Made] = {"kid": ("kid", KernelDistance), "fid": ("fid", Frechet)}
_MANIFOLD: Final[Made] = {
    "precision": (f"precision-k{NEIGHBOURS}", Covered),
    "recall": (f"recall-k{NEIGHBOURS}", partial(Covered, reverse=True)),
}


def measures(kind: Kind, config: DataConfig, names: Sequence[str], weights: Weights) -> list[Measure]:
    """What measures the metrics of these names; raises I2IError where weights are missing or do not fit.

    Precision and recall look through Inception where its weights are given, and through EfficientNet-lite0 otherwise.
    """
    paired = kind in MATCHED
    found: list[Measure] = []
    if to_target := [name for name in names if name in TO_TARGET]:
        found.append(PerImage(_scores(kind, config, to_target, weights)))
    if pixels := [name for name in names if name in ("deviation", "parzen")]:
        found.append(Pixels(pixels, paired=paired))
    if "swd" in names:
        found.append(Patches(paired=paired))
    inside = "inception" in weights.files
    seen = {name: make for name, make in _INCEPTION.items() if name in names}
    manifold = {name: make for name, make in _MANIFOLD.items() if name in names}
    least = 4 if manifold or "fid" in names else 2  # of half of them there is a figure
    if seen or (inside and manifold):
        chosen = seen | manifold if inside else seen
        found.append(Features(through_inception(weights, next(iter(chosen))), chosen, paired=paired, least=least))
    tiled = kind == "upscaled"
    if KID in names or (manifold and not inside):
        looking = through_efficientnet()
        distance: Made = {KID: ("kid", KernelDistance)} if KID in names else {}
        whole: Made = {} if inside else manifold
        if tiled:
            found.append(Features(looking, distance, paired=paired, tiled=True))
            if whole:
                found.append(Features(looking, whole, paired=paired, least=least))
        else:
            found.append(Features(looking, distance | whole, paired=paired, least=least if whole else 2))
    return found


def _scores(kind: Kind, config: DataConfig, names: Sequence[str], weights: Weights) -> dict[str, tuple[str, Scoring]]:
    crop = config.scale if kind == "upscaled" else 0
    colours = {1: "grey", 3: "rgb"}.get(config.target_channels, f"channels{config.target_channels}")
    plain: dict[str, tuple[str, Scoring]] = {
        "psnr": (f"psnr-{colours}", psnr),
        "ssim": (f"ssim-{colours}", ssim),
        "mae": (f"mae-{colours}", mae),
        "ms_ssim": (f"ms-ssim-{colours}", ms_ssim),
        "psnr_y": (f"psnr-y-crop{crop}", partial(psnr_y, crop=crop)),
        "ssim_y": (f"ssim-y-crop{crop}", partial(ssim_y, crop=crop)),
    }
    if "lpips" in names:
        lpips = LPIPS(weights)
        plain["lpips"] = (f"lpips-{lpips.net}-v0.1", lpips)
    return {name: plain[name] for name in names}
