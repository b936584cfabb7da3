"""The playground: one prompt for one model, put down by people, answered by the worker between two runs.

Prompts and answers are what people may not want others to read, so only the newest questions are kept, lists have no
texts, and an answer's text is handed out only where it is asked for and the server does not hide it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session, undefer

from analysis.errors import ConflictError
from analysis.playground.answer import PlaygroundAnswer
from analysis.playground.reference import References
from backend.access import require
from backend.db import Database
from backend.db.tables import PlaygroundQuestionRow, RunRow
from backend.services.audit_log import AuditLog
from backend.services.content import Content
from backend.services.ids import new_id
from backend.services.models import Models
from backend.services.paging import page_of
from backend.services.playground_references import PlaygroundReferences
from backend.services.questions import (
    ANSWERED,
    OPEN,
    Asked,
    DetectorQuality,
    NewQuestion,
    Question,
    Waiting,
    check_question,
    find_question,
    known_status,
    missing,
    show_question,
)
from backend.services.records import Page
from backend.services.workers import Workers
from backend.settings import Settings

MOST_OPEN = 20
"""More questions than these do not wait at one time."""
MOST_ATTEMPTS = 3
_WORDS = 120
NO_WORKER = (
    "No worker has been heard lately: the question waits until one is there. `expertscope serve` starts one by itself, "
    "`expertscope worker` one alone."
)


@dataclass(frozen=True)
class Taken:
    """A question that the worker is to answer now."""

    question: Question
    prompt: str


class Playground:
    """Puts down, finds and takes back questions; the worker uses the second half of the methods."""

    def __init__(
        self, database: Database, settings: Settings, models: Models, workers: Workers, references: PlaygroundReferences
    ) -> None:
        self._database = database
        self._settings = settings
        self._models = models
        self._workers = workers
        self._references = references
        self._audit_log = AuditLog(database)

    @property
    def longest_prompt(self) -> int:
        """The most characters of a prompt."""
        return self._settings.max_cell_chars

    def ask(self, new: NewQuestion) -> Question:
        """Put a question down for the worker. Those beyond the number that is kept are deleted, the oldest first.

        Raises InputError for what cannot be asked, NotFoundError for an unknown model, ConflictError where too many
        wait already.
        """
        require("playground.ask")
        prompt = check_question(new, self.longest_prompt)
        model = self._models.find(new.model)
        with self._database.write() as session:
            waiting = session.scalar(select(func.count()).where(PlaygroundQuestionRow.status.in_(OPEN))) or 0
            if waiting >= MOST_OPEN:
                raise ConflictError(f"{waiting} questions wait already: take one back, or wait until some are answered")
            row = PlaygroundQuestionRow(
                id=new_id(),
                model_id=model.id,
                prompt=prompt,
                judge=new.judge,
                max_new_tokens=new.max_new_tokens,
                status="queued",
                created=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
            session.refresh(row, ["model"])
            self._audit_log.append_in(session, "playground.asked", row.id, {"model": model.ref})
            _forget(session, self._settings.playground_kept)
            return show_question(row, self._waiting(session, row))

    def list(self, status: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Question]:
        """The questions that are kept, newest first, without their texts."""
        query: Select[tuple[PlaygroundQuestionRow]] = select(PlaygroundQuestionRow)
        if status is not None:
            query = query.where(PlaygroundQuestionRow.status == known_status(status))
        with self._database.read() as session:
            return page_of(session, query, PlaygroundQuestionRow, limit, cursor, show_question)

    def get(self, question_id: str) -> Question:
        """How far a question is, and what it waits for."""
        with self._database.read() as session:
            row = find_question(session, question_id)
            return show_question(row, self._waiting(session, row))

    def read(self, question_id: str, *, texts: bool = False) -> Asked:
        """A question with its prompt and its answer. The answer's text is empty unless `texts` asks for it, and always
        where the server hides completions; the prompt is None where it hides prompts."""
        with self._database.read() as session:
            row = session.scalars(
                select(PlaygroundQuestionRow)
                .where(PlaygroundQuestionRow.id == question_id)
                .options(undefer(PlaygroundQuestionRow.result))
            ).one_or_none()
            if row is None:
                raise missing(question_id)
            question, blob, prompt = show_question(row, self._waiting(session, row)), row.result, row.prompt
        content = Content(self._settings)
        asked = content.prompt(prompt)
        if blob is None:
            return Asked(question, asked, None, None, False, {}, {})
        answer, hidden = PlaygroundAnswer.from_bytes(blob), not content.shows_completions
        if not content.shows_prompts:
            answer = answer.without_prompt()
        shown = texts and not hidden
        return Asked(
            question,
            asked,
            answer if shown else answer.covered(),
            None if hidden else _words(answer),
            shown,
            self._references.names(_run_ids(answer)),
            self._quality(answer),
            self._references.flagged(answer.distance.run_id if answer.distance else answer.margin_run_id),
        )

    def remove(self, question_id: str) -> None:
        """Take a question back, answered or not, with its texts. An answer that is being made is dropped."""
        require("playground.remove")
        with self._database.write() as session:
            gone = session.execute(delete(PlaygroundQuestionRow).where(PlaygroundQuestionRow.id == question_id))
            if not gone.rowcount:  # type: ignore[attr-defined]
                raise missing(question_id)
            self._audit_log.append_in(session, "playground.deleted", question_id)

    # What follows is the worker's.

    def take(self, worker_id: str | None = None) -> Taken | None:
        """The question that has waited longest, now running; None where there is none.

        A worker calls it only while it answers nothing, so one that is running and is its own, or a dead worker's, was
        left behind: it waits again, or fails when that happened too often.
        """
        with self._database.read() as session:
            if session.scalar(_open_rows().limit(1)) is None:
                return None
        others = self._workers.known() - self._workers.gone() - {worker_id}
        with self._database.write() as session:
            rows = session.scalars(_open_rows().with_for_update(of=PlaygroundQuestionRow)).all()
            _put_back([row for row in rows if row.worker not in others])
            row = next((row for row in rows if row.status == "queued"), None)
            if row is None:
                return None
            row.status, row.attempts, row.started = "running", row.attempts + 1, datetime.now(UTC)
            row.worker = worker_id
            return Taken(show_question(row), row.prompt)

    def wanted(self, question_id: str, attempt: int | None = None) -> bool:
        """Whether the question that is being answered is still there, and `attempt` the newest at it."""
        with self._database.read() as session:
            row = session.get(PlaygroundQuestionRow, question_id)
            return row is not None and row.status == "running" and attempt in (None, row.attempts)

    def references(self, model_id: str) -> References:
        """What finished runs of the model offer to compare with."""
        return self._references.of_model(model_id)

    def finish(self, question_id: str, answer: PlaygroundAnswer, attempt: int | None = None) -> bool:
        """Keep the answer. False where the question was taken back meanwhile, or another worker answers it."""
        return self._end(question_id, attempt, "done", label=answer.label, result=answer.to_bytes())

    def fail(self, question_id: str, message: str, attempt: int | None = None) -> bool:
        """The question has no answer; `message` is one line for a person. False as `finish`."""
        return self._end(question_id, attempt, "failed", error=message)

    def _end(self, question_id: str, attempt: int | None, status: str, **values: object) -> bool:
        with self._database.write() as session:
            query = select(PlaygroundQuestionRow).where(PlaygroundQuestionRow.id == question_id)
            row = session.scalars(query.with_for_update(of=PlaygroundQuestionRow)).one_or_none()
            if row is None or row.status != "running" or attempt not in (None, row.attempts):
                return False
            row.status, row.finished = status, datetime.now(UTC)
            for name, value in values.items():
                setattr(row, name, value)
            return True

    def _waiting(self, session: Session, row: PlaygroundQuestionRow) -> Waiting | None:
        if row.status in ANSWERED:
            return None
        if not self._workers.alive():
            return Waiting("worker", NO_WORKER)
        if row.status == "running":
            return Waiting("answer", "The model is answering.")
        ahead = session.scalar(_ahead(row)) or 0
        run = session.scalars(select(RunRow).where(RunRow.status == "running").limit(1)).one_or_none()
        if run is not None:
            return Waiting(
                "run",
                f"The worker computes the run '{run.name}' and answers between two runs.",
                ahead,
                run.id,
                run.name,
                run.eta_seconds,
            )
        if ahead:
            return Waiting("questions", f"{ahead} other question{'' if ahead == 1 else 's'} before this one.", ahead)
        return Waiting("turn", "The worker takes it up now.")

    def _quality(self, answer: PlaygroundAnswer) -> dict[str, DetectorQuality]:
        found = (self._references.quality(one.run_id) for one in answer.detectors)
        return {one.run_id: one for one in found if one is not None}


def _open_rows() -> Select[Any]:
    """Those without an answer, the longest waiting first."""
    query = select(PlaygroundQuestionRow).where(PlaygroundQuestionRow.status.in_(OPEN))
    return query.order_by(PlaygroundQuestionRow.created, PlaygroundQuestionRow.id)


def _ahead(row: PlaygroundQuestionRow) -> Select[Any]:
    older = or_(
        PlaygroundQuestionRow.created < row.created,
        (PlaygroundQuestionRow.created == row.created) & (PlaygroundQuestionRow.id < row.id),
    )
    return select(func.count()).where(PlaygroundQuestionRow.status.in_(OPEN), older)


def _put_back(rows: Sequence[PlaygroundQuestionRow]) -> None:
    for row in rows:
        if row.status != "running":
            continue
        if row.attempts >= MOST_ATTEMPTS:
            row.status, row.finished = "failed", datetime.now(UTC)
            row.error = (
                f"the worker died {row.attempts} times while it answered; too little memory is the usual cause: ask a "
                "smaller model, or for a shorter answer"
            )
        else:
            row.status = "queued"


def _forget(session: Session, kept: int) -> None:
    """Delete answered questions until at most `kept` are left, the oldest first; the open ones stay."""
    newest = select(PlaygroundQuestionRow.id).order_by(
        PlaygroundQuestionRow.created.desc(), PlaygroundQuestionRow.id.desc()
    )
    ids = session.scalars(newest.offset(kept)).all()
    session.execute(
        delete(PlaygroundQuestionRow).where(
            PlaygroundQuestionRow.id.in_(ids), PlaygroundQuestionRow.status.in_(ANSWERED)
        )
    )


def _words(answer: PlaygroundAnswer) -> str | None:
    """The words of the answer that decided its label, where there are some."""
    if answer.span is None:
        return None
    return " ".join(answer.text[slice(*answer.span)].split())[:_WORDS] or None


def _run_ids(answer: PlaygroundAnswer) -> list[str]:
    compared = [answer.margin_run_id, answer.distance.run_id if answer.distance else None]
    return [run_id for run_id in (*compared, *(one.run_id for one in answer.detectors)) if run_id is not None]
