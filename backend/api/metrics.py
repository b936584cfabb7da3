"""/metrics: what Prometheus wants to know of the server. Each application has a registry of its own."""

import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.deps import ServicesDep

router = APIRouter(tags=["health"])


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
        self.runs = Gauge("expertscope_runs", "Runs by status.", ("status",), registry=self.registry)
        self.worker = Gauge(
            "expertscope_worker_up", "1 when a worker was heard lately, 0 otherwise.", registry=self.registry
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


@router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}})
def read_metrics(request: Request, services: ServicesDep) -> Response:
    """Requests, runs and the worker, in Prometheus' text format."""
    metrics: Metrics = request.app.state.metrics
    for status, count in services.runs.counts().items():
        metrics.runs.labels(status).set(count)
    metrics.worker.set(services.workers.alive())
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
