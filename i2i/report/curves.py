"""Curves as SVG: long ones thinned so that no peak is lost, axes with round numbers, colours by the page's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from i2i.report.told import Curve

POINTS: Final = 400  # of a curve that is drawn
_WIDTH, _HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 24
_DECADES: Final = 2.0  # from which on values above 0 are drawn by their logarithms


def thinned(curve: Curve, most: int = POINTS) -> Curve:
    """At most about `most` of the points: of each stretch the lowest and the highest, and the first and last of all."""
    if len(curve) <= most:
        return curve
    each = -(-len(curve) // (most // 2))
    kept: Curve = []
    for start in range(0, len(curve), each):
        part = curve[start : start + each]
        pair = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept += sorted(pair)
    return [curve[0], *(point for point in kept if point not in (curve[0], curve[-1])), curve[-1]]


def chart(title: str, curves: Mapping[str, Curve], *, marked: tuple[float, float] | None = None, unit: str = "") -> str:
    """The curves in one chart with a legend; what is no finite number leaves a gap. marked: a point with a ring."""
    pieces = {name: _pieces(curve) for name, curve in curves.items()}
    finite = {name: [point for piece in parts for point in piece] for name, parts in pieces.items() if parts}
    if not finite:
        return ""
    steps = [step for curve in finite.values() for step, _ in curve]
    values = [value for curve in finite.values() for _, value in curve]
    logarithmic = min(values) > 0 and math.log10(max(values) / min(values)) > _DECADES
    first, last = min(steps), max(*steps, min(steps) + 1)
    ticks = _decades(min(values), max(values)) if logarithmic else _round(min(values), max(values))
    low, high = min(*ticks, *values), max(*ticks, *values)

    def across(step: float) -> float:
        return _LEFT + (step - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        if logarithmic:
            part = (math.log10(value) - math.log10(low)) / ((math.log10(high) - math.log10(low)) or 1)
        else:
            part = (value - low) / ((high - low) or 1)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(_spoken(title, finite, unit))}">',
        *(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(tick):.1f}" y2="{down(tick):.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{down(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
            for tick in ticks
        ),
        *(
            f'<text class="tick" x="{across(step):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{step:,.0f}</text>'
            for step, anchor in ((first, "start"), ((first + last) / 2, "middle"), (last, "end"))
        ),
    ]
    for number, name in enumerate(finite):
        most = max(2, POINTS // len(pieces[name]))
        for piece in pieces[name]:
            points = [f"{across(step):.1f},{down(value):.1f}" for step, value in thinned(piece, most)]
            if len(points) == 1:
                x, _, y = points[0].partition(",")
                parts.append(f'<circle class="c{number % 6}" r="2" cx="{x}" cy="{y}"/>')
            else:
                parts.append(f'<polyline class="c{number % 6}" points="{" ".join(points)}"/>')
    if marked is not None and first <= marked[0] <= last and low <= marked[1] <= high:
        parts.append(f'<circle class="best" r="5" cx="{across(marked[0]):.1f}" cy="{down(marked[1]):.1f}"/>')
    parts.append("</svg>")
    legend = "".join(f'<li class="c{number % 6}">{escape(name)}</li>' for number, name in enumerate(finite))
    scale = ", logarithmic" if logarithmic else ""
    said = f"{escape(title)}{f', {escape(unit)}' if unit else ''}{scale}"
    return f'<figure><figcaption>{said}</figcaption><ul class="legend">{legend}</ul>{"".join(parts)}</figure>'


def _pieces(curve: Curve) -> list[Curve]:
    """The stretches of a curve between values that are no finite numbers."""
    found: list[Curve] = [[]]
    for point in curve:
        if math.isfinite(point[1]):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [piece for piece in found if piece]


def _spoken(title: str, curves: Mapping[str, Curve], unit: str) -> str:
    """What a screen reader says of a chart."""
    ends = (f"{name} from {curve[0][1]:.4g} to {curve[-1][1]:.4g}{unit}" for name, curve in curves.items())
    return f"{title}: {'; '.join(ends)}"


def _round(low: float, high: float) -> Sequence[float]:
    """Four to six round numbers around the values."""
    if low == high:
        return [low]
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [number * step for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _decades(low: float, high: float) -> Sequence[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [10.0**power for power in powers][:: max(1, len(powers) // 6)]
