"""The parts of a report, each as HTML; everything that comes from files is escaped."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any, Final

from i2i.report.curves import chart
from i2i.report.pictures import chosen, source
from i2i.training.standing import played

if TYPE_CHECKING:
    from pathlib import Path

    from i2i.evaluated import Evaluated, Figure
    from i2i.report.told import Told

_STATES: Final = {
    "running": "is being trained",
    "killed": "was killed or lost its machine, and can be gone on with",
    "interrupted": "was interrupted, and can be gone on with",
    "failed": "has failed",
    "finished": "is finished",
}
_TRAIN: Final = ("i2i", "train")
_LOOKED_AT: Final = ("signs", "accuracy", "augment", "lr", "images_per_second")


def heading(told: Told) -> str:
    """What was trained, on what, by which command, and how it stands."""
    facts = told.facts
    state = str(facts.get("state", "unknown"))
    rows = [
        ("Plugin", f"{facts.get('plugin', '?')} ({facts.get('distribution', 'i2i')})"),
        ("Data", facts.get("data", "not known yet")),
        ("Command", facts.get("command")),
        ("Then", "\n".join(map(str, facts.get("resumed", [])))),
        ("Again", shlex.join([*_TRAIN, str(facts.get("plugin")), "--config", str(told.run.config.absolute())])),
        ("Began", _time(facts.get("started"))),
        ("Lasted", length(facts)),
        ("Steps", steps(told)),
        ("Came from", facts.get("imported") and json.dumps(facts["imported"])),
        ("Error", facts.get("error")),
    ]
    said = _STATES.get(state, state)
    return (
        f'<header><p class="kind">i2i report</p><h1>{escape(told.name)}</h1>'
        f'<p class="state {escape(state)}"><strong>{escape(state)}</strong> <span>This run {escape(said)}.</span></p>'
        f"{_list(rows)}</header>"
    )


def scores(told: Told) -> str:
    """The final scores beside what there is without a model, with intervals; else those of the best validation."""
    if (found := told.evaluated) is not None:
        return _section("scores", "How good it is", _scores(found))
    best = told.facts.get("best")
    if not isinstance(best, dict):
        return ""
    figures = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{_number(value)}</td></tr>"
        for name, value in dict(best.get("validation", {})).items()
    )
    said = f"The best validation so far, at step {escape(str(best.get('step')))}, by {escape(str(best.get('metric')))}."
    return _section("scores", "How good it is", f"<p>{said}</p><table>{figures}</table>")


def learning(told: Told) -> str:
    """The curves of the run, and of each of its stages."""
    own = _charts(told)
    parts = [f"<h3>Stage {escape(stage.name)}</h3>{_charts(stage)}" for stage in told.stages]
    if parts and own:
        parts.append(f"<h3>The run itself</h3>{own}")
    body = "".join(parts) if parts else own
    return _section("curves", "Learning curves", body or "<p>Nothing has been recorded yet.</p>")


def over_time(told: Told) -> str:
    """The same validation images at different steps, under a slider."""
    best = told.facts.get("best")
    at = [i for i, (step, _) in enumerate(told.samples) if isinstance(best, dict) and step == best.get("step")]
    shown = [(step, found) for step, path in chosen(told.samples, {*at}) if (found := _picture(told, path))]
    if not shown:
        return _section("pictures", "The same images over time", "<p>There are no pictures yet.</p>")
    marks = {step: " (best)" for step, _ in (told.samples[i] for i in at)}
    images = "".join(
        f'<figure data-step="{step}"{"" if number == len(shown) - 1 else " hidden"}>'
        f"<figcaption>step {step:,}{marks.get(step, '')}</figcaption>"
        f'<img alt="validation images at step {step}" src="{data}"></figure>'
        for number, (step, data) in enumerate(shown)
    )
    slider = (
        f'<label for="time">Step</label><input id="time" type="range" min="0" max="{len(shown) - 1}" '
        f'value="{len(shown) - 1}">'
    )
    return _section(
        "pictures", "The same images over time", f'<div class="time">{slider}</div><div class="frames">{images}</div>'
    )


def extremes(told: Told) -> str:
    """The worst and the best images of the final scores."""
    if (found := told.evaluated) is None or not found.by:
        return ""
    parts = []
    for what, names in (("Worst", found.worst), ("Best", found.best)):
        if names and (data := _picture(told, told.run.evaluation / f"{what.lower()}.png")):
            alt = f"{what.lower()} images by {found.by}: {', '.join(names)}"
            parts.append(f'<figure><figcaption>{what}</figcaption><img alt="{escape(alt)}" src="{data}"></figure>')
    said = f"Of {found.images} {escape(found.split)} images, by {escape(found.by)}."
    return (
        _section("extremes", "Worst and best", f'<p>{said}</p><div class="pair">{"".join(parts)}</div>')
        if parts
        else ""
    )


def diagnosis(told: Told) -> str:
    """What was found to be wrong with the game, in words, and what was done about it."""
    found = [(stage.name, stage.facts) for stage in told.stages] + [("", told.facts)]
    items = [
        f"<li><strong>{escape(str(each.get('name', '')).replace('_', ' '))}</strong>"
        f"{f' in stage {escape(stage)}' if stage else ''}, found at step {escape(str(each.get('step')))}: "
        f"{escape(str(each.get('evidence', '')))} <em>{escape(str(each.get('advice', '')))}</em></li>"
        for stage, facts in found
        for each in facts.get("diagnoses", [])
        if isinstance(each, Mapping)
    ]
    items += [
        f"<li><strong>went back</strong> from step {escape(str(each.get('step')))} to {escape(str(each.get('from')))}: "
        f"{escape(_listed(each.get('causes')))}</li>"
        for _, facts in found
        for each in [*facts.get("recoveries", []), *facts.get("recoveries_in_vain", [])]
        if isinstance(each, Mapping)
    ]
    notes = "".join(f"<li>{escape(str(note))}</li>" for note in told.facts.get("notes", []))
    body = f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing was found to be wrong with the game.</p>"
    return _section("diagnosis", "Diagnosis", f"{body}{f'<h3>Notes</h3><ul>{notes}</ul>' if notes else ''}")


def export(told: Told) -> str:
    """The model files, and how far each is from its network."""
    if not told.models:
        return _section("export", "Exported files", "<p>Nothing is exported yet.</p>")
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(said.precision)}</td><td>{size(told.run.path / name)}</td>"
        f"<td>{said.parity.largest} of 255 at most, {said.parity.differing:.2g} of all values differ "
        f"({said.parity.cases} cases){f'; {said.loss.psnr:.1f} dB to fp32' if said.loss else ''}</td>"
        f"<td><code>{escape(said.digest[:16])}</code></td></tr>"
        for name, said in told.models.items()
    )
    first = told.models.get(told.run.model.name) or next(iter(told.models.values()))
    about = [
        ("Takes", f"{first.channels_in} channels" if first.kind == "image" else f"{first.noise} numbers of noise"),
        ("Trained at", f"{first.trained_size} px"),
        ("Scale", str(first.scale)),
        ("Classes", ", ".join(first.classes)),
        ("Batch statistics", first.batch_statistics),
        ("Dropout", first.dropout),
    ]
    head = "<tr><th>File</th><th>Precision</th><th>Size</th><th>Parity with the network</th><th>Digest</th></tr>"
    return _section("export", "Exported files", f'<div class="wide"><table>{head}{rows}</table></div>{_list(about)}')


def environment(told: Told) -> str:
    """Machine, versions and configuration."""
    versions = told.facts.get("versions", {})
    rows = [
        ("Device", told.facts.get("device")),
        *((str(name), str(version)) for name, version in (versions if isinstance(versions, dict) else {}).items()),
        ("Data", json.dumps(told.facts["digests"]) if "digests" in told.facts else None),
    ]
    config = f"<details id='config'><summary>config.yaml</summary><pre>{escape(told.config)}</pre></details>"
    return _section("environment", "Environment", f"{_list(rows)}{config if told.config else ''}")


def missing(told: Told) -> str:
    """What could not be read."""
    said = [*told.missing, *(each for stage in told.stages for each in stage.missing)]
    items = "".join(f"<li>{escape(each)}</li>" for each in said)
    return _section("missing", "What could not be read", f"<ul>{items}</ul>") if said else ""


def length(facts: Mapping[str, Any]) -> str | None:
    """How long the run took, or has been going on."""
    seconds = played(facts)
    return None if seconds is None else str(timedelta(seconds=round(seconds)))


def steps(told: Told) -> str | None:
    """How many steps have been played."""
    recorded = [curve[-1][0] for curve in told.curves.get("train", {}).values()]
    step = told.facts.get("step") or (max(recorded) if recorded else None)
    return None if step is None else f"{step:,.0f}"


def size(path: Any) -> str:
    """A file's size for people."""
    try:
        return f"{path.stat().st_size / 1e6:.1f} MB"
    except OSError:
        return "?"


def _charts(told: Told) -> str:
    train, validation = told.curves.get("train", {}), told.curves.get("validation", {})
    losses = {
        name: curve for name, curve in train.items() if not name.startswith("gradient_") and name not in _LOOKED_AT
    }
    gradients = {name.removeprefix("gradient_"): curve for name, curve in train.items() if name.startswith("gradient_")}
    best = told.facts.get("best")
    drawn = [chart("Losses", losses)]
    for name, curve in validation.items():
        about = told.evaluated.metrics.get(name) if told.evaluated else None
        mark = None
        if isinstance(best, dict) and best.get("metric") == name:
            mark = (float(best.get("step", 0)), float(best.get("score", 0)))
        drawn.append(chart(f"Validation: {name}", {name: curve}, marked=mark, unit=about.unit.strip() if about else ""))
    for title, name in (
        ("Accuracy of the discriminators", "accuracy"),
        ("Learning rate", "lr"),
        ("Images per second", "images_per_second"),
        ("Probability of augmentation", "augment"),
    ):
        if name in train:
            drawn.append(chart(title, {name: train[name]}))
    drawn.append(chart("Gradient norms", gradients))
    return f'<div class="charts">{"".join(drawn)}</div>' if any(drawn) else ""


def _scores(found: Evaluated) -> str:
    names = list(found.scores)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    head += "".join(f"<th>model &minus; {escape(name)}</th>" for name in found.gains)
    rows = []
    for metric, about in found.metrics.items():
        cells = "".join(f"<td>{_figure(found.scores[name].get(metric))}</td>" for name in names)
        cells += "".join(f"<td>{_figure(gains.get(metric), signed=True)}</td>" for gains in found.gains.values())
        better = {True: "higher is better", False: "lower is better", None: ""}[about.higher_is_better]
        rows.append(
            f"<tr><th>{escape(metric + (',' + about.unit if about.unit else ''))}<small>{better}</small></th>"
            f"{cells}</tr>"
        )
    keys = "".join(f"<dt>{escape(about.key)}</dt><dd>{escape(about.said)}</dd>" for about in found.metrics.values())
    return (
        f"<p>{found.images} {escape(found.split)} images{', ' + escape(found.size) if found.size else ''}; "
        f"in brackets the 95 % interval over images.</p>"
        f'<div class="wide"><table><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
        f"<details id='keys'><summary>What these are</summary><dl>{keys}</dl></details>"
    )


def _figure(figure: Figure | None, *, signed: bool = False) -> str:
    if figure is None:
        return ""
    form = "+.4g" if signed else ".4g"
    interval = f" <small>({figure.low:{form}} to {figure.high:{form}})</small>" if figure.low is not None else ""
    return f"{figure.value:{form}}{interval}"


def _picture(told: Told, path: Path) -> str | None:
    """A picture's address; what cannot be read is named among what is missing."""
    found = source(path)
    if found is None:
        told.missing.append(f"{path}: cannot be read")
    return found


def _section(key: str, title: str, body: str) -> str:
    return (
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{escape(title)}</h2>{body}</section>'
    )


def _list(rows: Iterable[tuple[str, object]]) -> str:
    said = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows if value)
    return f"<dl>{said}</dl>"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else escape(str(value))


def _time(text: object) -> str | None:
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return None


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
