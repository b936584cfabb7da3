"""/metrics: what Prometheus wants to know of the server. Each application has a registry of its own."""

import time
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.deps import ServicesDep
from backend.services import Snapshot

router = APIRouter(tags=["health"])
RUN_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)
"""Upper ends of the histogram's buckets: a quick look takes seconds, a long audit a day."""


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self.requests = Counter(
            "expertscope_http_requests_total", "Answered requests.", (*labels, "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "expertscope_http_request_seconds", "Seconds until the answer began.", labels, registry=self.registry
        )
        self.refusals = Counter(
            "expertscope_http_refused_total",
            "Requests turned away before they reached anything.",
            ("reason",),
            registry=self.registry,
        )

    def refused(self, reason: str) -> None:
        """One request more that was turned away. `reason` is one of a few words, never what was sent."""
        self.refusals.labels(reason).inc()


class RequestMetrics:
    """Pure ASGI. Counts answers by the route's template, never by the address, of which there is no end."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.requests.labels(scope["method"], route, status).inc()
        self._metrics.seconds.labels(scope["method"], route).observe(seconds)


class SnapshotCollector(Collector):
    """What the services know, in Prometheus' terms. It is made for one answer, as the numbers are the database's."""

    def __init__(self, snapshot: Snapshot, version: str) -> None:
        self._snapshot, self._version = snapshot, version

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot
        yield InfoMetricFamily("expertscope_build", "What runs here.", {"version": self._version})
        runs = GaugeMetricFamily("expertscope_runs", "Runs by status.", labels=["status"])
        for status, count in now.runs.items():
            runs.add_metric([status], count)
        yield runs
        yield self._run_seconds()
        yield GaugeMetricFamily(
            "expertscope_queue_age_seconds",
            "How long the run waits that waited longest of those that could begin.",
            now.queue_age,
        )
        yield GaugeMetricFamily("expertscope_workers", "Workers that were heard lately.", now.workers)
        yield GaugeMetricFamily(
            "expertscope_worker_up", "1 when a worker was heard lately, 0 otherwise.", int(now.workers > 0)
        )
        audit = CounterMetricFamily(
            "expertscope_audit_log_entries", "Entries of the audit log, by action.", labels=["action"]
        )
        for action, count in sorted(now.audit_entries.items()):
            audit.add_metric([action], count)
        yield audit
        for name, text, size in (
            ("expertscope_database_bytes", "Size of the application database.", now.database_bytes),
            ("expertscope_disk_free_bytes", "What the disk of the data folder has left.", now.disk_free_bytes),
        ):
            if size is not None:
                yield GaugeMetricFamily(name, text, size)

    def _run_seconds(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(
            "expertscope_run_seconds",
            "Seconds from the first attempt of a run to its end, of all runs that are kept.",
            labels=["kind", "status"],
        )
        for labels, seconds in self._snapshot.durations.items():
            counts = [(str(float(limit)), sum(one <= limit for one in seconds)) for limit in RUN_SECONDS]
            family.add_metric(list(labels), [*counts, ("+Inf", len(seconds))], sum_value=sum(seconds))
        return family


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}})
def read_metrics(request: Request, services: ServicesDep) -> Response:
    """Requests, runs, queue, workers, audit log and sizes, in Prometheus' text format."""
    metrics: Metrics = request.app.state.metrics
    stored = CollectorRegistry()
    stored.register(SnapshotCollector(services.monitoring.read(), request.app.version))
    return Response(generate_latest(metrics.registry) + generate_latest(stored), media_type=CONTENT_TYPE_LATEST)
