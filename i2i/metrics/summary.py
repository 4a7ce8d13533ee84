"""What was kept of outputs, as an evaluation writes it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from i2i.evaluated import About, Figure, ranked
from i2i.metrics.catalogue import METRICS
from i2i.metrics.kept import Kept, Score
from i2i.metrics.metric import Metric
from i2i.metrics.statistic import Values


def figures(scores: Mapping[str, Score]) -> dict[str, Figure]:
    """Scores as they are written."""
    return {name: Figure(value=score.value, low=score.low, high=score.high) for name, score in scores.items()}


def abouts(metrics: Mapping[str, Metric], kept: Kept) -> dict[str, About]:
    """How the figures of each metric are to be read."""
    return {
        name: About(key=kept.keys[name], unit=metric.unit, higher_is_better=metric.higher_is_better, said=metric.said)
        for name, metric in metrics.items()
    }


def lines(names: Sequence[str], each: Mapping[str, Values]) -> dict[str, dict[str, float]]:
    """Per-image values `[N]` by the names of the images."""
    return {name: {key: float(values[at]) for key, values in each.items()} for at, name in enumerate(names)}


def extremes(metrics: Mapping[str, Metric], kept: Kept) -> tuple[str, list[int], list[int]]:
    """By which of the per-image values images are ordered, nothing if there is none; the worst and the best, by number.

    The first of the metrics that has such values, else another one that was kept, or what is kept for this alone, of
    which less is better.
    """
    by = next((name for name in (*metrics, *kept.each) if name in kept.each), "")
    if not by:
        return by, [], []
    return by, *ranked(kept.each[by].tolist(), by in METRICS and METRICS[by].higher_is_better)
