"""Several models, or finished images, on the same images: which is better, and whether that is more than chance."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from i2i.data import thread_count
from i2i.data.samples import evenly
from i2i.errors import I2IError
from i2i.evaluated import MODEL, SCORES, About, Evaluated, Figure, reduced, write_together
from i2i.evaluating.asked import Asked, Direction
from i2i.evaluating.evaluation import listed, weights_of
from i2i.evaluating.passing import resampling, row, see
from i2i.evaluating.plan import check_alike, maker, plan
from i2i.evaluating.subject import open_subject
from i2i.images import encode, from_pixels
from i2i.metrics.kept import Kept, differences
from i2i.metrics.statistic import Mean
from i2i.metrics.summary import abouts, figures, lines
from i2i.sheet import lay
from i2i.training.scoring import distinct

if TYPE_CHECKING:
    from i2i.data import Progress
    from i2i.evaluating.opened import Size
    from i2i.images import Pixels
    from i2i.plugin import Kind

FOLDER: Final = Path("comparison")
_SHOWN: Final = 8  # images in the sheet
_NAME: Final = 24  # characters of a model's name above its column

Verdict = Literal["better", "worse", "chance"]
"""Of a difference: whether its interval leaves 0 out, and on which side; `chance` where it does not."""


class Compared(BaseModel):
    """The scores of several on the same images, and how each differs from the first."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    models: tuple[str, ...]
    data: str
    split: str
    images: int
    size: str = ""
    metrics: dict[str, About]
    scores: dict[str, dict[str, Figure]] = Field(description="by model, and by baseline; then by metric")
    differences: dict[str, dict[str, Figure]] = Field(description="each minus the first, on the same images")
    verdicts: dict[str, dict[str, Verdict]] = Field(description="of the differences")


@dataclass(frozen=True)
class Comparison:
    """What was found, the per-image values by model and image, and a sheet of some images: input, outputs, target.

    notes: for the user to see.
    """

    compared: Compared
    each: Mapping[str, Mapping[str, Mapping[str, float]]]
    sheet: Pixels | None
    notes: tuple[str, ...] = ()

    def write(self, folder: Path = FOLDER) -> Path:
        """Writes comparison.json, images.csv and sheet.png, whole or not at all, and returns the folder.

        Raises I2IError.
        """
        files: dict[str, bytes] = {
            "comparison.json": (self.compared.model_dump_json(indent=2) + "\n").encode(),
            "images.csv": self._csv().encode(),
            **({} if self.sheet is None else {"sheet.png": encode(from_pixels(self.sheet), ".png")}),
        }
        write_together(folder, files, gone=() if "sheet.png" in files else ("sheet.png",))
        return folder

    def _csv(self) -> str:
        text = io.StringIO(newline="")
        rows = csv.writer(text, lineterminator="\n")
        by_image = next(iter(self.each.values()), {})
        metrics = list(next(iter(by_image.values()), {}))
        rows.writerow(["image", *(f"{model} {metric}" for model in self.each for metric in metrics)])
        rows.writerows(
            [image, *(repr(values[image][metric]) for values in self.each.values() for metric in metrics)]
            for image in by_image
        )
        return text.getvalue()


def compare(
    models: Sequence[str | Path],
    data: str | Path | Sequence[str | Path] = (),
    *,
    kind: Kind | None = None,
    size: Size = None,
    metrics: Sequence[str] = (),
    weights: Mapping[str, str | Path] | None = None,
    images: int | None = None,
    seed: int = 0,
    device: str = "auto",
    direction: Direction | None = None,
    scale: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Scores models, runs and folders of finished images side by side, each beside the first.

    The images and their size are those of the first model; everything else is as in `evaluate`. Of folders that
    `evaluate` has written nothing is scored again: their images have to be the same. Raises I2IError.
    """
    if len(models) < 2:
        raise I2IError("one model has nothing to be compared with", "Give two or more; `i2i eval` scores one.")
    paths = [Path(model) for model in models]
    recorded = [(path / SCORES).is_file() and not (path / "run.json").is_file() for path in paths]
    if all(recorded):
        return _recorded([Evaluated.read(path) for path in paths], paths, seed)
    if any(recorded):
        raise I2IError(
            f"{paths[recorded.index(True)]}: an evaluation, and {paths[recorded.index(False)]} is none",
            "Compare evaluations with each other, or give the model instead.",
        )
    asked = Asked(listed(data), kind, size, tuple(metrics), weights_of(weights), images, seed, device, direction, scale)
    subjects = [open_subject(path, direction) for path in paths]
    said = [subject.description for subject in subjects if subject.description is not None]
    if kind is None and {each.kind for each in said} == {"noise"} and not all(each.classes for each in said):
        asked = replace(asked, kind="images")  # of what one of them makes, nobody says of which class it is
    first = next((subject for subject in subjects if subject.description is not None), subjects[0])
    planned = plan(first, asked, progress)
    for subject in subjects:
        check_alike(subject, first, planned)
    names = distinct([subject.name for subject in subjects])
    made = [maker(subject, planned, asked) for subject in subjects]
    makers = {name: making for name, (making, _) in zip(names, made, strict=True)}
    samples, total = planned.samples, len(planned.samples)
    passed = see(
        makers,
        planned.protocol,
        samples,
        related=planned.related,
        threads=thread_count(planned.opened.config.workers),
        device=planned.device,
        done=lambda done: None if progress is None else progress(done, total, "scoring"),
    )
    kept = {name: planned.chosen(each) for name, each in passed.outputs.items()}
    beside = {name: planned.chosen(each) for name, each in passed.baselines.items() if name not in kept}
    reference, *others = names
    metrics_of = abouts(planned.metrics, kept[reference])
    with resampling(progress):
        scores = {name: figures(each.scored(seed=seed)) for name, each in {**kept, **beside}.items()}
        found = {name: figures(differences(kept[reference], kept[name], seed=seed)) for name in others}
    compared = Compared(
        models=tuple(names),
        data=planned.opened.described,
        split=planned.opened.split,
        images=total,
        size=planned.opened.size,
        metrics=metrics_of,
        scores=scores,
        differences=found,
        verdicts=_verdicts(found, metrics_of),
    )
    called = planned.names
    chosen = evenly(total, _SHOWN)
    rows = [reduced(row(makers, samples, index, related=planned.related)) for index in chosen]
    ends = ("input", "target")[: len(rows[0]) - len(names)]
    heads = [*ends[:1], *(_short(name) for name in names), *ends[1:]]
    notes = [note for subject in subjects for note in subject.notes]
    notes += [*planned.opened.warnings, *(f"running on the CPU: {note}" for _, note in made if note)]
    return Comparison(
        compared,
        {name: lines(called, each.each) for name, each in kept.items()},
        lay(rows, heads=heads, names=[_short(called[index]) for index in chosen]),
        tuple(dict.fromkeys(notes)),
    )


def _recorded(found: Sequence[Evaluated], paths: Sequence[Path], seed: int) -> Comparison:
    """Evaluations beside each other, by their per-image values; raises I2IError where their images are not the same."""
    first, names = found[0], distinct([each.model for each in found])
    for each, path in zip(found, paths, strict=True):
        alike = (each.split, each.data, each.size) == (first.split, first.data, first.size)
        if each.each.keys() != first.each.keys() or not each.each or not alike:
            raise I2IError(
                f"{path}: scored on other images than {paths[0]}, or at another size",
                "Score the models on the same ones: `i2i compare` with the models instead of their evaluations.",
            )
    shared = {
        name: about
        for name, about in first.metrics.items()
        if all(name in each.metrics and each.metrics[name].key == about.key for each in found)
    }
    if not shared:
        raise I2IError(
            f"{paths[0]} and {paths[1]}: no metric that both were scored by in the same way",
            "Give the models instead of their evaluations.",
        )
    kept = {name: _kept(each, first, shared) for name, each in zip(names, found, strict=True)}
    if not kept[names[0]].each:
        raise I2IError(
            f"{paths[0]} and {paths[1]}: of {', '.join(shared)} no image has a value of its own",
            "Give the models instead of their evaluations.",
        )
    reference, *others = names
    between = {name: figures(differences(kept[reference], kept[name], seed=seed)) for name in others}
    compared = Compared(
        models=tuple(names),
        data=first.data,
        split=first.split,
        images=first.images,
        size=first.size,
        metrics=shared,
        scores={
            name: {metric: each.scores[MODEL][metric] for metric in shared if metric in each.scores[MODEL]}
            for name, each in zip(names, found, strict=True)
        },
        differences=between,
        verdicts=_verdicts(between, shared),
    )
    return Comparison(compared, {name: lines(list(first.each), each.each) for name, each in kept.items()}, None)


def _kept(found: Evaluated, first: Evaluated, shared: Mapping[str, About]) -> Kept:
    """What an evaluation keeps of its images, in the order of the first one's: the metrics that are means of them."""
    each = {
        name: np.array([found.each[image][name] for image in first.each])
        for name in shared
        if all(name in values for each in (found, first) for values in each.each.values())
    }
    keys = {name: about.key for name, about in shared.items()}
    return Kept(len(first.each), keys, each, {name: Mean(values) for name, values in each.items()})


def _verdicts(found: Mapping[str, Mapping[str, Figure]], metrics: Mapping[str, About]) -> dict[str, dict[str, Verdict]]:
    return {
        model: {name: _verdict(figure, metrics[name].higher_is_better) for name, figure in differing.items()}
        for model, differing in found.items()
    }


def _verdict(difference: Figure, higher_is_better: bool | None) -> Verdict:
    low, high = difference.low, difference.high
    if low is None or high is None or low <= 0 <= high or higher_is_better is None:
        return "chance"
    return "better" if (low > 0) == higher_is_better else "worse"


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"...{name[3 - _NAME :]}"
