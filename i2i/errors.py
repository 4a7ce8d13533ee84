"""The errors that a user can cause and mend: each message says what is wrong, where, and what to do next."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class I2IError(Exception):
    """Anything that the user can mend.

    `str(error)` opens with the place and the reason; `hint`, where there is one, is the next step and ends the text.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\n  {hint}")
        self.message = message
        self.hint = hint


class ConfigError(I2IError):
    """A configuration that cannot be used; the message has a line for each thing that is wrong in it."""


class PluginError(I2IError):
    """A plugin that is not there, is there twice, or does not load."""


class DataError(I2IError):
    """Training data that is missing or cannot be used."""


class ImageError(I2IError):
    """An image file that cannot be read, is too large, or cannot be written."""


class OutOfMemoryError(ImageError):
    """An image, or a piece of one, that the device's memory does not suffice for."""


class ArtifactError(I2IError):
    """A model file that is missing, broken, foreign, or newer than this version."""


class DeviceError(I2IError):
    """A device that was asked for and is not there."""


class RunError(I2IError):
    """A run directory that is missing, unfinished, or does not fit what was asked of it."""


class TrainingError(I2IError):
    """A training that cannot go on."""


class CheckpointError(I2IError):
    """A file of weights that is damaged, hostile, or of no network that is known here."""


class ExportError(I2IError):
    """An export that does not compute what the network computes."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, if any is close."""
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`", did you mean 'X'?"` for the nearest of `known`, or nothing."""
    found = nearest(word, known)
    return f", did you mean '{found}'?" if found else ""
