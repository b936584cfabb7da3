"""Puts every resource on a server, and an honest 404 or 405 behind them."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import Match

from backend.api import (
    adapters,
    admin,
    comparisons,
    docs,
    documents,
    events,
    health,
    judges,
    metrics,
    models,
    playground,
    prompt_sets,
    results,
    runs,
    sign_in,
    tokens,
    users,
)
from backend.api.schemas import ErrorEnvelope

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorEnvelope, "description": "What was wrong."}}


def add_routes(server: FastAPI) -> None:
    """Add the API's routes. The last of them answers for every other address under /api/, which the pages' own
    catch-all would otherwise greet with a page."""
    for resource in (health, metrics):
        server.include_router(resource.router, responses=_ERRORS)
    for resource in (
        prompt_sets,
        models,
        runs,
        events,
        results,
        tokens,
        documents,
        comparisons,
        adapters,
        judges,
        playground,
        admin,
        users,
    ):
        server.include_router(resource.router, responses=_ERRORS)
    server.include_router(sign_in.router)
    server.include_router(docs.router, responses=_ERRORS)
    server.mount("/api/docs/files", docs.files())
    known = [*server.router.routes]

    async def nowhere(request: Request) -> None:
        allowed = [m for m in METHODS if any(r.matches({**request.scope, "method": m})[0] is Match.FULL for r in known)]
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
        raise HTTPException(404)

    server.add_api_route("/api/{rest:path}", nowhere, methods=[*METHODS, "HEAD", "OPTIONS"], include_in_schema=False)
