"""How much a server takes on."""

from __future__ import annotations

from dataclasses import dataclass

from i2i.errors import I2IError


@dataclass(frozen=True)
class Limits:
    """What a request may be, and how much may wait.

    bytes: of a request's image. pixels: of an image that goes in; four times as many may come out. frames: of an image
    file; 1 refuses those of several, more take their first. queue: requests of a model that wait for their turn. wait:
    seconds that a batch waits for images that are being decoded. seconds: of a request, from its first byte to its
    answer. uploads: requests that are read at once. images: that are made in one request. Raises I2IError where one
    of them is no limit.
    """

    bytes: int = 32 * 2**20
    pixels: int = 2**24
    frames: int = 1
    queue: int = 64
    wait: float = 0.004
    seconds: float = 60.0
    uploads: int = 64
    images: int = 64

    def __post_init__(self) -> None:
        for name in ("bytes", "pixels", "frames", "queue", "seconds", "uploads", "images"):
            value = getattr(self, name)
            if not value > 0:
                raise I2IError(f"limit {name}: {value}", "Choose one above 0.")
        if not 0 <= self.wait <= self.seconds:
            raise I2IError(f"limit wait: {self.wait:g} s", f"Choose one from 0 to {self.seconds:g} s.")
