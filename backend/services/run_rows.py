"""Rows of runs found, locked, checked and described: the pieces that `Runs` puts together."""

from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import Session

from analysis.errors import ConflictError, InputError, NotFoundError
from backend.db.tables import ModelRow, PromptSetRow, RunEventRow, RunRow
from backend.services.ids import new_id
from backend.services.models import ORGANISM, show_model
from backend.services.prompt_sets import show_prompt_set
from backend.services.records import (
    EventKind,
    ModelInfo,
    NewRun,
    Priority,
    Progress,
    PromptSetInfo,
    Retry,
    RunEvent,
    RunInfo,
    RunKind,
    RunStatus,
)

MAX_WORDS = 10
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""A row keeps its place in here, so that a higher number goes first."""
MAX_TRIES = 4
"""Attempts at a run that fails of something that may pass, without a new shard between them."""
IN_TURN = (RunRow.priority.desc(), RunRow.created, RunRow.id)
"""The order in which runs are taken up."""


class RunLostError(ConflictError):
    """Another worker has taken the run up since, so this attempt may change nothing any more."""


def new_row(
    new: NewRun, model: ModelInfo, prompts: PromptSetInfo, device: str, parameters: dict[str, Any], creator: str
) -> RunRow:
    """A queued run, not yet in a session. `device` is the default for a request that names none."""
    now = datetime.now(UTC)
    return RunRow(
        id=new_id(),
        kind=new.kind,
        name=" · ".join([model.name, *_kind(new.kind), prompts.name.removeprefix(ORGANISM), readable_time(now)]),
        status="queued",
        model_id=model.id,
        prompt_set_id=prompts.id,
        preset=new.preset,
        seed=new.seed,
        judge=new.judge,
        second_judge=new.second_judge,
        device=new.device or device,
        parameters=parameters,
        priority=PRIORITIES.index(new.priority),
        creator=creator,
        created=now,
    )


def _kind(kind: str) -> list[str]:
    """An audit's name goes without saying so."""
    return [] if kind == "audit" else [kind]


def readable_time(moment: datetime) -> str:
    """Such as '22 Nov 10:41', in the server's own zone."""
    local = moment.astimezone()
    return f"{local.day} {local:%b %H:%M}"


def find(session: Session, run_id: str) -> RunRow:
    row = session.get(RunRow, run_id)
    if row is None:
        raise missing(run_id)
    return row


def lock(session: Session, run_id: str) -> RunRow:
    """The run's row, which no other transaction can change until this one ends."""
    query = select(RunRow).where(RunRow.id == run_id).with_for_update(of=RunRow)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise missing(run_id)
    return row


def filter_by_words(text: str) -> ColumnElement[bool]:
    """The SQL condition that a run, its model or its prompts have a name with every word of `text`."""
    conditions = []
    for word in text.split()[:MAX_WORDS]:
        models = select(ModelRow.id).where(ModelRow.name.icontains(word, autoescape=True))
        prompts = select(PromptSetRow.id).where(PromptSetRow.name.icontains(word, autoescape=True))
        named = RunRow.name.icontains(word, autoescape=True)
        conditions.append(or_(named, RunRow.id == word, RunRow.model_id.in_(models), RunRow.prompt_set_id.in_(prompts)))
    return and_(true(), *conditions)


def missing(run_id: str) -> NotFoundError:
    return NotFoundError(f"no run has the id '{run_id}': the list of runs shows those that exist")


def expect(row: RunRow, action: str, *statuses: RunStatus) -> None:
    """Raise ConflictError unless the run is in one of `statuses`."""
    if row.status not in statuses:
        raise conflict(row, action, " or ".join(statuses))


def expect_newest(row: RunRow, attempt: int | None) -> None:
    """Raise RunLostError unless `attempt` is the run's newest. None is somebody who asks for no attempt."""
    if attempt is not None and row.attempts != attempt:
        raise RunLostError(f"attempt {attempt} at run '{row.id}' was overtaken: attempt {row.attempts} goes on with it")


def conflict(row: RunRow, action: str, needed: str) -> ConflictError:
    return ConflictError(f"run '{row.id}' is {row.status} and cannot be {action}: it would have to be {needed}")


def end(session: Session, row: RunRow, status: RunStatus, **data: object) -> None:
    """Give the run its last status and the event of the same name."""
    row.status, row.finished, row.cancel_requested = status, datetime.now(UTC), False
    row.worker = row.retry_at = row.retry_reason = None
    if status != "done":
        row.eta_seconds = None
    record(session, row, status, **data)  # type: ignore[arg-type]


def record(session: Session, row: RunRow, kind: EventKind, **data: object) -> None:
    """Append an event. The run's lock makes its number unique."""
    last = session.scalar(select(func.max(RunEventRow.number)).where(RunEventRow.run_id == row.id)) or 0
    moment = datetime.now(UTC)
    session.add(
        RunEventRow(run_id=row.id, number=last + 1, kind=kind, time=moment, data={"status": row.status, **data})
    )


def known_status(status: str) -> RunStatus:
    return _known(status, RunStatus, "status")  # type: ignore[return-value]


def known_kind(kind: str) -> RunKind:
    return _known(kind, RunKind, "kind")  # type: ignore[return-value]


def _known(value: str, allowed: Any, field: str) -> str:
    if value in get_args(allowed):
        return value
    raise InputError(f"unknown {field} '{value}': expected one of {', '.join(get_args(allowed))}", field=field)


def show_run(row: RunRow) -> RunInfo:
    return RunInfo(
        id=row.id,
        kind=row.kind,  # type: ignore[arg-type]
        name=row.name,
        status=row.status,  # type: ignore[arg-type]
        model=show_model(row.model),
        prompt_set=show_prompt_set(row.prompt_set),
        preset=row.preset,
        seed=row.seed,
        judge=row.judge,
        second_judge=row.second_judge,
        device=row.device,
        created=row.created,
        started=row.started,
        finished=row.finished,
        progress=Progress(row.done, row.total, row.stage, row.eta_seconds) if row.stage else None,
        cancel_requested=row.cancel_requested,
        attempts=row.attempts,
        error=row.error,
        headline=row.headline,
        parameters=row.parameters,
        priority=PRIORITIES[row.priority],
        creator=row.creator,
        retry=Retry(row.retries + 1, MAX_TRIES, row.retry_at, row.retry_reason or "") if row.retry_at else None,
        batch_tokens=row.batch_tokens,
    )


def show_event(row: RunEventRow) -> RunEvent:
    return RunEvent(row.number, row.kind, row.time, row.data)  # type: ignore[arg-type]
