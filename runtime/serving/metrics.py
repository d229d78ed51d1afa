"""What a server counts, in the text format of Prometheus."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: from a call of a small CNN to a picture of many megapixels.
_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


# When a series began is no news to anyone, and as many lines again.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one server.

    Names of models are those that are served, and of endpoints those that exist: what clients ask for makes no series.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        which = ("endpoint", "model")
        self._requests = Counter(
            "edgeport_requests", "Requests that were answered", (*which, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "edgeport_request_seconds",
            "From the end of a request's headers to the end of its answer",
            which,
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._engine = Histogram(
            "edgeport_engine_seconds",
            "A call of one artefact: scaling, engine, activation",
            ("model",),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._errors = Counter(
            "edgeport_errors", "Requests that were answered with 400 or more", which, registry=self._registry
        )
        self._running = Gauge(
            "edgeport_calls_in_work",
            "Calls that have not ended",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def answered(self, endpoint: str, model: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            endpoint: The name of what was asked; empty where there is no such thing.
            model: The artefact that was asked; empty for all of them.
            status: The status of HTTP.
            seconds: How long it took.
        """
        self._requests.labels(endpoint, model, str(status)).inc()
        self._seconds.labels(endpoint, model).observe(seconds)
        if status >= 400:
            self._errors.labels(endpoint, model).inc()

    def computed(self, model: str, seconds: float) -> None:
        """Count a call of an artefact."""
        self._engine.labels(model).observe(seconds)

    def began(self) -> None:
        """Count a call that has begun."""
        self._running.inc()

    def ended(self) -> None:
        """Count a call that has ended."""
        self._running.dec()

    def text(self) -> bytes:
        """Return all counters: those of all processes, where there are several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        every = CollectorRegistry()
        MultiProcessCollector(every)  # type: ignore[no-untyped-call]
        return generate_latest(every)
