"""What Prometheus is told, at `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from i2i.serving.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from i2i.serving.exchange import Exchange

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
_METHODS: Final = ("GET", "HEAD", "POST", "OPTIONS")  # others count as one: a client could invent any number


class Metrics(Observer):
    """Counts for one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "i2i_requests",
            "Requests answered; 499: the client went away.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._received = Counter("i2i_received_bytes", "Of the bodies of requests.", registry=self.registry)
        self._sent = Counter("i2i_sent_bytes", "Of the bodies of answers.", registry=self.registry)
        self._refused = Counter(
            "i2i_refused", "Not computed: busy, stopping, late, or gone.", ("model", "reason"), registry=self.registry
        )
        self._waiting = Gauge("i2i_waiting_requests", "That wait for their turn.", ("model",), registry=self.registry)
        self._seconds = self._histogram("i2i_request_seconds", "From a request to its answer's last byte.", "route")
        self._queued = self._histogram("i2i_queue_seconds", "From decoded until its run began.", "model")
        self._computed = self._histogram("i2i_compute_seconds", "Of a run.", "model")
        self._batches = self._histogram("i2i_batch_images", "Images in a run.", "model", _BATCHES)
        ProcessCollector(registry=self.registry)

    def _histogram(self, name: str, said: str, label: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
        return Histogram(name, said, (label,), buckets=buckets, registry=self.registry)

    def answered(self, route: str, method: str, exchange: Exchange, seconds: float) -> None:
        """An answer has gone out, or its client went away."""
        method = method if method in _METHODS else "other"
        self._requests.labels(route, method, str(exchange.status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._received.inc(exchange.received)
        self._sent.inc(exchange.sent)

    def waiting(self, model: str, requests: int) -> None:
        """So many requests of a model now wait."""
        self._waiting.labels(model).set(requests)

    def refused(self, model: str, reason: str) -> None:
        """A request was not computed."""
        self._refused.labels(model, reason).inc()

    def queued(self, model: str, seconds: float) -> None:
        """A request has waited."""
        self._queued.labels(model).observe(seconds)

    def ran(self, model: str, images: int, seconds: float) -> None:
        """A run is over; its images are the sum of `i2i_batch_images`."""
        self._computed.labels(model).observe(seconds)
        self._batches.labels(model).observe(images)


def router(metrics: Metrics) -> APIRouter:
    """The route `/metrics`."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return routes
