"""Images of any size through a model, piece by piece, with the result that the whole image at once would have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from i2i.errors import ArtifactError, OutOfMemoryError
from i2i.images import Pixels
from i2i.runtime.tiles import store
from i2i.runtime.tiles.layout import Axis, Piece
from i2i.runtime.tiles.moments import Moments
from i2i.runtime.tiles.reach import NORM

if TYPE_CHECKING:
    from i2i.runtime.graph import Graph as Opened
    from i2i.runtime.model.onnxgraph import Node
    from i2i.runtime.session import Session
    from i2i.runtime.strips.rows import Source
    from i2i.runtime.tiles.stages import Plan, Stage

OVERHEAD: Final = 3.0  # bytes that a run took at most, for each byte of the values that are needed at one time
_WORK: Final = 2**29  # bytes for a piece at most: larger ones are no faster
_WORK_SHARE: Final = 0.25  # of the free memory
_SPARE: Final = 2
_LARGEST: Final = 4096  # pixels along the side of a piece


@dataclass
class _Known:
    """What is known of an image between two stages: values in the store, and the moments of norms by their number."""

    planes: dict[str, store.Plane] = field(default_factory=dict)
    norms: dict[int, Moments] = field(default_factory=dict)
    spare: list[store.Plane] = field(default_factory=list)  # to be used again: new memory is slow at first

    def keep(self, names: Sequence[str]) -> None:
        """Gives up the values that nothing needs any more."""
        for name in set(self.planes).difference(names):
            self.spare = [self.planes.pop(name), *self.spare][:_SPARE]

    def plane(self, name: str, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> store.Plane:
        """That of a value, taken from the spare ones or made anew."""
        if name not in self.planes:
            fitting = next((plane for plane in self.spare if plane.like(shape, dtype)), None)
            if fitting is None:
                self.spare.clear()  # what they take is not in the plan
            else:
                self.spare.remove(fitting)
            self.planes[name] = fitting or store.Plane(shape, dtype)
        return self.planes[name]


@dataclass(frozen=True)
class _Band:
    """What pieces side by side gave: a strip of the result, or moments of a norm's input, or neither."""

    strip: Pixels | None
    moments: Moments | None


@final
class Tiled:
    """A model that is run in stages.

    side: pixels along the side of what a piece is for; None: as many as memory suffices for.
    """

    def __init__(self, session: Session, plan: Plan, side: int | None = None) -> None:
        self._session = session
        self._plan = plan
        self._side = side

    def rows(self, source: Source) -> Iterator[Pixels]:
        """Strips of the result, uint8 `[h, W*scale, C]`, from top to bottom.

        source: of a height and width that the model takes. Raises OutOfMemoryError where memory does not suffice for
        the smallest pieces.
        """
        known = _Known()
        about = self._side or self._fitting(self._plan.bytes)
        for stage in self._plan.stages((source.height, source.width), store.room(self._session.lanes), about):
            run = _Run(self._session, self._plan, stage, source, known)
            found: list[Moments] = []
            for band in run.bands(self._side or max(stage.align, self._fitting(stage.bytes) - 2 * stage.halo)):
                if band.strip is not None:
                    yield band.strip
                if band.moments is not None:
                    found.append(band.moments)
            if stage.measured is not None:
                known.norms[stage.measured] = reduce(Moments.merged, found)
            if stage.keeps:
                known.keep(stage.keeps)

    def _fitting(self, bytes_of_a_pixel: float) -> int:
        """Pixels along the side of a window that memory suffices for."""
        work = min(_WORK, _WORK_SHARE * self._session.free_memory())
        return max(1, min(_LARGEST, int((work / (OVERHEAD * bytes_of_a_pixel)) ** 0.5)))


@final
class _Run:
    """A stage on its way over an image."""

    def __init__(self, session: Session, plan: Plan, stage: Stage, source: Source, known: _Known) -> None:
        self._session = session
        self._plan = plan
        self._stage = stage
        self._source = source
        self._known = known
        self._statistics: dict[str, NDArray[Any]] = {}
        for number in stage.norms:
            mean, variance = _statistics(number)
            self._statistics[mean] = known.norms[number].mean.astype(np.float32)
            self._statistics[variance] = known.norms[number].variance.astype(np.float32)

    def bands(self, side: int) -> Iterator[_Band]:
        """Runs all pieces, from top to bottom; smaller ones from where memory did not suffice."""
        stage, source = self._stage, self._source
        opened: Opened | None = None
        top = 0
        while top < source.height:
            rows, columns = (Axis(length, side, stage.halo, stage.align) for length in (source.height, source.width))
            try:
                opened = opened or self._open(rows.window, columns.window)
                band = self._band(opened, rows, columns, rows.piece(top))
            except (OutOfMemoryError, MemoryError) as error:
                if side <= stage.align:
                    raise OutOfMemoryError(f"{columns.window} x {rows.window} pixels do not fit into memory") from error
                side = max(stage.align, side // 2)
                opened = None
                continue
            yield band
            top = rows.piece(top).end

    def _open(self, height: int, width: int) -> Opened:
        """The stage's graph on the session's device, each norm as the same function of statistics that are given."""
        plan, planes = self._plan, self._known.planes
        inputs: dict[str, tuple[np.dtype[Any], int]] = {
            name: (np.dtype(np.uint8) if name == plan.image else planes[name].values.dtype, 4)
            for name in self._stage.inputs
        }
        inputs.update({name: (values.dtype, values.ndim) for name, values in self._statistics.items()})
        nodes = [self._given(node) if node.kind == NORM else node for node in self._stage.nodes]
        model = plan.graph.part(nodes, inputs, self._stage.outputs)
        of_image = self._stage.inputs == (plan.image,)
        fixed = (1, height, width, plan.seen[plan.image].channels) if of_image else None
        return self._session.sibling(model, fixed=fixed)

    def _given(self, norm: Node) -> Node:
        return norm.over("BatchNormalization", _statistics(self._plan.number(norm)))

    def _band(self, opened: Opened, rows: Axis, columns: Axis, down: Piece) -> _Band:
        """Runs the pieces side by side, and keeps what is to be kept of them."""
        stage, plan = self._stage, self._plan
        strips: list[Pixels] = []
        found: list[Moments] = []
        for across in columns.pieces():
            top, left = down.start, across.start
            inputs = {
                name: self._window(name, top, top + rows.window, left, left + columns.window) for name in stage.inputs
            }
            made = opened.run(stage.outputs, {**inputs, **self._statistics}, f"{columns.window} x {rows.window} pixels")
            for name, values in zip(stage.outputs, made, strict=True):
                self._check(name, values, rows.window, columns.window)
                if name == plan.graph.output:
                    strips.append(values[0, *self._place(name, down, across, inside=True)])
                    continue
                core = values[0, :, *self._place(name, down, across, inside=True)]
                if stage.measured is not None and name == stage.outputs[0]:
                    found.append(Moments.of(core))
                if name in stage.keeps:
                    self._plane(name, values).values[:, *self._place(name, down, across)] = core
        for plane in self._known.planes.values():
            plane.forget()
        strip = np.concatenate(strips, axis=1) if strips else None
        return _Band(strip, reduce(Moments.merged, found) if found else None)

    def _window(self, name: str, top: int, bottom: int, left: int, right: int) -> NDArray[Any]:
        """Of the image or of a value in the store, with a batch of one in front."""
        if name == self._plan.image:
            return self._source.read(top, bottom, left, right)[None]
        seen = self._plan.seen[name]
        rows, columns = _on(seen.rows.step, top, bottom), _on(seen.columns.step, left, right)
        return np.ascontiguousarray(self._known.planes[name].values[None, :, rows, columns])

    def _place(self, name: str, down: Piece, across: Piece, *, inside: bool = False) -> tuple[slice, slice]:
        """Where what a piece is for lies in a value, of the whole image or `inside` the piece."""
        seen = self._plan.seen[name]
        top, left = (down.start, across.start) if inside else (0, 0)
        return (
            _on(seen.rows.step, down.begin - top, down.end - top),
            _on(seen.columns.step, across.begin - left, across.end - left),
        )

    def _plane(self, name: str, values: NDArray[Any]) -> store.Plane:
        """That of a value, made when the first piece shows what it is like."""
        seen = self._plan.seen[name]
        height, width = int(self._source.height / seen.rows.step), int(self._source.width / seen.columns.step)
        return self._known.plane(name, (values.shape[1], height, width), values.dtype)

    def _check(self, name: str, values: NDArray[Any], height: int, width: int) -> None:
        seen = self._plan.seen[name]
        sides = values.shape[1:3] if seen.pixels else values.shape[2:]
        promised = height / seen.rows.step, width / seen.columns.step
        if sides != promised:
            raise ArtifactError(
                f"{self._session.name}: '{name}' has {list(sides)} elements, not {list(map(str, promised))} as planned",
                "Translate it whole with --tile off, and report this model.",
            )


def _statistics(number: int) -> tuple[str, str]:
    """What mean and variance of a norm are called as inputs."""
    return f"i2i.mean.{number}", f"i2i.variance.{number}"


def _on(step: Fraction, begin: int, end: int) -> slice:
    """The elements that lie on pixels `begin` to `end`."""
    return slice(int(begin / step), int(end / step))
