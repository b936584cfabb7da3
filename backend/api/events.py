"""/api/v1/runs/{id}/events: what happens to a run, as it happens (server-sent events)."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse, ServerSentEvent

from analysis.errors import InputError
from backend.api.deps import ServicesDep
from backend.services import ENDED, RunEvent, Services

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])
_GRACE_SECONDS = 2.0
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}},
    204: {"description": "The run has ended and all is told."},
}


@router.get("/{run_id}/events", response_class=EventSourceResponse, responses=_STREAM)
async def stream_events(
    run_id: str,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, description="Number of the last event already known.")] = 0,
    last_event_id: Annotated[str | None, Header(description="As `after`; a browser sends it by itself.")] = None,
) -> Response:
    """Every event after the given one, then new ones until the run ends. A browser that comes back when there is
    nothing left to tell gets 204, which stops it from asking again."""
    known = max(after, _number(last_event_id))
    run = await run_in_threadpool(services.runs.get, run_id)
    if run.status in ENDED and not await run_in_threadpool(services.runs.events, run_id, known):
        return Response(status_code=204)
    stopping = anyio.Event()
    stream = _events(services, run_id, known, stopping)
    return EventSourceResponse(stream, shutdown_event=stopping, shutdown_grace_period=_GRACE_SECONDS)


async def _events(services: Services, run_id: str, known: int, stopping: anyio.Event) -> AsyncIterator[ServerSentEvent]:
    """Events until the run ends or the server stops; an open stream must not hold the server up."""
    while True:
        # The status is read first: an event written between the two reads is then told, never lost.
        ended = (await run_in_threadpool(services.runs.get, run_id)).status in ENDED
        for event in await run_in_threadpool(services.runs.events, run_id, known):
            known = event.number
            yield _message(event)
        if ended or stopping.is_set():
            return
        with anyio.move_on_after(services.settings.event_poll_seconds):
            await stopping.wait()


def _message(event: RunEvent) -> ServerSentEvent:
    content = {"number": event.number, "kind": event.kind, "time": event.time.isoformat(), **event.data}
    return ServerSentEvent(json.dumps(content, ensure_ascii=False), event=event.kind, id=str(event.number))


def _number(last_event_id: str | None) -> int:
    if not last_event_id:
        return 0
    if not last_event_id.isdecimal():
        raise InputError(f"Last-Event-ID is '{last_event_id[:40]}': expected an event's number", field="Last-Event-ID")
    return int(last_event_id)
