"""How good one model is: its scores with intervals, beside what there is without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.data import thread_count
from i2i.evaluated import MODEL, Evaluated
from i2i.evaluating.asked import Asked, Direction
from i2i.evaluating.making import Reading
from i2i.evaluating.passing import resampling, row, see
from i2i.evaluating.plan import maker, plan
from i2i.evaluating.subject import open_subject
from i2i.metrics.kept import differences
from i2i.metrics.summary import abouts, extremes, figures, lines
from i2i.metrics.weights import NONE, Weights
from i2i.training.scoring import distinct

if TYPE_CHECKING:
    from i2i.data import Progress
    from i2i.evaluating.opened import Size
    from i2i.evaluating.subject import Subject
    from i2i.images import Pixels
    from i2i.plugin import Kind


@dataclass(frozen=True)
class Evaluation:
    """What was found, the pictures of the worst and the best by the names of their images, and where it belongs.

    folder: where it is kept unless told otherwise. notes: for the user to see.
    """

    evaluated: Evaluated
    pictures: Mapping[str, Sequence[Pixels]]
    folder: Path
    notes: tuple[str, ...] = ()

    def write(self, folder: Path | None = None) -> Path:
        """Writes it to `folder`, or to where it belongs, and returns that; raises I2IError."""
        place = folder or self.folder
        self.evaluated.write(place, self.pictures)
        return place


def evaluate(
    model: str | Path,
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
) -> Evaluation:
    """Scores an exported model, a run, or a folder of finished images.

    data: a folder as in training, or an embedded set; two folders of unpaired images; by default the run's own test
    images. Of a folder with splits the test images are scored, of another one all. kind: of the data; by default as
    the run's plugin says, else as model and data look. size: pixels along the side of the square to which images are
    brought; "native": as they are; by default as in training. metrics: names to choose, or `+NAME` to add to the usual
    ones. weights: files for metrics that look through other networks, by name. images: at most so many, evenly spaced.
    seed: of the noise, and of the resampling for the intervals. direction: like BtoA. scale: of finished images that
    are larger than their inputs. Raises I2IError for whatever the user can mend.
    """
    asked = Asked(listed(data), kind, size, tuple(metrics), weights_of(weights), images, seed, device, direction, scale)
    subject = open_subject(Path(model), direction)
    planned = plan(subject, asked, progress)
    making, note = maker(subject, planned, asked)
    samples, total = planned.samples, len(planned.samples)
    passed = see(
        {MODEL: making},
        planned.protocol,
        samples,
        related=planned.related,
        threads=thread_count(planned.opened.config.workers),
        device=planned.device,
        done=lambda done: None if progress is None else progress(done, total, "scoring"),
    )
    found = planned.chosen(passed.outputs[MODEL])
    beside = {name: planned.chosen(kept) for name, kept in passed.baselines.items()}
    names = distinct(making.names) if isinstance(making, Reading) and not planned.related else planned.names
    by, worst, best = extremes(planned.metrics, found)
    with resampling(progress):
        scores = {name: figures(kept.scored(seed=seed)) for name, kept in {MODEL: found, **beside}.items()}
        gains = {name: figures(differences(kept, found, seed=seed)) for name, kept in beside.items()}
    evaluated = Evaluated(
        model=subject.name,
        digest=subject.digest,
        data=planned.opened.described,
        split=planned.opened.split,
        images=total,
        size=planned.opened.size,
        metrics=abouts(planned.metrics, found),
        scores=scores,
        gains=gains,
        by=by,
        each=lines(names, found.each),
        worst=tuple(names[index] for index in worst),
        best=tuple(names[index] for index in best),
    )
    shown = {
        names[index]: row({MODEL: making}, samples, index, related=planned.related)
        for index in dict.fromkeys([*worst, *best])
    }
    notes = [*subject.notes, *planned.opened.warnings, *([f"running on the CPU: {note}"] if note else [])]
    return Evaluation(evaluated, shown, _place(subject, asked), tuple(notes))


def listed(data: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """One folder, or several, as they were given."""
    return (str(data),) if isinstance(data, str | Path) else tuple(map(str, data))


def weights_of(files: Mapping[str, str | Path] | None) -> Weights:
    """The files of weights by name; raises I2IError for a name that is not known."""
    return NONE if not files else Weights({name: Path(file) for name, file in files.items()})


def _place(subject: Subject, asked: Asked) -> Path:
    """RUN/evaluation of the run's own model and images as they were trained on; else a name that says what differs.

    So what report and model card read is never replaced by less.
    """
    if subject.run is None:
        return Path(f"{subject.name}-evaluation")
    differing = [
        subject.variant,
        *(Path(given).resolve().name for given in asked.data),
        "" if asked.kind is None else f"kind-{asked.kind}",
        "-".join(name.lstrip("+") for name in asked.metrics),
        "weights" if asked.weights != NONE else "",
        "" if asked.seed == 0 else f"seed-{asked.seed}",
        "" if asked.direction is None else asked.direction,
        "" if asked.scale is None else f"scale-{asked.scale}",
        "" if asked.size is None else f"size-{asked.size}",
        "" if asked.images is None else f"images-{asked.images}",
    ]
    return subject.run.path / "-".join(["evaluation", *filter(None, differing)])
