"""How far a network looks and what it costs, read off its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from i2i.runtime.model.onnxgraph import Graph
from i2i.runtime.tiles.reach import NORM, NotLocalError
from i2i.runtime.tiles.stages import Plan


@dataclass(frozen=True)
class View:
    """What is said of a translator's graph; see the fields of the same names in `i2i.artifact.Description`."""

    receptive_radius: int
    stride: int
    view: Literal["window", "whole"]
    statistics: Literal["none", "image"]
    operations: float
    memory: float


def view(model: bytes, channels: int, multiple: int) -> View:
    """Of a graph of images `[N, H, W, channels]`, H and W in multiples of `multiple`.

    Follows every path from the input to the output. Where an operator may look at the whole image, or the graph moves
    by more than `multiple` pixels at a time, the view is "whole".
    """
    graph = Graph.read(model)
    normalises: Literal["none", "image"] = "image" if any(node.kind == NORM for node in graph.nodes) else "none"
    try:
        plan = Plan(graph, channels)
    except NotLocalError:
        return View(0, 0, "whole", normalises, 0, 0)
    sees: Literal["window", "whole"] = "whole" if multiple % plan.stride else "window"
    return View(plan.radius, plan.stride, sees, normalises, plan.multiplications, plan.bytes)
