"""Cutting a graph into stages that are run one after the other over the whole image, each of them piece by piece.

Between two stages the values that are still needed lie in a store. So a piece must overlap its neighbours only by what
one stage sees, and the statistics of a norm are those of the whole image before a stage uses them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from i2i.runtime.model.onnxgraph import Graph, Node
from i2i.runtime.tiles.reach import NORM, NotLocalError, Reach, Seen, alone, trace

_MOST_NODES: Final = 3_000  # beyond, to find the best way takes too long
_MOST_PLACES: Final = 64  # to cut at; to try all places of graphs that have many more would take minutes
_BYTE: Final = 60.0  # multiplications that take as long as a byte takes to the store and back


@dataclass(frozen=True)
class Stage:
    """Nodes to be run over all pieces of an image.

    inputs: values that lie in the store, or the image. outputs: values that it makes. norms: the numbers of those that
    use statistics. measured: the number of the norm whose statistics are to be taken, of the first output. keeps: the
    values that the store is to hold afterwards, or nothing where it stays as it is. halo: pixels by which a piece must
    be larger than what it is for. align: pieces begin at multiples of it. bytes: for each pixel of a piece, in float32.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    norms: tuple[int, ...]
    measured: int | None
    keeps: tuple[str, ...]
    halo: int
    align: int
    bytes: float


class Plan:
    """A graph's values, and the ways in which it can be cut.

    Raises NotLocalError where a value may depend on the whole image.

    seen: what each value sees of the image, given as uint8 `[N, H, W, channels]`.
    """

    def __init__(self, graph: Graph, channels: int) -> None:
        if len(graph.nodes) > _MOST_NODES:
            raise NotLocalError(f"{len(graph.nodes)} operators")
        self.graph = graph
        try:
            self._look(channels)
        except (LookupError, ValueError, TypeError, ArithmeticError) as error:  # a graph of another kind than ours
            raise NotLocalError(f"what is not understood: {error}") from error

    def _look(self, channels: int) -> None:
        graph = self.graph
        (self.image,) = graph.inputs
        self.seen = trace(graph, graph.nodes, {self.image: Seen(Reach(), Reach(), channels, pixels=True)})
        self.result = self.seen[graph.output]
        needed = graph.needed([graph.output], [self.image])
        self.nodes = [node for node in needed if any(name in self.seen for name in node.outputs)]
        self.norms = [at for at, node in enumerate(self.nodes) if node.kind == NORM]
        normed = [self.seen[self.nodes[at].inputs[0]] for at in self.norms]
        if not (self.result.pixels and all(value.on_grid for value in (self.result, *normed))):
            raise NotLocalError("values that are not of the image's size")
        self._lives = self._all_live()

    @property
    def stride(self) -> int:
        """The image moved by so many pixels gives the result moved."""
        return _align(self.seen.values())

    @property
    def radius(self) -> int:
        """Pixels of the image that a pixel of the result can see in one direction."""
        return max(self.result.rows.radius, self.result.columns.radius)

    @property
    def multiplications(self) -> float:
        """For each pixel of the image."""
        return sum(value.multiplications for value in self.seen.values())

    @property
    def bytes(self) -> float:
        """That all values which are needed at one time take, at most, for each pixel of the image, in float32."""
        return self._peak(0, len(self.nodes))

    def number(self, norm: Node) -> int:
        """Which of the norms it is."""
        return next(number for number, at in enumerate(self.norms) if self.nodes[at].outputs == norm.outputs)

    def stages(self, shape: tuple[int, int], room: float, side: int) -> Iterator[Stage]:
        """The stages that together take the least time, in order; the last one makes the result.

        shape: of the image, height and width. room: bytes that the store may take. side: pixels of what a piece is for,
        about.
        """
        cuts = self._shortest_way(shape, room, side)
        for begin, end in pairwise(cuts):
            for at in self.norms:
                if begin < at < end:
                    yield self._stage(begin, at, measured=self.norms.index(at), keeps=())
            measured = self.norms.index(end) if end in self.norms else None
            yield self._stage(begin, end, measured=measured, keeps=self._live(end))

    def _shortest_way(self, shape: tuple[int, int], room: float, side: int) -> list[int]:
        """Where to cut, from before the first node to behind the last one (Dijkstra on places in order)."""
        last = len(self.nodes)
        pixels = shape[0] * shape[1]
        possible = [at for at in range(1, last) if self._can_be_kept(at, room / pixels)]
        places = {0, *(possible if last <= 2 * _MOST_PLACES else self._narrowest(possible)), last}
        best = {0: (0.0, 0)}
        for begin in sorted(places - {last}):
            if last in best and best[begin][0] + self._left(begin) >= best[last][0]:
                continue
            for end, cost, least in self._costs(begin, shape, side):
                if last in best and best[begin][0] + least >= best[last][0]:
                    break
                whole = best[begin][0] + cost
                if end in places and (end not in best or whole < best[end][0]):
                    best[end] = whole, begin
        way = [last]
        while way[-1] != 0:
            way.append(best[way[-1]][1])
        return way[::-1]

    def _narrowest(self, places: Sequence[int]) -> list[int]:
        """Of the places within each of `_MOST_PLACES` parts of the graph, the one where the least must be kept."""
        parts: dict[int, list[int]] = {}
        for at in places:
            parts.setdefault(at * _MOST_PLACES // len(self.nodes), []).append(at)
        return [
            min(part, key=lambda at: sum(self.seen[name].bytes for name in self._live(at))) for part in parts.values()
        ]

    def _left(self, begin: int) -> float:
        """What it costs at least to come from a place to the end, in multiplications for each pixel."""
        names = (name for node in self.nodes[begin:] for name in node.outputs if name in self.seen)
        return sum(self.seen[name].multiplications for name in names)

    def _costs(self, begin: int, shape: tuple[int, int], side: int) -> Iterator[tuple[int, float, float]]:
        """What it costs to come from one place to each later one, in multiplications for each pixel.

        And what it costs at least to come there or farther.
        """
        inputs = self._live(begin)
        traced = trace(self.graph, self.nodes[begin:], {name: alone(self.seen[name]) for name in inputs})
        read = _BYTE * sum(self.seen[name].bytes for name in inputs)
        made, measuring = 0.0, 0.0
        for end in range(begin + 1, len(self.nodes) + 1):
            made += sum(traced[name].multiplications for name in self.nodes[end - 1].outputs if name in traced)
            outputs = [name for name in self._live(end) if name not in inputs]
            written = _BYTE * sum(self.seen[name].bytes for name in outputs)
            whole = measuring + (made + read) * _overlap(traced, outputs, shape, side) + written
            yield end, whole, measuring + made + read
            if end in self.norms:
                measuring += (made + read) * _overlap(traced, self.nodes[end].inputs[:1], shape, side)

    def _stage(self, begin: int, end: int, *, measured: int | None, keeps: tuple[str, ...]) -> Stage:
        inputs = self._live(begin)
        norm = [] if measured is None else [self.nodes[end].inputs[0]]
        outputs = list(dict.fromkeys([*norm, *(name for name in keeps if name not in inputs)]))
        nodes = self.graph.needed(outputs, inputs)
        traced = trace(self.graph, nodes, {name: alone(self.seen[name]) for name in inputs})
        return Stage(
            nodes=tuple(nodes),
            inputs=tuple(name for name in inputs if any(name in node.inputs for node in nodes)),
            outputs=tuple(outputs),
            norms=tuple(self.number(node) for node in nodes if node.kind == NORM),
            measured=measured,
            keeps=keeps,
            halo=_halo(traced, outputs),
            align=_align(traced.values()),
            bytes=self._peak(begin, end),
        )

    def _live(self, at: int) -> tuple[str, ...]:
        """The values that exist before node number `at` and that it or a later one reads; the image among them."""
        return self._lives[at]

    def _all_live(self) -> list[tuple[str, ...]]:
        last_read = {name: at for at, node in enumerate(self.nodes) for name in node.inputs if name in self.seen}
        last_read[self.graph.output] = len(self.nodes)
        lives = []
        live: list[str] = [self.image]
        for at, node in enumerate([*self.nodes, None]):
            live = [name for name in live if last_read.get(name, -1) >= at]
            lives.append(tuple(live))
            live += node.outputs if node is not None else ()
        return lives

    def _can_be_kept(self, at: int, room: float) -> bool:
        """Whether what lives there are pieces of planes, of `room` bytes for each pixel at most.

        And none that a later norm reads: its statistics are taken where a value is made.
        """
        live = [self.seen[name] for name in self._live(at) if name != self.image]
        whole = all(value.on_grid and not value.pixels for value in live)
        awaited = any(self.nodes[norm].inputs[0] in self._live(at) for norm in self.norms if norm > at)
        return whole and not awaited and 2 * sum(value.bytes for value in live) <= room  # of two places at one time

    def _peak(self, begin: int, end: int) -> float:
        """That the nodes between two places take at once, each with what it reads and what it makes."""
        live = (self._live(at) for at in range(begin, end))
        made = (self.nodes[at].outputs for at in range(begin, end))
        return max(
            sum(self.seen[name].bytes for name in {*read, *written} if name in self.seen)
            for read, written in zip(live, made, strict=True)
        )


def _overlap(traced: dict[str, Seen], outputs: Iterable[str], shape: tuple[int, int], side: int) -> float:
    """How many times as much is computed in pieces as all at once."""
    halo = _halo(traced, outputs)
    return math.prod(1.0 if side + 2 * halo >= length else (side + 2 * halo) / side for length in shape)


def _halo(traced: dict[str, Seen], outputs: Iterable[str]) -> int:
    return max((max(traced[name].rows.radius, traced[name].columns.radius) for name in outputs), default=0)


def _align(values: Iterable[Seen]) -> int:
    steps: Sequence[Fraction] = [reach.step for value in values for reach in (value.rows, value.columns)]
    return math.lcm(*(step.numerator for step in steps))
