"""/api/v1/runs: made, found, stopped, taken up again."""

from typing import Annotated

from fastapi import APIRouter, File, Header, Query, Response, UploadFile
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.results import file_headers
from backend.api.schemas import EstimateOut, Listing, NewRunBody
from backend.services import RunInfo

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])
_BLOCK = 1 << 20


@router.post("", status_code=202)
def create_run(
    body: NewRunBody,
    response: Response,
    services: ServicesDep,
    idempotency_key: Annotated[str | None, Header(description="Makes a repeat of the same request harmless.")] = None,
) -> RunInfo:
    """Queue a run. The worker takes it up when those before it are done."""
    run = services.runs.create(body.record(), idempotency_key)
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return run


@router.post("/estimate")
def estimate_run(
    body: NewRunBody,
    services: ServicesDep,
    points: Annotated[
        float | None, Query(gt=0, lt=50, description="Half-width of the refusal rate's interval that is wanted.")
    ] = None,
) -> EstimateOut:
    """What a run would take and could tell: seconds, memory, warnings, the interval it resolves, runs before it.

    Takes the body that queues a run, refuses what that would refuse, and queues nothing.
    """
    return EstimateOut.of(services.estimates.of(body.record(), None if points is None else points / 100))


@router.get("")
def list_runs(
    services: ServicesDep,
    status: Annotated[str | None, Query(description="queued, running, done, failed or cancelled.")] = None,
    model: Annotated[str | None, Query(description="A model's id, reference or name.")] = None,
    kind: Annotated[str | None, Query(description="audit, trace, mask, detect or tune.")] = None,
    prompt_set: Annotated[str | None, Query(description="A prompt set's id.")] = None,
    search: Annotated[str | None, Query(description="Words of the run's, model's or prompt set's name.")] = None,
    made_from: Annotated[
        str | None, Query(alias="from", description="A run's id: only those that mask or tune its experts.")
    ] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Listing[RunInfo]:
    return Listing[RunInfo].of(
        services.runs.list(
            status, model, limit, cursor, kind=kind, prompt_set=prompt_set, search=search, made_from=made_from
        )
    )


@router.post("/import", status_code=201)
def import_run(
    file: Annotated[UploadFile, File(description="What GET /api/v1/runs/{run_id}/archive.zip gave.")],
    response: Response,
    services: ServicesDep,
) -> RunInfo:
    """Bring a run back from its archive, under a new id where its own is taken."""
    run = services.archives.read_from(file.file)
    response.headers["Location"] = f"/api/v1/runs/{run.id}"
    return run


@router.get("/{run_id}")
def read_run(run_id: str, services: ServicesDep) -> RunInfo:
    return services.runs.get(run_id)


@router.delete("/{run_id}", status_code=204)
def delete_run(run_id: str, services: ServicesDep) -> None:
    """Delete a run that has ended, with everything of it: result, answers, labels, files and shards."""
    services.storage.delete(run_id)


@router.get("/{run_id}/archive.zip", response_class=Response, responses={200: {"content": {"application/zip": {}}}})
def read_archive(run_id: str, services: ServicesDep) -> StreamingResponse:
    """The whole run as one file, for POST /api/v1/runs/import. 403 where the server hides prompts or answers."""
    archive = services.archives.read_out(run_id)
    headers = file_headers(services, run_id, "archive.zip", True)
    return StreamingResponse(
        iter(lambda: archive.read(_BLOCK), b""),
        media_type="application/zip",
        headers=headers,
        background=BackgroundTask(archive.close),
    )


@router.post("/{run_id}/cancel")
def cancel_run(run_id: str, services: ServicesDep) -> RunInfo:
    """A waiting run is cancelled at once, a running one at its next shard."""
    return services.runs.cancel(run_id)


@router.post("/{run_id}/resume", status_code=202)
def resume_run(run_id: str, services: ServicesDep) -> RunInfo:
    """Queue a failed or cancelled run again; it goes on from the shards that it has."""
    return services.runs.resume(run_id)
