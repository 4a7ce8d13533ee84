"""What an evaluation found, and the folder that holds it: figures, a line for each image, the worst and the best."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from i2i.errors import I2IError
from i2i.files import cannot_write, replacing
from i2i.images import Pixels, encode, from_pixels, resize
from i2i.sheet import lay

SCORES: Final = "scores.json"
IMAGES: Final = "images.csv"
WORST: Final = "worst.png"
BEST: Final = "best.png"
MODEL: Final = "model"  # what the scores of the model itself are called, among those of the baselines
_NAME: Final = "image"  # the first column of images.csv
_SIDE: Final = 512  # pixels of the longer side of a picture in a sheet, at most
_LABEL: Final = 28  # characters of a name in a sheet, at most
_HEADS: Final = ("input", "output", "target")  # the last one where it belongs to the input


class _Frozen(BaseModel):
    # JSON has no infinity, which is the PSNR of an image that is met exactly: as text it comes back.
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")


class Figure(_Frozen):
    """A score, with its 95 % interval over images where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


class About(_Frozen):
    """How the figures of one metric are to be read."""

    key: str = Field(description="its name with its protocol: features, resize, number of samples")
    unit: str = ""
    higher_is_better: bool | None = Field(None, description="None: not known")
    said: str = Field("", description="what it is, in a sentence")


class Evaluated(_Frozen):
    """The scores of one model on one set of images, beside what there is without a model."""

    model: str
    digest: str = Field("", description="SHA-256 of the weights")
    data: str
    split: str
    images: int = Field(ge=0)
    size: str = Field("", description="at which the images were scored, in words")
    metrics: dict[str, About] = Field(description="by short name; the first names best and worst")
    scores: dict[str, dict[str, Figure]] = Field(description="by what was scored (model, copying, ...), then by metric")
    gains: dict[str, dict[str, Figure]] = Field({}, description="the model minus each baseline, on the same images")
    by: str = Field("", description="metric or per-image value by which images are ordered; nothing if they cannot be")
    each: dict[str, dict[str, float]] = Field({}, exclude=True, description="per-image values by the image's name")
    worst: tuple[str, ...] = Field((), description="names of images, the worst first")
    best: tuple[str, ...] = Field((), description="names of images, the best first")

    def write(self, folder: Path, pictures: Mapping[str, Sequence[Pixels]]) -> None:
        """Writes scores.json, images.csv, worst.png and best.png, whole or not at all, in place of older ones.

        pictures: a row for each of the worst and the best by the name of its image, uint8 `[H, W, C]`: input, output
        and target, or what there is of them. Other files in the folder stay. Raises I2IError where it cannot be
        written; where that is for lack of space, the older ones stay.
        """
        files = {
            SCORES: (self.model_dump_json(indent=2) + "\n").encode(),
            IMAGES: self._csv().encode(),
            **{
                file: encode(from_pixels(sheet), ".png")
                for file, names in ((WORST, self.worst), (BEST, self.best))
                if (sheet := self._sheet(names, pictures)) is not None
            },
        }
        write_together(folder, files, gone=sorted({WORST, BEST} - files.keys()))

    @classmethod
    def read(cls, folder: Path) -> Evaluated:
        """What `write` has written; raises I2IError, which names the file, where there is nothing or it is damaged."""
        path = folder / SCORES
        try:
            found = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise I2IError(f"{folder}: holds no evaluation", "Make one: `i2i eval MODEL_OR_RUN`.") from None
        except OSError as error:
            raise I2IError(f"{path}: cannot be read: {error.strerror}", "Restore it, or evaluate again.") from error
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, detail["loc"])) or detail["msg"] for detail in error.errors()[:3])
            raise I2IError(f"{path}: is damaged: {fields}", "Evaluate again: `i2i eval`.") from None
        return found.model_copy(update={"each": _each(folder / IMAGES)})

    def _csv(self) -> str:
        columns = list(dict.fromkeys(name for values in self.each.values() for name in values))
        text = io.StringIO(newline="")
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow([_NAME, *columns])
        lines.writerows([name, *(repr(values[column]) for column in columns)] for name, values in self.each.items())
        return text.getvalue()

    def _sheet(self, names: Sequence[str], pictures: Mapping[str, Sequence[Pixels]]) -> Pixels | None:
        shown = [name for name in names if name in pictures]
        if not shown:
            return None
        rows = [reduced(pictures[name]) for name in shown]
        heads = _HEADS[: len(rows[0])] if all(2 <= len(row) == len(rows[0]) <= len(_HEADS) for row in rows) else ()
        return lay(rows, heads=heads, names=[self._label(name) for name in shown])

    def _label(self, name: str) -> str:
        short = name if len(name) <= _LABEL else f"...{name[3 - _LABEL :]}"
        value = self.each.get(name, {}).get(self.by)
        return short if value is None else f"{short}  {value:.4g}"


def write_together(folder: Path, files: Mapping[str, bytes], gone: Sequence[str] = ()) -> None:
    """Writes files by their names in a folder, in place of older ones, and removes those of `gone`.

    The first one takes its name last, and an older one of that name goes first: where it is, all are of one writing.
    Raises I2IError where they cannot be written; what was there before then stays.
    """
    fresh = not folder.exists()
    try:
        with ExitStack() as stack:
            for name, content in files.items():  # what is entered first is left last
                stack.enter_context(replacing(folder / name)).write_bytes(content)
            for name in (next(iter(files)), *gone):
                _unlink(folder / name)
    except BaseException:
        if fresh:
            with suppress(OSError):
                folder.rmdir()
        raise


def ranked(values: Sequence[float], higher_is_better: bool, most: int = 8) -> tuple[list[int], list[int]]:
    """Which of the images are the worst and which the best, worst and best first, by their numbers.

    At most `most` of each, and no image in both unless there is only one. What is no number is worst of all.
    """

    def goodness(index: int) -> float:
        value = values[index]
        return -math.inf if math.isnan(value) else value if higher_is_better else -value

    order = sorted(range(len(values)), key=lambda index: (not math.isnan(values[index]), goodness(index)))
    count = min(most, max(1, len(order) // 2))
    return order[:count], order[::-1][:count]


def reduced(row: Sequence[Pixels]) -> list[Pixels]:
    """The pictures of a row as a sheet shows them: made smaller together where one is too large for it.

    One of the proportions of the largest becomes as large: a small input beside what was made of it.
    """
    tall, wide = max((picture.shape[:2] for picture in row), key=max)
    factor = min(1.0, _SIDE / max(tall, wide))
    made = []
    for picture in row:
        height, width = picture.shape[:2]
        alike = abs(height * wide - width * tall) <= max(tall, wide)
        sides = (tall, wide) if alike else (height, width)
        made.append(resize(picture, *(max(1, round(side * factor)) for side in sides)))
    return made


def _each(path: Path) -> dict[str, dict[str, float]]:
    try:
        lines = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
        _, *columns = next(lines)
        return {name: dict(zip(columns, map(float, values), strict=True)) for name, *values in lines}
    except OSError as error:
        raise I2IError(f"{path}: cannot be read: {error.strerror}", "Restore it, or evaluate again.") from error
    except (ValueError, StopIteration, csv.Error):
        raise I2IError(f"{path}: is damaged", "Evaluate again: `i2i eval`.") from None


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
