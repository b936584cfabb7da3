"""/api/v1/status and /api/v1/audit-log: how the installation is doing, and what was done with it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import Listing
from backend.services import AuditEntry, StatusReport, Verified, spreadsheet_text

router = APIRouter(prefix="/api/v1", tags=["admin"])
ActionQuery = Annotated[str | None, Query(description="An action, or what it begins with, such as tuning.stress.")]
ActorQuery = Annotated[str | None, Query(description="Who did it.")]
COLUMNS = ("id", "time", "actor", "role", "address", "action", "subject", "details", "previous", "hash")


@router.get("/status")
def read_status(services: ServicesDep) -> StatusReport:
    """Worker, queue, storage, settings in force (never a secret) and software."""
    return services.status.read()


@router.get("/audit-log")
def list_audit_log(
    services: ServicesDep,
    action: ActionQuery = None,
    actor: ActorQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Listing[AuditEntry]:
    """What was done, by whom, when, to what; the newest first."""
    return Listing[AuditEntry].of(services.audit_log.page(limit, cursor, action=action, actor=actor))


@router.get("/audit-log/verify")
def verify_audit_log(
    services: ServicesDep,
    head: Annotated[
        str | None, Query(max_length=100, description="An earlier head, ID:HASH, to be found again.")
    ] = None,
) -> Verified:
    """Walk along the chain of hashes: whether every entry is what was written, and none is missing."""
    return services.audit_log.verify(head)


@router.get("/audit-log.csv", response_class=StreamingResponse)
def read_audit_log_csv(
    services: ServicesDep, action: ActionQuery = None, actor: ActorQuery = None
) -> StreamingResponse:
    """Every matching entry as rows for a spreadsheet, the newest first."""
    entries = services.audit_log.every(action=action, actor=actor)
    services.audit_log.append("exports.audit_log", "audit-log.csv")
    headers = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
    return StreamingResponse(_rows(entries), media_type="text/csv; charset=utf-8", headers=headers)


def _rows(entries: Iterator[AuditEntry]) -> Iterator[str]:
    yield _line(COLUMNS)
    for one in entries:
        details = json.dumps(one.details, ensure_ascii=False, sort_keys=True)
        texts = (one.actor, one.role, one.address, one.action, one.subject, details)
        yield _line((one.id, one.time.isoformat(), *map(spreadsheet_text, texts), one.previous, one.hash))


def _line(cells: tuple[object, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
