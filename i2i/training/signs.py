"""Signs of how a game stands: what the discriminators make of images, and how much the made ones differ."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.data.samples import Samples
from i2i.games.game import Batch, Game, Match, Outputs
from i2i.training.batches import RawBatch, prepare
from i2i.training.fault import naming

MOST: Final = 64  # images of each side that are looked at
LEAST: Final = 8
_SHARE: Final = 100  # one is looked at for so many that are trained on, which keeps it cheap
_SIDE: Final = 32  # pixels a side at which images are compared
_JUDGED: Final = ("real_train", "real_held", "fake")
_SEED: Final = 0  # of order, noise and dropout: two validations then differ by the networks alone


def count(trained: int, batch: int = 1) -> int:
    """How many images to look at where `trained` are trained on from one time to the next: a hundredth, 8 to 64.

    In whole batches, as discriminators with batch norm judge a batch as one.
    """
    number = max(LEAST, min(MOST, trained // _SHARE))
    return -(-number // batch) * batch


def examples(samples: Samples, number: int, batch: int, turn: int = 0) -> list[RawBatch]:
    """`number` of `samples` in batches of at most `batch`, augmented as in training: others at every `turn`.

    So a discriminator is asked about images of the very kind that it learns from. Where there are fewer, they come
    again, with other augmentation. A function of its arguments alone; empty where there are no samples. Raises
    DataError, which names the file, where one cannot be used.
    """
    if not len(samples):
        return []
    order = np.random.default_rng(_SEED).permutation(len(samples))
    places = range(turn * number, (turn + 1) * number)
    taken = [samples.training(int(order[place % len(order)]), place % 2**32) for place in places]
    parts = [taken[start : start + batch] for start in range(0, number, batch)]
    return [{name: np.stack([sample[name] for sample in part]) for name in part[0]} for part in parts]


def signs(
    live: Game,
    average: Game,
    middle: float | None,
    train: Sequence[RawBatch],
    held: Sequence[RawBatch],
    device: torch.device,
    autocast: torch.dtype | None = None,
) -> dict[str, float]:
    """What can be seen of a game without changing anything of it, or of torch's random states.

    live: as it is trained. average: with its generators as they are deployed. middle: the logit at which a
    discriminator is undecided; None where only differences of logits count: half way between the means of real and
    fake. train, held: training images and others, alike but for that. autocast: the type in which the networks compute.

    `real_train`, `real_held`, `fake`: the share of places that the discriminators judge rightly, of training images,
    held-out ones, and fakes as they are trained against; in the mode in which they are trained, every match counting
    alike. `diversity`: the mean distance of two made images over that of two real ones, of several matches the least;
    `diversity_inputs`: likewise over that of two inputs. With classes: `diversity_class`, the least within a class of
    which there are three images; `coverage`, of how many classes there are made images over how many there are real
    ones, where each image takes the class of the training image that is nearest. Distances are Euclidean, of pixels at
    32 x 32 at most; made images are those of the held-out inputs and classes. What there are no images for is left out.
    """
    seen: dict[int, _Seen] = {}
    # A pass changes batch norm's averages and the vectors of spectral norm: so it is made by a copy.
    probe = copy.deepcopy(live).train()
    devices = [device] if device.type == "cuda" else []
    casting = torch.autocast(device.type, autocast, enabled=autocast is not None)
    with torch.no_grad(), torch.random.fork_rng(devices), casting, naming(live):
        torch.manual_seed(_SEED)
        for batch in _prepared(train, live, device):
            for number, match in enumerate(probe.matches(batch, _made(probe, batch))):
                seen.setdefault(number, _Seen()).take_train(match, batch)
        for batch in _prepared(held, live, device):
            for number, match in enumerate(probe.matches(batch, _made(average, batch))):
                seen.setdefault(number, _Seen()).take_held(match, batch)
    found: dict[str, list[float]] = {}
    for each in seen.values():
        for name, value in {**each.judgement(middle), **each.spread(), **each.classes()}.items():
            found.setdefault(name, []).append(value)
    return {name: sum(each) / len(each) if name in _JUDGED else min(each) for name, each in found.items()}


@dataclass
class _Seen:
    """What one match shows: logits, and small pictures on the CPU."""

    real: list[Tensor] = field(default_factory=list)
    fake: list[Tensor] = field(default_factory=list)
    unknown: list[Tensor] = field(default_factory=list)
    known: list[Tensor] = field(default_factory=list)
    known_labels: list[Tensor] = field(default_factory=list)
    made: list[Tensor] = field(default_factory=list)
    wanted: list[Tensor] = field(default_factory=list)
    given: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)

    def take_train(self, match: Match, batch: Batch) -> None:
        """Takes in a batch of training images."""
        self.real.append(_logits(match, match.real))
        self.fake.append(_logits(match, match.fake))
        if "label" in batch:
            self.known.append(_small(match.real))
            self.known_labels.append(batch["label"].cpu())

    def take_held(self, match: Match, batch: Batch) -> None:
        """Takes in a batch of held-out images."""
        self.unknown.append(_logits(match, match.real))
        self.made.append(_small(match.fake))
        self.wanted.append(_small(match.real))
        if "input" in batch:
            # Of two ways of translation, the one back is made of what the other is compared with.
            self.given.append(_small(batch["target" if match.real is batch["input"] else "input"]))
        if "label" in batch:
            self.labels.append(batch["label"].cpu())

    def judgement(self, middle: float | None) -> dict[str, float]:
        """The shares of places that the discriminator judges rightly."""
        if not self.real:
            return {}
        real, fake = torch.cat(self.real), torch.cat(self.fake)
        border = float(real.mean() + fake.mean()) / 2 if middle is None else middle
        shares = {"real_train": _share(real > border), "fake": _share(fake < border)}
        return {**shares, "real_held": _share(torch.cat(self.unknown) > border)} if self.unknown else shares

    def spread(self) -> dict[str, float]:
        """How much made images differ, over how much real ones and inputs do."""
        found: dict[str, float] = {}
        for name, others in (("diversity", self.wanted), ("diversity_inputs", self.given)):
            if others and (distance := _distance(torch.cat(others))) > 0:
                found[name] = _distance(torch.cat(self.made)) / distance
        return found

    def classes(self) -> dict[str, float]:
        """How much made images of one class differ, and how many classes there are."""
        if not (self.labels and self.known):
            return {}
        made, wanted, labels = torch.cat(self.made), torch.cat(self.wanted), torch.cat(self.labels)
        known, classes = torch.cat(self.known), torch.cat(self.known_labels)
        reached = _classes(made, known, classes) / _classes(wanted, known, classes)
        found = {"coverage": min(1.0, reached)}
        ratios = []
        for label in set(labels.tolist()):
            own = labels == label
            if int(own.sum()) > 2 and (distance := _distance(wanted[own])) > 0:
                ratios.append(_distance(made[own]) / distance)
        return {**found, "diversity_class": min(ratios)} if ratios else found


def _prepared(raws: Sequence[RawBatch], game: Game, device: torch.device) -> Iterator[Batch]:
    kind = _type(game)
    for raw in raws:
        batch = {
            name: tensor.to(kind) if tensor.is_floating_point() else tensor
            for name, tensor in prepare(raw, device, torch.contiguous_format).items()
        }
        if game.noise:
            length = len(next(iter(batch.values())))
            batch["noise"] = torch.randn(length, game.noise).to(device, kind)
        yield batch


def _made(game: Game, batch: Batch) -> Outputs:
    return {name: output.to(_type(game)) for name, output in game.generate(batch).items()}


def _type(game: Game) -> torch.dtype:
    """In which the weights are, and so what the networks take: only double precision is another one."""
    return next((parameter.dtype for parameter in game.parameters()), torch.float32)


def _logits(match: Match, images: Tensor) -> Tensor:
    logits: Tensor = match.discriminator(images, match.condition)
    return logits.float().flatten()


def _small(images: Tensor) -> Tensor:
    """Images `[N, C, H, W]` as rows, of 32 x 32 places at most."""
    height, width = (min(side, _SIDE) for side in images.shape[2:])
    return F.adaptive_avg_pool2d(images.float(), (height, width)).flatten(1).cpu()


def _share(right: Tensor) -> float:
    return float(right.float().mean())


def _distance(rows: Tensor) -> float:
    """The mean distance of two of `[N, D]`; 0 of a single one."""
    return float(torch.pdist(rows).mean()) if len(rows) > 1 else 0.0


def _classes(rows: Tensor, known: Tensor, classes: Tensor) -> int:
    """How many classes occur, where each of `rows` takes that of the nearest of `known`."""
    return len(set(classes[torch.cdist(rows, known).argmin(1)].tolist()))
