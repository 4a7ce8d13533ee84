"""Checkpoints of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from i2i.imported import Imported


def import_checkpoint(
    path: str | Path,
    out: str | Path | None = None,
    *,
    run: str | Path | None = None,
    back: str | Path | None = None,
    direction: Literal["AtoB", "BtoA"] | None = None,
    statistics: Literal["image", "running"] | None = None,
    size: int | None = None,
    scale: int | None = None,
    plugin: str | None = None,
    legacy_unet: bool = False,
    examples: str | Path | None = None,
) -> Imported:
    """A generator that another project has trained, as a model, as weights to start from, or as a run.

    out: `NAME.onnx`, or `NAME.safetensors` for `init`; by default a model of the file's own name, unless there is a
    `run`: a folder, for both. back: of the two generators of a CycleGAN the other one. direction to legacy_unet: what
    the file does not tell, as in `i2i.foreign.layout.Asked`. examples: a folder of images on which model and network
    are compared; by default some are drawn. Nothing in the file is executed. Raises CheckpointError where it is
    damaged, hostile, or of no architecture that is known here; ExportError where a model would not compute what its
    network computes.
    """
    from i2i.foreign.layout import Asked
    from i2i.imported import adopt, bring_in

    place = Path(Path(path).stem + ".onnx") if out is None and run is None else out
    return bring_in(
        adopt(
            Path(path),
            Asked(direction, statistics, size, scale, plugin, legacy_unet),
            None if back is None else Path(back),
        ),
        out=None if place is None else Path(place),
        run=None if run is None else Path(run),
        examples=None if examples is None else Path(examples),
    )
