"""/healthz, /readyz: whether the server lives, and whether it can do its work."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from backend.api.deps import ServicesDep
from backend.api.schemas import ErrorEnvelope
from backend.envelope import Detail, detail, envelope
from backend.services import Services

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def read_health() -> Health:
    """The process answers."""
    return Health()


@router.get(
    "/readyz", response_model=Health, responses={503: {"model": ErrorEnvelope, "description": "What is missing."}}
)
def read_readiness(services: ServicesDep) -> Health | Response:
    """The database answers and a worker was heard lately; otherwise 503 with what is missing."""
    missing = _missing(services)
    if missing:
        return envelope(503, missing[0]["message"], details=missing)
    return Health()


def _missing(services: Services) -> list[Detail]:
    try:
        alive, seen = services.workers.alive(), services.workers.last_seen()
    except SQLAlchemyError:
        return [detail("the database does not answer: look at the server's log", field="database")]
    if alive:
        return []
    # A worker that ended as it should has left no trace, as one that never was.
    last = f"the last worker was heard at {seen:%Y-%m-%d %H:%M:%S} UTC" if seen else "no worker is running"
    return [detail(f"{last}: runs wait until one is started with 'expertscope worker'", field="worker")]
