"""How long finished runs took, from the timings in their documents: what estimates are scaled from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db import Database
from backend.db.tables import PromptRow, PromptSetRow, RunDocumentRow, RunResultRow, RunRow
from backend.services.records import RunKind
from backend.services.run_work import PromptSize, work
from backend.services.stored_result import unpack_report

LOOKED_AT = 12
"""Finished runs of a kind that are looked at, the newest first."""
STAGES = ("capture", "forced", "criteria", "confirmation", "controls", "answers")


@dataclass(frozen=True)
class MeasuredRun:
    """Seconds and work (`run_work`) by stage of a finished run, the seconds of everything else, and what it ran on."""

    run_id: str
    model_id: str
    active: int
    device: str
    seconds: Mapping[str, float]
    work: Mapping[str, float]
    load: float
    rest: float


class Measurements:
    """Reads the timings of finished runs once each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, MeasuredRun | None] = {}

    def runs(self, kind: RunKind) -> list[MeasuredRun]:
        """Finished runs of a kind, the newest first. Runs that were taken up twice are left out: their timings are
        those of their last attempt alone."""
        query = select(RunRow).where(RunRow.kind == kind, RunRow.status == "done", RunRow.attempts == 1)
        with self._database.read() as session:
            rows = session.scalars(query.order_by(RunRow.finished.desc()).limit(LOOKED_AT)).all()
            for row in rows:
                if row.id not in self._known:
                    self._known[row.id] = _measured(session, row)
            return [found for row in rows if (found := self._known[row.id]) is not None]


def prompt_size(session: Session, row: PromptSetRow) -> PromptSize:
    """How large a stored set is."""
    chars = session.scalar(select(func.avg(func.length(PromptRow.text))).where(PromptRow.prompt_set_id == row.id))
    return PromptSize(row.harmful, row.benign, row.prompts - row.harmful - row.benign, float(chars or 0))


def active_parameters(description: Mapping[str, Any]) -> int:
    """Parameters that one token meets. Where an older description lacks them, as many as if all but the share of the
    experts that is not selected were used, which is a little too few."""
    if description.get("active_parameters"):
        return int(description["active_parameters"])
    share = description["top_k"] / max(1, description["experts"])
    return max(1, int(description["parameters"] * share))


def _measured(session: Session, row: RunRow) -> MeasuredRun | None:
    document = _document(session, row)
    timings = document.get("timings") or {}
    total = timings.get("total") or _duration(row)
    if not total:
        return None
    size = prompt_size(session, row.prompt_set)
    todo = work(row.kind, row.preset, size, row.parameters)  # type: ignore[arg-type]
    load = float(timings.get("load") or 0)
    if row.kind == "audit":
        seconds = {name: float(timings.get(name) or 0) for name in STAGES}
        rest = max(0.0, float(total) - sum(seconds.values()))
    else:
        seconds, rest = {"total": float(total)}, 0.0
    return MeasuredRun(
        run_id=row.id,
        model_id=row.model_id,
        active=active_parameters(row.model.description),
        device=str((document.get("model") or {}).get("device") or "cpu"),
        seconds=seconds,
        work=todo,
        load=load,
        rest=rest,
    )


def _duration(row: RunRow) -> float:
    """By the clock, for documents that time no whole."""
    return (row.finished - row.started).total_seconds() if row.finished and row.started else 0.0


def _document(session: Session, row: RunRow) -> dict[str, Any]:
    if row.kind == "audit":
        result = session.get(RunResultRow, row.id)
        return unpack_report(result.report) if result is not None else {}
    found = session.get(RunDocumentRow, row.id)
    return unpack_report(found.document) if found is not None else {}
