"""The model card: Markdown with the front matter that model hubs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from i2i.files import write_text
from i2i.report.told import Told, tell

if TYPE_CHECKING:
    from pathlib import Path

    from i2i.artifact import Description
    from i2i.training.run import Run

_LICENCE = "# license: say under which one you publish it; those of the training data may bind you, too"
_ALWAYS = (
    "It has learned what its training data shows, and nothing else: try it on images of your own first.",
    "Outputs are invented where the input does not decide them. They are no measurements.",
)
_TRANSLATE = """import i2i
from PIL import Image

translate = i2i.load("model.onnx")
translate(Image.open("input.png")).save("output.png")
"""
_GENERATE = """import i2i

generate = i2i.load_generator("model.onnx")
images = generate(16, seed=0)  # uint8 [16, H, W, C]
"""


def write_card(run: Run) -> Path:
    """Writes the run's model card, README.md, and returns its path; raises I2IError."""
    write_text(run.card, card(run))
    return run.card


def card(run: Run) -> str:
    """The card of the run's model: what it is, what it was trained on, how good it is, and how it is used."""
    told = tell(run)
    said = told.models.get(run.model.name)
    matter = yaml.safe_dump(_matter(told, said), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{_LICENCE}\n{matter}---\n",
        f"# {_plain(told.name)}\n",
        _about(told, said),
        "## Training data\n",
        f"{_plain(told.facts.get('data', 'Not known.') if said is None else said.training)}\n",
        *_scores(told),
        "## Limits\n",
        _limits(said),
        "## Use\n",
        _use(said),
    ]
    return "\n".join(parts)


def _matter(told: Told, said: Description | None) -> dict[str, Any]:
    noise = said is not None and said.kind == "noise"
    matter: dict[str, Any] = {
        "library_name": "onnx",
        "pipeline_tag": "unconditional-image-generation" if noise else "image-to-image",
        "tags": ["i2i", "onnx", "gan", str(told.facts.get("plugin", ""))],
    }
    if (found := told.evaluated) is not None:
        matter["model-index"] = [
            {
                "name": told.name,
                "results": [
                    {
                        "task": {"type": matter["pipeline_tag"]},
                        "dataset": {"name": found.data, "type": "custom", "split": found.split},
                        "metrics": [
                            {"type": name, "name": found.metrics[name].key, "value": round(figure.value, 4)}
                            for name, figure in found.scores.get("model", {}).items()
                            if name in found.metrics
                        ],
                    }
                ],
            }
        ]
    return matter


def _about(told: Told, said: Description | None) -> str:
    if said is None:
        return "A run of i2i that has not exported a model yet.\n"
    if said.kind == "noise":
        does = f"makes images of {said.size} x {said.size} pixels from {said.noise} numbers of noise"
    elif said.scale > 1:
        does = f"makes images {said.scale} times as large along a side"
    else:
        does = "translates images of any size"
    return (
        f"A model that {does}; trained by the plugin `{said.plugin}` of i2i {said.i2i_version}, and exported to one "
        "ONNX file that takes and gives uint8 pixels.\n"
    )


def _scores(told: Told) -> list[str]:
    if (found := told.evaluated) is None:
        return []
    names = list(found.scores)
    lines = [
        "## How good it is\n",
        f"On {found.images} {found.split} images; in brackets the 95 % interval over images.\n",
        f"| metric | {' | '.join(map(_plain, names))} |",
        f"|---|{'---|' * len(names)}",
    ]
    for metric, about in found.metrics.items():
        cells = []
        for name in names:
            figure = found.scores[name].get(metric)
            if figure is None:
                cells.append("")
                continue
            interval = f" ({figure.low:.4g} to {figure.high:.4g})" if figure.low is not None else ""
            cells.append(f"{figure.value:.4g}{about.unit}{interval}")
        lines.append(f"| {_plain(about.key)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _limits(said: Description | None) -> str:
    lines = list(_ALWAYS)
    if said is not None and said.kind == "image":
        lines.append(f"It was trained on squares of {said.trained_size} pixels; other sizes look unlike them.")
    if said is not None:
        lines.append(f"The exported file differs from the network by at most {said.parity.largest} of 255.")
    return "\n".join(f"- {line}" for line in lines) + "\n"


def _use(said: Description | None) -> str:
    gives = "`[N, H, W, C]`"
    if said is not None and said.kind == "noise":
        command, python, inside = "i2i generate model.onnx", _GENERATE, f"`noise`, float32 `[N, {said.noise}]`"
        if said.classes:
            inside += f", and `label`, int64 `[N]`, the number of one of: {_plain(', '.join(said.classes))}"
    else:
        command, python, inside = "i2i translate input.png -m model.onnx", _TRANSLATE, "`image`, uint8 `[N, H, W, C]`"
        if said is not None and said.scale > 1:
            gives = f"`[N, H*{said.scale}, W*{said.scale}, C]`"
    return (
        f"    {command}\n\n```python\n{python}```\n\nWithout i2i, any onnxruntime does: the file takes {inside}, and "
        f"gives `output`, uint8 {gives}.\n"
    )


def _plain(text: object) -> str:
    """Text from files, as text: no markup, no new line that would begin something."""
    return "".join(f"\\{c}" if c in "|<>[]`*_" else c for c in " ".join(str(text).split()))
