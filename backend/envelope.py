"""The one shape of every error that leaves the server: {"error": {"code", "message", "details": […]}}.

The API's handlers and the pure ASGI middlewares both build it here, so that a client needs one parser.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from analysis.errors import ExpertScopeError, TooManyRequestsError

MAX_DETAILS = 100
STATUS_CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    429: "too_many_requests",
    503: "not_ready",
}
Detail = dict[str, Any]


def detail(message: str, *, field: str | None = None, row: int | None = None, column: str | None = None) -> Detail:
    """One place at fault; what does not apply is null."""
    return {"message": one_line(message), "field": field, "row": row, "column": column}


def one_line(message: str) -> str:
    """Without the line breaks and control characters of a value that it quotes."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in message).split())


def envelope(
    status: int,
    message: str,
    *,
    code: str | None = None,
    details: Sequence[Detail] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response. `code` defaults to the status's own; of many details the first hundred are shown."""
    error = {
        "code": code or STATUS_CODES.get(status, "error"),
        "message": one_line(message),
        "details": [*details[:MAX_DETAILS]],
    }
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def envelope_of(error: ExpertScopeError) -> JSONResponse:
    """The response for an error that ExpertScope raised on purpose."""
    details = [detail(f.message, field=error.field, row=f.row, column=f.column) for f in error.faults]
    if not details and error.field is not None:
        details = [detail(error.message, field=error.field)]
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRequestsError) else None
    return envelope(error.status, error.message, code=error.code, details=details, headers=headers)
