"""The embedded set of photographs, for super-resolution: whatever of four packages is installed.

What is validated and tested is always the same and comes with packages of Python; most of what is trained on comes with
packages of Debian and Ubuntu. Photographs in lossy files are halved, so that what counts as high resolution is sharp
and free of blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from i2i import images
from i2i.config import DataConfig
from i2i.data.embedded.installed import absent, file
from i2i.data.sources import File, Found, OneImage, Part, Parts
from i2i.data.threads import Progress
from i2i.errors import DataError
from i2i.plugin import Kind

BACKGROUNDS: Final = Path("/usr/share/backgrounds")  # where the packages of Debian and Ubuntu lay them
INSTALL: Final = "pip install 'i2i[demo]'; apt install lomiri-wallpapers-16.04 mate-backgrounds"
LICENCES: Final = {
    "scikit-image": "CC0 and public domain",
    "scikit-learn": "CC BY 2.0",
    "lomiri-wallpapers-16.04": "CC BY 4.0, CC BY-SA 4.0 and CC0",
    "mate-backgrounds": "GPL-2+",
}
_PYTHON: Final[dict[tuple[Part, str, str], str]] = {
    ("test", "scikit-image", "skimage/data"): "astronaut.png chelsea.png coffee.png",
    ("validation", "scikit-image", "skimage/data"): "camera.png rocket.jpg",
    ("validation", "scikit-learn", "sklearn/datasets/images"): "china.jpg flower.jpg",
    ("train", "scikit-image", "skimage/data"): "brick.png grass.png gravel.png",
}
_SYSTEM: Final[dict[tuple[str, str], str]] = {  # those of their pictures that are photographs
    ("lomiri-wallpapers-16.04", "."): "Bridge_by_Sander_Klootwijk Dragonfly_by_Bolly Picture_0B_by_freespace "
    "Picture_1A_by_freespace Wine_by_Jakkub_Mede aitzgorri_by_Aitzol_Berasategi free_by_Peter_Nerlich "
    "friends_by_Aitzol_Berasategi greentock_by_Peter_Nerlich life_by_Aitzol_Berasategi "
    "picosdeeuropa_by_Aitzol_Berasategi seeding_by_Clements_Engelhardt sunset_by_Aitzol_Berasategi",
    ("mate-backgrounds", "mate/nature"): "Aqua Blinds Dune FreshFlower Garden GreenMeadow LadyBird RainDrops Storm "
    "TwoWings Wood YellowFlower",
}


@dataclass(frozen=True, eq=False)
class Halved:
    """An image at half its height and width."""

    image: OneImage

    @property
    def name(self) -> str:
        """The name of the image."""
        return self.image.name

    @property
    def files(self) -> tuple[File, ...]:
        """That of the image."""
        return self.image.files

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image]:
        """The image reduced by Pillow's bicubic filter; raises DataError where it cannot be read."""
        (whole,) = self.image.open(max_bytes)
        return (whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.BICUBIC),)


def load(config: DataConfig, kind: Kind, progress: Progress | None) -> Found:
    """The photographs that are installed; raises DataError where there is none to train on."""
    if missing():
        raise DataError("data.source photos: none are installed", f"Run: {INSTALL}\n  Or give a folder: --data DIR")
    parts: Parts = {}
    packages: dict[str, int] = {}
    for part, package, path in _present():
        source = OneImage(f"{package}/{path.stem}", path)
        parts.setdefault(part, []).append(source if path.suffix == ".png" else Halved(source))
        packages[package] = packages.get(package, 0) + 1
    told = ", ".join(f"{count} of {package}, {LICENCES[package]}" for package, count in packages.items())
    description = f"{sum(packages.values())} photographs ({told})"
    lacking = [package for package, _ in _SYSTEM if package not in packages]
    few = (
        [f"photos: few to train on; for more: apt install {' '.join(lacking)}"] if len(lacking) == len(_SYSTEM) else []
    )
    return Found([parts], description=description, warnings=few)


def missing() -> list[str]:
    """The packages that are not installed, where nothing to train on is."""
    return [] if any(part == "train" for part, _, _ in _present()) else [*absent("scikit-image"), *further()]


def further() -> list[str]:
    """The packages that are not installed and would add to what is."""
    there = {package for _, package, _ in _present()}
    return [package for package, _ in _SYSTEM if package not in there]


def _present() -> Iterator[tuple[Part, str, Path]]:
    for (part, package, folder), names in _PYTHON.items():
        if not absent(package):
            yield from ((part, package, file(package, f"{folder}/{name}")) for name in names.split())
    for (package, below), names in _SYSTEM.items():
        for path in (BACKGROUNDS / below / f"{name}.jpg" for name in names.split()):
            if path.is_file():
                yield "train", package, path
