"""Samples read once, outputs made of them by each that is scored, and what a protocol keeps of these."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from i2i import images
from i2i.data import evaluation
from i2i.errors import DataError, OutOfMemoryError
from i2i.training.batches import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from i2i.data import Batch, Progress, Samples
    from i2i.evaluating.making import Maker
    from i2i.images import Pixels
    from i2i.metrics.kept import Kept
    from i2i.metrics.protocol import Protocol

_TOGETHER: Final = 8  # samples, where all are of one size


@dataclass(frozen=True)
class Passed:
    """What is known of the outputs of each that was scored, and of what could be had without any, by name."""

    outputs: dict[str, Kept]
    baselines: dict[str, Kept]


@torch.no_grad()
def see(
    makers: Mapping[str, Maker],
    protocol: Protocol,
    samples: Samples,
    *,
    related: bool,
    threads: int,
    device: torch.device,
    done: Callable[[int], None],
) -> Passed:
    """Passes all samples through the makers and the protocol.

    related: whether each output has a target of its own, as large as it is. device: of the metrics. done: told after
    each batch how many samples are done. Raises I2IError where an output does not fit its target, or memory does not
    suffice.
    """
    scored = {name: protocol.another() for name in makers}
    beside: dict[str, Protocol] = {}
    offered: dict[str, int] = {}
    first, names = 0, samples.names
    try:
        with closing(evaluation(samples, batch=_TOGETHER, threads=threads)) as batches:
            for batch in batches:
                prepared = prepare(batch, device, torch.contiguous_format)
                for name, maker in makers.items():
                    made = maker(first, batch)
                    if related:
                        _check_size(made, batch, names[first])
                    made = _in_channels(made, batch["target"].shape[3])
                    output = prepare({"output": made}, device, torch.contiguous_format)["output"]
                    scored[name].add(output, prepared["target"], prepared)
                for name, output in protocol.baselines(prepared).items():
                    beside.setdefault(name, protocol.another()).add(output, prepared["target"], prepared)
                    offered[name] = offered.get(name, 0) + len(output)
                first += len(batch["target"])
                done(first)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise OutOfMemoryError(
            f"{names[first]}: memory does not suffice to score it",
            "Score smaller images with --size, or give --device cpu.",
        ) from error
    whole = [name for name, count in offered.items() if count == first]  # of images of other sizes there are no copies
    return Passed({name: each.take() for name, each in scored.items()}, {name: beside[name].take() for name in whole})


@contextmanager
def resampling(progress: Progress | None) -> Iterator[None]:
    """Says that intervals are being made, which takes minutes for thousands of images."""
    say = progress or (lambda done, total, what: None)
    say(0, 1, "resampling for the intervals")
    yield
    say(1, 1, "resampling for the intervals")


def row(makers: Mapping[str, Maker], samples: Samples, index: int, *, related: bool) -> list[Pixels]:
    """What is shown of one sample: the input where there is one, each output, and the target where it belongs to it."""
    batch = {name: np.asarray(value)[None] for name, value in samples.evaluating(index).items()}
    outputs = [maker(index, batch)[0] for maker in makers.values()]
    if "input" not in batch:
        return outputs
    return [_shown(batch["input"]), *outputs, *([_shown(batch["target"])] if related else [])]


def _check_size(made: Pixels, batch: Batch, name: str) -> None:
    (height, width), wanted = made.shape[1:3], batch["target"].shape[1:3]
    if (height, width) != wanted:
        raise DataError(
            f"{name}: what is made of it is {width} x {height} pixels, and its target is {wanted[1]} x {wanted[0]}",
            "A model that enlarges is scored with --kind upscaled; another with inputs and targets of one size.",
        )


def _in_channels(made: Pixels, channels: int) -> Pixels:
    if made.shape[3] == channels:
        return made
    return np.stack([images.to_pixels(images.from_pixels(each), channels) for each in made])


def _shown(batch: NDArray[np.integer[Any]]) -> Pixels:
    return np.asarray(batch[0], np.uint8)
