"""Every request has an id, which its log lines carry and its answer names, so that a complaint finds its line."""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import logs
from backend.access import Principal

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = structlog.get_logger(__name__)


class RequestIds:
    """Pure ASGI, for HTTP and WebSocket, outermost. Takes the id that a proxy has given in `X-Request-ID`, where it is
    one of up to 64 letters, digits and `._-`, and makes one otherwise.

    With `access_log` each answer has a line: method, the route's template (never the address, which may hold a search),
    status, milliseconds until it began, and who asked. `/healthz`, `/readyz` and `/metrics`, asked by machines every
    few seconds, have none.
    """

    def __init__(self, app: ASGIApp, *, access_log: bool = False) -> None:
        self._app, self._access_log = app, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        began = time.perf_counter()

        async def named(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                MutableHeaders(scope=message)[HEADER] = request_id
            if message["type"] == "http.response.start" and self._access_log:
                _note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        with logs.bound(**{logs.REQUEST_ID: request_id}):
            await self._app(scope, receive, named)


def _note(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"] in ("/healthz", "/readyz", "/metrics"):
        return
    principal: Principal | None = scope.get("state", {}).get("principal")
    route = getattr(scope.get("route"), "path", None)
    log.info(
        "answered",
        method=scope["method"],
        route=route,
        status=status,
        ms=round(1000 * seconds, 1),
        user=principal.name if principal else None,
    )
