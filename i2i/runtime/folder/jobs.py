"""Which inputs become which outputs: pairs of paths, and nothing lost by chance."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from i2i.errors import I2IError, ImageError
from i2i.images import FOREIGN, SUFFIXES, WRITABLE, check_writable
from i2i.runtime.folder.inputs import Found, Refused, expand
from i2i.runtime.folder.places import Places
from i2i.runtime.video import clip_writer
from i2i.runtime.video.clip import VIDEOS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

Kind = Literal["image", "video", "frames", "sequence"]
Format = Literal["png", "jpeg", "webp", "tiff", "same"]
_SUFFIX: Final[dict[str, str]] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tiff"}


@dataclass(frozen=True, slots=True)
class Job:
    """An image to translate, or a video: a file, or bytes that came from elsewhere, and the file that it becomes.

    kind: frames are a video that becomes a folder of images, a sequence is a folder of images that becomes a video.
    root: the output folder with a manifest that `target` belongs to; None where results lie beside their inputs.
    replace: whether a file that is there already, and that is not ours, may be replaced.
    """

    name: str
    source: Path | bytes
    target: Path
    root: Path | None = None
    replace: bool = False
    kind: Kind = "image"

    @property
    def path(self) -> Path:
        """The source, which is no bytes."""
        assert isinstance(self.source, Path)
        return self.source

    @property
    def listed(self) -> str:
        """By which name the manifest of `root` knows the output."""
        return self.target.relative_to(self.root or "").as_posix()


def plan(
    inputs: Sequence[str | bytes],
    *,
    output: Path | None,
    plugin: str,
    direction: str = "",
    form: Format | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> list[Job | Refused]:
    """Pairs each image of `inputs` (paths, folders, patterns, or an image's bytes) with its output, in order.

    Without `output`, `a.jpg` becomes `a.PLUGIN.png` beside it, and folder `f` is mirrored as `f.PLUGIN`; with a
    direction, `a.PLUGIN.DIRECTION.png` and `f.PLUGIN.DIRECTION`. `output` is the file for a single image if it has an
    image's suffix, otherwise the folder for all. A video becomes one of the same suffix, or `.mp4`, or with the form
    `png` a folder of frames; a folder becomes a video where `output` is one. form: another format of images than PNG,
    or the `same` as each input's where it can be written. Nothing is made.

    `Refused` are inputs that are missing, those that would become one file, and outputs that exist, unless `overwrite`,
    or `resume`, which leaves that to the folder's manifest; an input is never overwritten. Raises I2IError where
    `output` cannot be.
    """
    if output is not None and len(inputs) == 1 and (sequence := _sequence(inputs[0], output, form, overwrite)):
        if resume:
            raise _without_folder(sequence.name)
        return [refuse_existing(sequence) or sequence]
    tag = file_tag(f"{plugin}.{direction}" if direction else plugin)
    expanded = list(expand(inputs, output, file_tag(plugin)))
    found = [item for item in expanded if isinstance(item, Found)]
    places = Places()
    identities = [item.source if isinstance(item.source, bytes) else places.of(item.name) for item in found]
    sources = set(identities)
    as_file = output is not None and _is_file(output, form)
    if output is not None and found:
        _check_output(output, as_file, found)
    listed = len(sources) > 1 or resume or any(item.folder is not None for item in found)

    pairs: list[_Pair] = []
    for item, identity in zip(found, identities, strict=True):
        root = None if as_file else _root(item, output, tag)
        if as_file and output is not None:
            target = output
        elif root is not None:
            target = Path(root, _named(item.relative, form))
        else:
            target = _folder(item.source) / _named(os.path.basename(item.relative), form, tag)  # noqa: PTH119
        if resume and root is None:
            raise _without_folder(item.name)
        pairs.append(_Pair(item, identity, target, places.of(str(target)), root if listed else None))

    rivals = _rivals(pairs)
    tasks: list[Job | Refused] = []
    planned: set[str] = set()
    remaining = iter(pairs)
    for entry in expanded:
        if isinstance(entry, Refused):
            tasks.append(entry)
            continue
        pair = next(remaining)
        if pair.place in planned and pair.place not in rivals:  # the same image, named twice
            continue
        planned.add(pair.place)
        kind = _kind(entry, form)
        job = Job(entry.name, entry.source, pair.target, pair.root, overwrite, kind)
        tasks.append(
            _refusal(pair, sources, rivals) or _misfit(job, form) or (None if resume else refuse_existing(job)) or job
        )
    return tasks


def refuse_existing(job: Job) -> Refused | None:
    """The refusal of a job whose output is there already and may not be replaced; None where it may be made."""
    # Path.exists raises for a name that is too long; such a one is refused when it is written.
    folder = os.path.isdir(job.target)  # noqa: PTH112
    if not os.path.exists(job.target) or (job.replace and not folder):  # noqa: PTH110
        return None
    hint = "Give another -o." if folder else "--overwrite replaces it."
    if job.root is not None:
        hint = f"--resume goes on where an earlier call ended. {hint}"
    return Refused(job.name, ImageError(f"{job.target}: already exists", hint))


def file_tag(name: str) -> str:
    """The name, of a plugin or a class, as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name)


@dataclass(frozen=True, slots=True)
class _Pair:
    """An image, by which it is known however it is named, and its output, with where that leads, and its folder."""

    item: Found
    identity: str | bytes
    target: Path
    place: str
    root: Path | None


def _is_file(output: Path, form: Format | None) -> bool:
    """Whether `output` is meant to be an image file; raises I2IError where that cannot be or is in doubt."""
    suffix = output.suffix.lower()
    if os.path.isdir(output) or suffix not in SUFFIXES | FOREIGN | VIDEOS:  # noqa: PTH112
        return False
    if suffix in VIDEOS:
        _check_video(output, form)
        return True
    check_writable(output)
    if form not in (None, "same") and WRITABLE[suffix].lower() != form:
        raise I2IError(f"{output}: ends in {output.suffix}, and --format says {form}", "Leave one of them out.")
    return True


def suffix_of(name: str, form: Format | None) -> str:
    """The suffix of what is made of a file called `name`."""
    own = os.path.splitext(name)[1]  # noqa: PTH122
    if own.lower() in VIDEOS and form == "png":
        return ""
    if own.lower() in VIDEOS:
        return own if own.lower() in clip_writer.WRITABLE else ".mp4"
    if form != "same":
        return _SUFFIX[form or "png"]
    return own if own.lower() in WRITABLE else ".png"


def _kind(item: Found, form: Format | None) -> Kind:
    if isinstance(item.source, bytes) or item.source.suffix.lower() not in VIDEOS:
        return "image"
    return "frames" if form == "png" else "video"


def _sequence(given: str | bytes, output: Path, form: Format | None, overwrite: bool) -> Job | None:
    """The job that makes a video of a folder of images, where that is meant."""
    if isinstance(given, bytes) or not given or not os.path.isdir(given):  # noqa: PTH112
        return None
    if output.suffix.lower() not in VIDEOS or os.path.isdir(output):  # noqa: PTH112
        return None
    _check_video(output, form)
    return Job(given, Path(given), output, replace=overwrite, kind="sequence")


def _named(relative: str, form: Format | None, tag: str | None = None) -> str:
    stem = os.path.splitext(relative)[0]  # noqa: PTH122
    suffix = suffix_of(relative, form)
    return f"{stem}.{tag}{suffix}" if tag else f"{stem}{suffix}"


def _folder(source: Path | bytes) -> Path:
    return source.parent if isinstance(source, Path) else Path()


def _root(item: Found, output: Path | None, tag: str) -> Path | None:
    """The folder in which the output of `item` lies with others; None where it lies beside its input."""
    if output is not None or item.folder is None:
        return output
    folder = item.folder if item.folder.name not in ("", "..") else Path(os.path.realpath(item.folder))
    if not folder.name:
        raise I2IError(f"{item.folder}: there is no place beside it for the output", "Give a folder with -o.")
    return folder.with_name(f"{folder.name}.{tag}")


def _rivals(pairs: Iterable[_Pair]) -> dict[str, tuple[str, str]]:
    """The outputs that two images would become, with the names of the first two of these."""
    first: dict[str, _Pair] = {}
    rivals: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        earlier = first.setdefault(pair.place, pair)
        if earlier.identity != pair.identity:
            rivals.setdefault(pair.place, (earlier.item.name, pair.item.name))
    return rivals


def _refusal(pair: _Pair, sources: Container[str | bytes], rivals: Mapping[str, tuple[str, str]]) -> Refused | None:
    if pair.place in rivals:
        one, other = rivals[pair.place]
        reason = f"{one} and {other} would both become {pair.target}"
        hint = "--format same keeps formats apart; or translate them in two calls with a different -o each."
    elif pair.place in sources:
        reason, hint = f"{pair.target}: is an input, and inputs are never overwritten", "Give another -o."
    else:
        return None
    return Refused(pair.item.name, ImageError(reason, hint))


def _misfit(job: Job, form: Format | None) -> Refused | None:
    """The refusal of a video that is to become images of a format that frames have not."""
    if job.kind != "video" or form in (None, "same"):
        return None
    reason = f"{job.name}: a video becomes a video, or frames as PNG, and --format says {form}"
    return Refused(job.name, ImageError(reason, "Leave --format out, or say png."))


def _check_video(output: Path, form: Format | None) -> None:
    clip_writer.check_writable(output)
    if form not in (None, "same"):
        raise I2IError(f"{output}: ends in {output.suffix}, and --format says {form}", "Leave one of them out.")


def _without_folder(name: str) -> I2IError:
    return I2IError(f"{name}: --resume goes on in an output folder, and this one has none", "Give a folder with -o.")


def _check_output(output: Path, as_file: bool, found: Sequence[Found]) -> None:
    images = len({item.source for item in found})
    if as_file and images > 1:
        raise I2IError(f"{output}: is one file, and there are {images} inputs", "Give a folder with -o.")
    suffixes = {os.path.splitext(item.name)[1].lower() for item in found}  # noqa: PTH122
    if as_file and (output.suffix.lower() in VIDEOS) != (suffixes <= VIDEOS):
        raise I2IError(f"{output}: an image becomes an image, and a video a video", "Give another suffix with -o.")
    if not as_file and os.path.isfile(output):  # noqa: PTH113
        raise I2IError(f"{output}: is a file that is no image, and not a folder", "Give another -o.")
