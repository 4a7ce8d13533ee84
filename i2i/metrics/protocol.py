"""What a model is scored by: a protocol for each kind of data, and more metrics by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

from torch import Tensor
from torch.nn import functional as F

from i2i.config import DataConfig
from i2i.errors import ConfigError, I2IError, did_you_mean
from i2i.metrics.assembly import measures
from i2i.metrics.catalogue import KID, METRICS, OWN, available
from i2i.metrics.kept import NEAREST, Kept
from i2i.metrics.measure import Measure, Named
from i2i.metrics.metric import Metric
from i2i.metrics.statistic import Mean
from i2i.metrics.weights import NONE, Weights
from i2i.plugin import Kind

Shown = Mapping[str, Tensor]
ENOUGH: Final = 256  # images that a distance of sets takes in the course of a training


@final
class Protocol:
    """Scores the pictures that a game makes of one split, as deployed: on pixels rounded to 255ths.

    metrics: what it reports; the first names the best checkpoint, where nothing else is asked for. least: fewer images
    cannot be scored. most: so many, evenly spaced, are enough in the course of a training; None: all of them.
    """

    def __init__(self, kind: Kind, names: Sequence[str], parts: Sequence[Measure]) -> None:
        self._kind, self._parts = kind, parts
        self.metrics: Mapping[str, Metric] = {name: METRICS[name] for name in names}
        self.least = max(part.least for part in parts)
        self.most = ENOUGH if KID in OWN[kind] and kind != "upscaled" else None
        self._count = 0

    def another(self) -> Protocol:
        """The same protocol with nothing taken in, and the same networks to look through."""
        return Protocol(self._kind, list(self.metrics), [part.another() for part in self._parts])

    def add(self, output: Tensor, target: Tensor, batch: Shown) -> None:
        """Takes in what was made of a batch and what was wanted, `[N, C, H, W]` in [-1, 1].

        Raises I2IError where a metric needs larger images, or images of one size.
        """
        for part in self._parts:
            part.add(output, target, batch)
        self._count += len(output)

    def scores(self) -> dict[str, float]:
        """The scores of all that was taken in since the last call, by the names in `metrics`.

        Begins anew, but for the targets of sets: one object is for one split.
        """
        return {name: named.statistic.value() for name, named in self._named().items()}

    def take(self) -> Kept:
        """What is known of all that was taken in since the last call; begins anew, likewise.

        Raises I2IError where that are fewer images than `least`.
        """
        count = self._count
        if count < self.least:
            raise I2IError(
                f"{count} images: scores by {', '.join(self.metrics)} need {self.least} at least",
                "Give more images, or choose other metrics.",
            )
        named = self._named()
        each = {name: one.statistic.each for name, one in named.items() if isinstance(one.statistic, Mean)}
        distances = [found for part in self._parts if not each and (found := part.nearest()) is not None]
        each |= {NEAREST: distances[0]} if distances else {}
        statistics = {name: one.statistic for name, one in named.items()}
        return Kept(count, {name: one.key for name, one in named.items()}, each, statistics)

    def baselines(self, batch: Shown) -> Mapping[str, Tensor]:
        """What could be had without a model, by name, to be scored as if it were the output.

        Copying the input, where it is like a target; of a small image, its enlargement by bicubic interpolation as by
        Pillow (a = -0.5, which torch takes where it antialiases). Of a label map, nothing: its colours say nothing
        about an image.
        """
        source, target = batch.get("input"), batch["target"]
        if source is None or self._kind == "semantic":
            return {}
        if self._kind == "upscaled":
            return {"bicubic": F.interpolate(source, size=target.shape[-2:], mode="bicubic", antialias=True)}
        return {"copying": source} if source.shape == target.shape else {}

    def _named(self) -> dict[str, Named]:
        self._count = 0
        found: dict[str, Named] = {}
        for part in self._parts:
            found |= part.take()
        return {name: found[name] for name in self.metrics}


def protocol(kind: Kind, config: DataConfig, extra: Sequence[str] = (), weights: Weights = NONE) -> Protocol:
    """The protocol by which games of this kind are scored, ready for one split.

    extra: more metrics, of `catalogue.available`. weights: files that some of these look through. Raises ConfigError
    for channels that nothing can be seen in, and I2IError for a metric that is unknown, does not suit the data, or
    lacks its weights.
    """
    known = available(kind)
    for name in extra:
        if name in known:
            continue
        if name in METRICS:
            raise I2IError(
                f"{name} compares each output with a target of its own, and {kind} data has none",
                f"Choose of {', '.join(known)}.",
            )
        raise I2IError(f"no metric '{name}'{did_you_mean(name, known)}", f"There are {', '.join(known)}.")
    names = list(dict.fromkeys([*OWN[kind], *extra]))
    if names != ["psnr", "ssim", "mae"] and config.target_channels not in (1, 3):
        raise ConfigError(
            f"data.target_channels {config.target_channels}: {kind} data is scored by what is seen in grey or colour",
            "Choose 1 or 3.",
        )
    return Protocol(kind, names, measures(kind, config, names, weights))
