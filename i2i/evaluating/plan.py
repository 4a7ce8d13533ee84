"""What follows from what is asked of an evaluation: which images, which metrics, and what makes the outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from i2i.config import DataConfig
from i2i.errors import DataError, I2IError
from i2i.evaluating.asked import FROM_NOISE, Asked, chosen_of, config_for, kind_of, trained_on
from i2i.evaluating.making import Generating, Maker, Reading, Translating
from i2i.evaluating.matching import match, spread
from i2i.evaluating.opened import ALL, Opened, Size, open_images
from i2i.metrics.catalogue import MATCHED
from i2i.metrics.protocol import Protocol, protocol
from i2i.plugin import Kind
from i2i.runtime.generator import Generator
from i2i.runtime.translator import Translator
from i2i.training.scoring import distinct
from i2i.training.session import COMPARED

if TYPE_CHECKING:
    from i2i.artifact import Description
    from i2i.data import Progress, Samples
    from i2i.evaluating.subject import Subject
    from i2i.metrics.kept import Kept
    from i2i.metrics.metric import Metric

_ANY: Final = 2**16  # pixels by which a finished image may be larger than what is cut from it


@dataclass(frozen=True)
class Plan:
    """Everything that is needed to score outputs of `opened.samples`.

    shown: the metrics that are told, by short name. device: of the metrics.
    """

    kind: Kind
    opened: Opened
    protocol: Protocol
    shown: tuple[str, ...]
    device: torch.device
    native: bool

    @property
    def samples(self) -> Samples:
        """What is scored."""
        return self.opened.samples

    @property
    def names(self) -> list[str]:
        """What the samples are called; of what is made from noise which it is, and of which class."""
        if self.kind not in FROM_NOISE:
            return distinct(self.samples.names)
        classes = [f" {name.partition('/')[0]}" if self.kind == "labelled" else "" for name in self.samples.names]
        return [f"{index:05d}{name}" for index, name in enumerate(classes)]

    @property
    def related(self) -> bool:
        """Whether each output has a target of its own."""
        return self.kind in MATCHED

    @property
    def metrics(self) -> dict[str, Metric]:
        """Those that are told."""
        return {name: self.protocol.metrics[name] for name in self.shown}

    def chosen(self, kept: Kept) -> Kept:
        """What is kept of the metrics that are told alone."""
        return replace(kept, statistics={name: kept.statistics[name] for name in self.shown})


def plan(subject: Subject, asked: Asked, progress: Progress | None = None) -> Plan:
    """Opens the data and the protocol by which `subject`, and others beside it, are scored; raises I2IError."""
    if not asked.data and not subject.own:
        raise I2IError(
            f"{subject.path}: has no test images of its own{''.join(f' ({note})' for note in subject.notes)}",
            "Give images to score it on: `--data DIR`, as in training.",
        )
    kind = kind_of(subject, asked)
    config = config_for(subject, asked, kind)
    size: Size = asked.size
    if size is None and subject.description is None and kind not in FROM_NOISE:
        size = "native"
    usual = protocol(kind, config)
    shown = chosen_of(tuple(usual.metrics), asked.metrics)
    extra = [name for name in shown if name not in usual.metrics]
    scoring = protocol(kind, config, extra, asked.weights) if extra else usual
    opened = open_images(
        config,
        kind,
        own=not asked.data,
        size=size,
        classes=subject.description.classes if subject.description is not None else (),
        least=scoring.least,
        progress=progress,
    )
    if opened.split == ALL and trained_on(subject, asked.data):
        seen = f"{', '.join(asked.data)}: among these images are those that {subject.name} was trained on"
        opened = replace(opened, warnings=[*opened.warnings, f"{seen}; without --data it is scored on others"])
    most = [count for count in (asked.images, COMPARED if scoring.most is not None else None) if count is not None]
    if most:
        opened = replace(opened, samples=opened.samples.spread(min(most)))
    if len(opened.samples) < scoring.least:
        raise DataError(
            f"{len(opened.samples)} image{'s' * (len(opened.samples) != 1)} to score, and one of these needs at least "
            f"{scoring.least}: {', '.join(shown)}",
            "Give more images with --data, or choose other --metrics.",
        )
    named = {"auto": "cuda", "cpu": "cpu"}.get(asked.device, asked.device)
    device = torch.device(named if named.startswith("cuda") and torch.cuda.is_available() else "cpu")
    return Plan(kind, opened, scoring, shown, device, size == "native")


def maker(subject: Subject, planned: Plan, asked: Asked) -> tuple[Maker, str | None]:
    """What makes the subject's outputs, and what the user should know of where it runs; raises I2IError."""
    said, target = subject.description, planned.opened.config.target_channels
    if said is None:
        return Reading(_files(subject, planned), target, *_brought(planned)), None
    if said.kind == "noise":
        generator = Generator.load(subject.path, asked.device)
        return Generating(generator, asked.seed), generator.note
    translator = Translator.load(subject.path, asked.device)
    return Translating(translator), translator.note


def check_alike(subject: Subject, first: Subject, planned: Plan) -> None:
    """Raises I2IError where a model cannot be given what another one is given."""
    said, config = subject.description, planned.opened.config
    if said is None:
        return
    if (said.kind == "noise") != (planned.kind in FROM_NOISE):
        raise I2IError(
            f"{subject.path}: {_does(said.kind)}, and {first.path} does not", "Compare models of one kind of data."
        )
    other = first.description
    classes = planned.kind == "labelled" and other is not None and said.classes != other.classes
    if other is not None and (said.direction != other.direction or classes):
        raise I2IError(
            f"{subject.path}: {_way(said)}; {first.path} {_way(other)}",
            "Compare models of one direction, and with the same classes in the same order.",
        )
    if said.kind == "noise":
        return
    wanted = (config.input_channels, config.target_channels, config.scale)
    if (said.channels_in, said.channels_out, said.scale) != wanted:
        raise I2IError(
            f"{subject.path}: takes {said.channels_in} channels, gives {said.channels_out} and enlarges {said.scale} "
            f"times; {first.path} {wanted[0]}, {wanted[1]} and {wanted[2]}",
            "Compare models that take and give the same kind of images.",
        )


def _way(said: Description) -> str:
    classes = f"knows the classes {', '.join(said.classes)}" if said.classes else "knows no classes"
    return f"translates {said.direction}" if said.direction else classes


def _files(subject: Subject, planned: Plan) -> list[Path]:
    samples = planned.samples
    if planned.kind in FROM_NOISE:
        files = spread(subject.path, len(samples))
        if len(files) < len(samples):
            raise DataError(
                f"{subject.path}: {len(files)} images, and {len(samples)} targets are to be met",
                f"Score as many: --images {len(files)}",
            )
        return files
    names = samples.names
    if planned.kind == "unpaired":
        names = [name.partition(", ")[0] for name in names]
    return match(subject.path, names)


def _brought(planned: Plan) -> tuple[DataConfig | None, int]:
    """How finished images are brought to the targets' size, and how much larger they may then be."""
    config = planned.opened.config
    if planned.kind == "upscaled":
        return None, config.scale if planned.samples.uniform is False else _ANY
    if planned.native:
        return None, 0
    return config, 0 if config.fit == "stretch" else _ANY


def _does(kind: str) -> str:
    return "makes images from noise" if kind == "noise" else "translates images"
