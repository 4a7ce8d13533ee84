"""Why a request is not answered with an image."""

from __future__ import annotations

from i2i.errors import I2IError


class ServingError(I2IError):
    """A request that is refused or fails."""


class UnknownModelError(ServingError):
    """A model that is not served."""


class BusyError(ServingError):
    """Too many requests wait already; `retry_after` seconds from now there will be room."""

    def __init__(self, message: str, hint: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class LateError(ServingError):
    """A request whose time was over before it was answered."""


class StoppingError(ServingError):
    """The server is about to stop, and takes nothing new."""


class TooLargeError(ServingError):
    """More bytes, pixels or frames than are taken."""


class NotAnImageError(ServingError):
    """What was sent is no whole image of a format that is read."""


class WrongKindError(ServingError):
    """Asked of a model what another kind of model does."""


class InvalidError(ServingError):
    """A label, count, seed, size or tensor that the model does not take."""
