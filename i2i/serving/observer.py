"""Who is told of what the engine does."""

from __future__ import annotations


class Observer:
    """Is told of requests and runs, on the event loop; this one keeps nothing of it."""

    def waiting(self, model: str, requests: int) -> None:
        """So many requests of a model now wait for their turn, or are being decoded for it."""

    def refused(self, model: str, reason: str) -> None:
        """A request was not computed: it came when the engine was `busy` or `stopping`, was `late`, or was `gone`."""

    def queued(self, model: str, seconds: float) -> None:
        """A request has waited for so long, decoded, until its run began."""

    def ran(self, model: str, images: int, seconds: float) -> None:
        """A run of so many images has taken so long."""
