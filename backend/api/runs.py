"""/api/v1/runs: made, found, stopped, taken up again."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import EstimateOut, Listing, NewRunBody
from backend.services import RunInfo

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])


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


@router.get("/{run_id}")
def read_run(run_id: str, services: ServicesDep) -> RunInfo:
    return services.runs.get(run_id)


@router.post("/{run_id}/cancel")
def cancel_run(run_id: str, services: ServicesDep) -> RunInfo:
    """A waiting run is cancelled at once, a running one at its next shard."""
    return services.runs.cancel(run_id)


@router.post("/{run_id}/resume", status_code=202)
def resume_run(run_id: str, services: ServicesDep) -> RunInfo:
    """Queue a failed or cancelled run again; it goes on from the shards that it has."""
    return services.runs.resume(run_id)
