"""What a validation measures: one protocol for each kind of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.config import DataConfig
from i2i.errors import ConfigError
from i2i.metrics.deviation import deviation
from i2i.metrics.kernel import kernel_distance
from i2i.metrics.luma import psnr_y, ssim_y
from i2i.metrics.metric import Metric, to_levels
from i2i.metrics.paired import mae, psnr, ssim
from i2i.metrics.parzen import parzen
from i2i.nn.features import efficientnet_lite0
from i2i.plugin import Kind

Shown = Mapping[str, Tensor]


class Protocol(ABC):
    """Scores the pictures that a game makes of one split, as deployed: on pixels rounded to 255ths.

    metrics: what it reports; the first names the best checkpoint, where nothing else is asked for. least: fewer images
    cannot be scored. most: so many, evenly spaced, are enough in the course of a training; None: all of them.
    """

    metrics: ClassVar[Mapping[str, Metric]]
    least: ClassVar[int] = 1
    most: ClassVar[int | None] = None

    @abstractmethod
    def another(self) -> Protocol:
        """The same protocol with nothing taken in."""

    @abstractmethod
    def add(self, output: Tensor, target: Tensor, batch: Shown) -> None:
        """Takes in what was made of a batch and what was wanted, `[N, C, H, W]` in [-1, 1]."""

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """The scores of all that was taken in since the last call, by the names in `metrics`."""

    def baselines(self, batch: Shown) -> Mapping[str, Tensor]:
        """What could be had without a model, by name, to be scored as if it were the output."""
        copied = batch.get("input")
        return {} if copied is None or copied.shape != batch["target"].shape else {"copying": copied}


class PerImage(Protocol):
    """The mean over images of scores of each."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)
        self._count = 0

    @abstractmethod
    def _each(self, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """The scores `[N]` of images in [0, 255]."""

    def add(self, output: Tensor, target: Tensor, batch: Shown) -> None:
        """Scores the images of a batch."""
        for name, values in self._each(to_levels(output), to_levels(target)).items():
            self._sums[name] += float(values.double().sum())
        self._count += len(output)

    def scores(self) -> dict[str, float]:
        """The means; begins anew."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = defaultdict(float), 0
        return means


@final
class Paired(PerImage):
    """Each output against its target."""

    metrics: ClassVar[Mapping[str, Metric]] = {
        "psnr": Metric(higher_is_better=True, unit=" dB"),
        "ssim": Metric(higher_is_better=True),
        "mae": Metric(higher_is_better=False),
    }

    def another(self) -> Paired:
        """The same protocol with nothing taken in."""
        return Paired()

    def _each(self, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return _pixelwise(output, target)


class Distribution(Protocol):
    """All outputs against all targets, by the kernel distance of their features.

    The targets of the first pass are kept: one object is for one split.
    """

    metrics: ClassVar[Mapping[str, Metric]] = {"kid_efficientnet": Metric(higher_is_better=False)}
    least: ClassVar[int] = 2
    most: ClassVar[int | None] = 256

    def __init__(self, features: nn.Module) -> None:
        self._features = features
        self._made: list[Tensor] = []
        self._real: list[Tensor] = []
        self._real_known = False

    def another(self) -> Distribution:
        """The same protocol with nothing taken in, and the same network to look through."""
        return type(self)(self._features)

    def add(self, output: Tensor, target: Tensor, batch: Shown) -> None:
        """Takes the features of a batch."""
        self._made.append(self._see(output))
        if not self._real_known:
            self._real.append(self._see(target))

    def scores(self) -> dict[str, float]:
        """The distance; begins anew, but for the targets."""
        scores = {"kid_efficientnet": kernel_distance(torch.cat(self._made), torch.cat(self._real))}
        self._made, self._real_known = [], True
        return scores

    def _see(self, images: Tensor) -> Tensor:
        self._features = self._features.to(images.device)
        with torch.no_grad():
            features: Tensor = self._features(to_levels(images) / 127.5 - 1)
        return features.cpu()


class Both(PerImage):
    """Each output against its target, and all outputs against all targets, which sees how sharp they are."""

    def __init__(self, whole: Distribution) -> None:
        super().__init__()
        self._whole = whole

    def _parts(self, images: Tensor) -> Tensor:
        """What is compared as a whole."""
        return images

    def add(self, output: Tensor, target: Tensor, batch: Shown) -> None:
        """Scores the images of a batch, and takes their features."""
        super().add(output, target, batch)
        self._whole.add(self._parts(output), self._parts(target), batch)

    def scores(self) -> dict[str, float]:
        """The means and the distance; begins anew."""
        found = {**self._whole.scores(), **super().scores()}
        return {name: found[name] for name in self.metrics}


@final
class Semantic(Both):
    """What was made of label maps: how well its distribution is met, and each image against its target.

    A map says what is where and not what it looks like: many images are right, and the one that was taken is one of
    them. So the distance names the best.
    """

    metrics: ClassVar[Mapping[str, Metric]] = {**Distribution.metrics, **Paired.metrics}
    least: ClassVar[int] = Distribution.least
    most: ClassVar[int | None] = Distribution.most

    def another(self) -> Semantic:
        """The same protocol with nothing taken in."""
        return Semantic(self._whole.another())

    def baselines(self, batch: Shown) -> Mapping[str, Tensor]:
        """None: the colours of a label map say nothing about an image."""
        return {}

    def _each(self, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return _pixelwise(output, target)


@final
class Upscaled(Both):
    """Each output against its target by their luma, without a border of `scale` pixels, as super-resolution reports.

    And all tiles of the outputs against all of the targets, which sees how sharp they are.
    """

    metrics: ClassVar[Mapping[str, Metric]] = {
        "psnr_y": Metric(higher_is_better=True, unit=" dB"),
        "ssim_y": Metric(higher_is_better=True),
        **Distribution.metrics,
    }

    def __init__(self, scale: int, tiles: Distribution) -> None:
        super().__init__(tiles)
        self._scale = scale

    def another(self) -> Upscaled:
        """The same protocol with nothing taken in."""
        return Upscaled(self._scale, self._whole.another())

    def _parts(self, images: Tensor) -> Tensor:
        return _tiles(images)

    def baselines(self, batch: Shown) -> Mapping[str, Tensor]:
        """The small image enlarged by bicubic interpolation, as by Pillow: torch antialiases with its a = -0.5."""
        size = batch["target"].shape[-2:]
        return {"bicubic": F.interpolate(batch["input"], size=size, mode="bicubic", antialias=True)}

    def _each(self, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        crop = self._scale
        return {"psnr_y": psnr_y(output, target, crop), "ssim_y": ssim_y(output, target, crop)}


@final
class Generated(Distribution):
    """The same, and what tells of collapse: the deviation of outputs over that of targets, and Parzen's likelihood."""

    metrics: ClassVar[Mapping[str, Metric]] = {
        **Distribution.metrics,
        "deviation": Metric(higher_is_better=True),
        "parzen": Metric(higher_is_better=True, unit=" nats"),
    }
    least: ClassVar[int] = 4  # half of them choose the width of the window

    def __init__(self, features: nn.Module) -> None:
        super().__init__(features)
        self._pixels: dict[str, list[Tensor]] = {"made": [], "real": []}
        self._labels: list[Tensor] = []

    def add(self, output: Tensor, target: Tensor, batch: Shown) -> None:
        """Takes features and pixels of a batch."""
        super().add(output, target, batch)
        for name, images in (("made", output), ("real", target)):
            self._pixels[name].append((to_levels(images) / 255).flatten(1).cpu())
        if "label" in batch:
            self._labels.append(batch["label"].cpu())

    def scores(self) -> dict[str, float]:
        """All three; begins anew."""
        made, real = (torch.cat(self._pixels[name]) for name in ("made", "real"))
        labels = torch.cat(self._labels) if self._labels else None
        self._pixels, self._labels = {"made": [], "real": []}, []
        spread = deviation(real, labels)
        return {
            **super().scores(),
            "deviation": deviation(made, labels) / spread if spread else 0.0,
            "parzen": parzen(made, real),
        }


def _pixelwise(output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
    return {"psnr": psnr(output, target), "ssim": ssim(output, target), "mae": mae(output, target)}


def _tiles(images: Tensor, side: int = 96) -> Tensor:
    """Squares of `side` pixels, or smaller ones where an image has not 2 x 2 of them: `[N * tiles, C, side, side]`."""
    side = min(side, min(images.shape[2:]) // 2)
    tiles = images.unfold(2, side, side).unfold(3, side, side)
    return tiles.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def protocol(kind: Kind, config: DataConfig) -> Protocol:
    """The protocol by which games of this kind are scored, ready for one split; raises ConfigError."""
    if kind != "paired" and config.target_channels not in (1, 3):
        raise ConfigError(
            f"data.target_channels {config.target_channels}: {kind} data is scored by what is seen in grey or colour",
            "Choose 1 or 3.",
        )
    match kind:
        case "paired":
            return Paired()
        case "semantic":
            return Semantic(Distribution(efficientnet_lite0()))
        case "unpaired":
            return Distribution(efficientnet_lite0())
        case "upscaled":
            return Upscaled(config.scale, Distribution(efficientnet_lite0()))
        case "images" | "labelled":
            return Generated(efficientnet_lite0())
