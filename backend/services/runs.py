"""Runs: created by people, moved forward by the worker, watched by everyone.

    queued ──► running ──► done
      │  ▲       │  │
      │  │       │  └────► failed ────┐
      ▼  │       ▼                    │
    cancelled ◄──┘                    │
         └────────── resume ──────────┘   back to queued; the shards stay

A transition that the picture lacks raises ConflictError. Each change is one short transaction that also writes its
event.
"""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from analysis.errors import ConflictError, InputError, QuotaError
from analysis.outcomes.judges import judge_names
from analysis.prompts import Balance
from analysis.result import AuditResult
from backend.access import require
from backend.db import Database
from backend.db.tables import ModelRow, RunDocumentRow, RunEventRow, RunResultRow, RunRow
from backend.services.attempts import PutInPlace, begin, nothing
from backend.services.audit_log import AuditLog
from backend.services.models import ORGANISM, Models, filter_by_model
from backend.services.paging import page_of
from backend.services.progress import eta_seconds, overall_fraction
from backend.services.prompt_sets import BUILTIN, PromptSets
from backend.services.records import (
    Depth,
    Device,
    ModelInfo,
    NewRun,
    Page,
    Priority,
    PromptSetInfo,
    RunDocument,
    RunEvent,
    RunInfo,
    RunKind,
    RunStatus,
)
from backend.services.run_files import record_files
from backend.services.run_parameters import Experts, check_parameters, experts_of
from backend.services.run_rows import (
    IN_TURN,
    conflict,
    end,
    expect,
    expect_newest,
    filter_by_words,
    find,
    known_kind,
    known_status,
    lock,
    new_row,
    record,
    show_event,
    show_run,
)
from backend.services.stored_result import store_document, store_result
from backend.services.stress import asker
from backend.settings import Settings

MAX_KEY = 200
RunInfos = list[RunInfo]
RunEvents = list[RunEvent]


class Runs:
    """Creates, finds and moves runs. The worker uses the second half of the methods, people the first."""

    def __init__(self, database: Database, settings: Settings, models: Models, prompt_sets: PromptSets) -> None:
        self._database = database
        self._settings = settings
        self._models = models
        self._prompt_sets = prompt_sets
        self._audit_log = AuditLog(database)

    def create(self, new: NewRun, idempotency_key: str | None = None) -> RunInfo:
        """Queue a run. The same key with the same request gives the run that exists; with another, ConflictError.

        Raises NotFoundError for an unknown model or prompt set, InputError for values that no run can have, or that
        this model or these prompts cannot carry, QuotaError where whoever asks has as many runs going as one may have.
        """
        creator = require("runs.write").name
        _check_request(new, idempotency_key)
        digest = _digest(new)
        known = self._repeated(idempotency_key, digest)
        if known is not None:
            return known
        model = self._models.find(new.model)
        prompts = self._find_prompts(new.prompt_set_id, model)
        with self._database.write() as session:
            row = _repeat(session, idempotency_key, digest)
            if row is None:
                parameters = check_parameters(session, new, model, prompts)
                if parameters.get("direction") == "stress":
                    parameters |= asker(self._settings)
                _check_quota(session, self._settings.runs_per_user, creator)
                row = new_row(new, model, prompts, self._settings.device, parameters, creator)
                row.idempotency_key, row.request_sha256 = idempotency_key, digest
                session.add(row)
                session.flush()
                record(session, row, "created")
                session.refresh(row, ["model", "prompt_set"])
                details = {"kind": row.kind, "model": row.model.ref, "prompt_set": row.prompt_set_id}
                self._audit_log.append_in(session, "runs.created", row.id, details)
            return show_run(row)

    def check(self, new: NewRun, balance: Balance | None = None) -> tuple[ModelInfo, PromptSetInfo, dict[str, Any]]:
        """The model, the prompts and the complete parameters of a request that could be queued. Queues nothing.

        `balance` stands for prompts that are not stored yet. Raises as `create`.
        """
        _check_request(new, None)
        model = self._models.find(new.model)
        stored = new.prompt_set_id or balance is None
        prompts = self._find_prompts(new.prompt_set_id, model) if stored else _not_stored(balance)
        with self._database.read() as session:
            return model, prompts, check_parameters(session, new, model, prompts)

    def get(self, run_id: str) -> RunInfo:
        with self._database.read() as session:
            return show_run(find(session, run_id))

    def list(
        self,
        status: str | None = None,
        model: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        *,
        kind: str | None = None,
        prompt_set: str | None = None,
        search: str | None = None,
        made_from: str | None = None,
    ) -> Page[RunInfo]:
        """Runs, newest first. `model` is a model's id, reference or name, `prompt_set` a set's id, `made_from` a run
        whose experts are used; `search` is part of the run's own name, of its model's or of its prompt set's, or its
        whole id, in capitals or not."""
        query: Select[tuple[RunRow]] = select(RunRow)
        if status is not None:
            query = query.where(RunRow.status == known_status(status))
        if kind is not None:
            query = query.where(RunRow.kind == known_kind(kind))
        if prompt_set is not None:
            query = query.where(RunRow.prompt_set_id == prompt_set)
        if model is not None:
            query = query.where(RunRow.model_id.in_(select(ModelRow.id).where(filter_by_model(model))))
        if search:
            query = query.where(filter_by_words(search))
        if made_from is not None:
            query = query.where(RunRow.parameters["experts_from"].as_string() == made_from)
        with self._database.read() as session:
            return page_of(session, query, RunRow, limit, cursor, show_run)

    def made_from(self, run_id: str, limit: int = 20) -> Page[RunInfo]:
        """The runs that mask or tune the experts which this one found or was given, newest first. Raises NotFoundError
        for an unknown run."""
        self.get(run_id)
        return self.list(limit=limit, made_from=run_id)

    def named_experts(self, run_id: str) -> Experts:
        """The experts that a finished audit flagged, or that another run was given. Raises as a request that names the
        run would."""
        with self._database.read() as session:
            return experts_of(session, find(session, run_id))

    def places(self) -> dict[str, int]:
        """The place of every waiting run in the queue, by its id; 1 is taken up next. A run that waits for its next
        attempt has its place too, and is passed over until then."""
        query = select(RunRow.id).where(RunRow.status == "queued").order_by(*IN_TURN)
        with self._database.read() as session:
            return {run_id: place for place, run_id in enumerate(session.scalars(query), start=1)}

    def counts(self) -> dict[RunStatus, int]:
        """How many runs there are of each status, those without any included."""
        with self._database.read() as session:
            found = {
                row[0]: row[1] for row in session.execute(select(RunRow.status, func.count()).group_by(RunRow.status))
            }
        return {known: found.get(known, 0) for known in get_args(RunStatus)}

    def events(self, run_id: str, after: int = 0) -> RunEvents:
        """What happened to the run, from event number `after` + 1 on."""
        query = select(RunEventRow).where(RunEventRow.run_id == run_id, RunEventRow.number > after)
        with self._database.read() as session:
            find(session, run_id)
            return [show_event(row) for row in session.scalars(query.order_by(RunEventRow.number))]

    def cancel(self, run_id: str) -> RunInfo:
        """Stop a run: at once while it waits, at its next shard while it runs. Repeating it changes nothing."""
        require("runs.write")
        with self._database.write() as session:
            row = lock(session, run_id)
            if row.status == "queued":
                end(session, row, "cancelled")
                self._audit_log.append_in(session, "runs.cancelled", row.id)
            elif row.status == "running" and not row.cancel_requested:
                row.cancel_requested = True
                record(session, row, "cancel_requested")
                self._audit_log.append_in(session, "runs.cancelled", row.id)
            elif row.status in ("done", "failed"):
                raise conflict(row, "cancelled", "queued or running")
            return show_run(row)

    def resume(self, run_id: str) -> RunInfo:
        """Queue a failed or cancelled run again. It goes on from the shards that it has. QuotaError as in `create`."""
        require("runs.write")
        with self._database.write() as session:
            row = lock(session, run_id)
            expect(row, "resumed", "failed", "cancelled")
            _check_quota(session, self._settings.runs_per_user, row.creator)
            row.status, row.error, row.finished, row.cancel_requested = "queued", None, None, False
            row.eta_seconds, row.losses, row.retries = None, 0, 0
            record(session, row, "resumed")
            self._audit_log.append_in(session, "runs.resumed", row.id)
            return show_run(row)

    # What follows is the worker's. `attempt` is the number of its attempt, None where nobody else can have one: once
    # another worker has taken the run up, everything here raises RunLostError and changes nothing.

    def queued(self) -> RunInfos:
        """Every waiting run, in the order in which they are taken up."""
        query = select(RunRow).where(RunRow.status == "queued").order_by(*IN_TURN)
        with self._database.read() as session:
            return [show_run(row) for row in session.scalars(query)]

    def mark_running(self, run_id: str) -> RunInfo:
        """Take this very run up, whoever has it. Workers take what is due instead (`Attempts.take`)."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect(row, "started", "queued", "running")
            begin(row, None)
            record(session, row, "started", attempt=row.attempts)
            return show_run(row)

    def report_progress(self, run_id: str, stage: str, done: int, total: int, attempt: int | None = None) -> bool:
        """Note that `done` of `total` shards of `stage` are there. True means: somebody wants the run to stop."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            expect(row, "moved forward", "running")
            now = datetime.now(UTC)
            row.stage, row.done, row.total, row.heartbeat = stage, done, total, now
            row.fraction = overall_fraction(row.kind, stage, done, total, row.fraction)
            elapsed = (now - (row.attempt_started or now)).total_seconds()
            row.eta_seconds = eta_seconds(elapsed, row.fraction, row.fraction_base)
            record(session, row, "progress", stage=stage, done=done, total=total, eta_seconds=row.eta_seconds)
            return row.cancel_requested

    def finish(
        self, run_id: str, result: AuditResult | RunDocument, attempt: int | None = None, put: PutInPlace = nothing
    ) -> RunInfo:
        """Store the result and call the run done, both or neither. A repeat after success changes nothing. `put` moves
        the run's files to their place, which nobody else can do then."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            stored = RunResultRow if isinstance(result, AuditResult) else RunDocumentRow
            if row.status == "done" and session.get(stored, run_id) is not None:
                return show_run(row)
            expect(row, "finished", "running")
            put()
            if isinstance(result, AuditResult):
                store_result(session, run_id, result)
            else:
                store_document(session, run_id, result.content)
            record_files(session, self._settings, run_id)
            document = result.report if isinstance(result, AuditResult) else result.content
            row.headline = document["verdict"]["sentence"]
            row.fraction, row.eta_seconds = 1.0, 0.0
            end(session, row, "done", headline=row.headline)
            return show_run(row)

    def fail(self, run_id: str, message: str, attempt: int | None = None) -> RunInfo:
        """The run cannot go on. `message` is one line for a person."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            expect(row, "failed", "queued", "running")
            row.error = message
            end(session, row, "failed", message=message)
            return show_run(row)

    def mark_cancelled(self, run_id: str, attempt: int | None = None) -> RunInfo:
        """The worker has stopped, as it was asked to."""
        with self._database.write() as session:
            row = lock(session, run_id)
            expect_newest(row, attempt)
            if row.status != "cancelled":
                expect(row, "cancelled", "queued", "running")
                end(session, row, "cancelled")
            return show_run(row)

    def _repeated(self, key: str | None, digest: str) -> RunInfo | None:
        with self._database.read() as session:
            row = _repeat(session, key, digest)
            return None if row is None else show_run(row)

    def _find_prompts(self, id_or_ref: str, model: ModelInfo) -> PromptSetInfo:
        if not id_or_ref.startswith(BUILTIN):
            return self._prompt_sets.get(id_or_ref)
        organism = model.ref.removeprefix(ORGANISM) if model.ref.startswith(ORGANISM) else "planted"
        return self._prompt_sets.register(id_or_ref, organism)


def _not_stored(balance: Balance | None) -> PromptSetInfo:
    """Prompts of a file that somebody looks at, as far as a request is checked against them."""
    assert balance is not None
    return PromptSetInfo(
        id="",
        name="this file",
        sha256="",
        prompts=balance.prompts,
        harmful=balance.harmful,
        benign=balance.benign,
        jailbreak=balance.jailbreak,
        unlabelled=balance.unlabelled,
        topics=[one.topic or "" for one in balance.named],
        pairs=balance.pairs,
        source="upload",
        created=datetime.now(UTC),
    )


def _digest(new: NewRun) -> str:
    """What makes two requests the same. A request without what came later has the digest that it had before."""
    request = asdict(new)
    for name, usual in (("parameters", {}), ("priority", "normal")):
        if request[name] == usual:
            del request[name]
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _check_request(new: NewRun, key: str | None) -> None:
    """Raise InputError for a value outside its choices; the command line and the pages are not type-checked callers."""
    choices = (
        ("kind", new.kind, RunKind),
        ("preset", new.preset, Depth),
        ("device", new.device or "auto", Device),
        ("priority", new.priority, Priority),
    )
    for field, value, allowed in choices:
        if value not in get_args(allowed):
            expected = ", ".join(get_args(allowed))
            raise InputError(f"{field} is '{value}': expected one of {expected}", field=field)
    if not 0 <= new.seed < 2**31:
        raise InputError(f"seed is {new.seed}: expected 0 to 2147483647", field="seed")
    _check_judges(new)
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise InputError(f"Idempotency-Key has {len(key)} characters: expected 1 to {MAX_KEY}", field="Idempotency-Key")


def _check_quota(session: Session, most: int, creator: str) -> None:
    """Raise QuotaError where one more run would be more than one person may have waiting and running."""
    going = RunRow.creator == creator, RunRow.status.in_(("queued", "running"))
    count = session.scalar(select(func.count()).where(*going)) or 0 if most else 0
    if most and count >= most:
        raise QuotaError(
            f"{creator} has {count} runs waiting or running, and at most {most} are allowed at a time: wait until one "
            "has ended, or cancel one (EXPERTSCOPE_RUNS_PER_USER sets the limit)"
        )


def _check_judges(new: NewRun) -> None:
    """Only judges by name: a path would let anybody who may start runs read this machine's files."""
    for field, name in (("judge", new.judge), ("second_judge", new.second_judge)):
        if name is not None and name not in judge_names():
            raise InputError(f"{field} is '{name}': expected one of {', '.join(judge_names())}", field=field)
    if new.second_judge is not None and new.kind != "audit":
        raise InputError(
            f"second_judge is for audits, and this run is of kind {new.kind}: leave it out", field="second_judge"
        )
    if new.second_judge == new.judge:
        raise InputError(f"second_judge is '{new.judge}', as the first: name another", field="second_judge")


def _repeat(session: Session, key: str | None, digest: str) -> RunRow | None:
    """The run that this key made before, if any. Raises ConflictError when it was made by another request."""
    if key is None:
        return None
    row = session.scalars(select(RunRow).where(RunRow.idempotency_key == key)).one_or_none()
    if row is not None and row.request_sha256 != digest:
        raise ConflictError(
            f"Idempotency-Key '{key}' belongs to run '{row.id}', which was asked for differently: use a new key"
        )
    return row
