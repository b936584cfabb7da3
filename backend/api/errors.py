"""Turns every exception into the JSON envelope. Nothing that leaves here holds a stack trace."""

import logging
from collections.abc import Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis.errors import ExpertScopeError
from backend.envelope import Detail, detail, envelope, envelope_of
from backend.logs import request_id
from backend.services import passing_reason

log = logging.getLogger(__name__)
_PLACES = frozenset({"body", "query", "path", "header"})


def add_handlers(server: FastAPI) -> None:
    """Register the handlers for everything that the routes raise on purpose; `Failsafe` answers for the rest."""
    server.add_exception_handler(ExpertScopeError, _on_our_error)
    server.add_exception_handler(RequestValidationError, _on_invalid_request)
    server.add_exception_handler(HTTPException, _on_http_error)
    server.add_exception_handler(DBAPIError, _on_database_error)


class Failsafe:
    """Pure ASGI. Answers an exception that nobody foresaw with a bare 500, and leaves its story to the log.

    Starlette's own handler sits outside every middleware, so its answer would lack the security headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if started:
                raise
            log.exception("%s %s failed", scope["method"], scope["path"])
            await _unforeseen()(scope, receive, send)


def _unforeseen() -> Response:
    """Its log line carries the same id."""
    known = request_id()
    place = f"the line with request_id {known} of its log" if known else "its log"
    return envelope(500, f"the server failed in a way nobody foresaw: {place} says what", code="internal_error")


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ExpertScopeError)
    if error.status >= 500:
        log.error("%s %s failed: %s", request.method, request.url.path, error.message)
    return envelope_of(error)


async def _on_invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [_invalid(fault) for fault in error.errors()]
    first = details[0]
    place = f"{first['field']}: " if first["field"] else ""
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return envelope(422, f"{place}{first['message']}{more}", details=details)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is nothing at {request.url.path}: the API begins at /api/v1 and is described at /api/docs"
    elif error.status_code == 405:
        message = f"{request.method} is not possible at {request.url.path}: see /api/docs for what is"
    return envelope(error.status_code, message, headers=error.headers)


async def _on_database_error(request: Request, error: Exception) -> Response:
    """What passes, such as a full disk or a lock that was held for long, is a 503; anything else nobody foresaw."""
    assert isinstance(error, DBAPIError)
    reason = passing_reason(error)
    if reason is None:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _unforeseen()
    log.error("%s %s failed: %s", request.method, request.url.path, reason)
    return envelope(503, reason, code="database_unavailable", headers={"Retry-After": "10"})


def _invalid(fault: dict[str, Any]) -> Detail:
    """Pydantic's finding without the value that was sent, which may be long or hostile."""
    location = cast("Sequence[str | int]", fault["loc"])
    names = [str(part) for part in (location[1:] if location and location[0] in _PLACES else location)]
    if fault["type"] == "json_invalid":
        return detail(f"the body is not JSON: {fault['ctx']['error']}")
    return detail(str(fault["msg"]), field=".".join(names) or None)
