"""Questions of the playground as everyone sees them, and their rows found, checked and described.

    queued ──► running ──► done | failed
      ▲           │
      └───────────┘  the worker died while answering; a few times, then it fails

A question that is taken back, or older than those that are kept, is deleted with everything that belongs to it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy.orm import Session

from analysis.errors import InputError, NotFoundError
from analysis.outcomes.judges import judge_names
from analysis.playground.answer import PlaygroundAnswer
from analysis.prompts.importers.text import forbidden_character
from analysis.result import AnswerLabel
from backend.db.tables import PlaygroundQuestionRow
from backend.services.models import show_model
from backend.services.records import ModelInfo

QuestionStatus = Literal["queued", "running", "done", "failed"]
OPEN: tuple[QuestionStatus, ...] = ("queued", "running")
ANSWERED: tuple[QuestionStatus, ...] = ("done", "failed")
WaitingFor = Literal["worker", "run", "questions", "turn", "answer"]
LONGEST_ANSWER = 512


@dataclass(frozen=True)
class NewQuestion:
    """One prompt for one model. `model` is an id, or a reference, which is registered on the way."""

    model: str
    prompt: str
    judge: str = "rules"
    max_new_tokens: int = 64


@dataclass(frozen=True)
class Waiting:
    """What a question waits for, in one word and in a sentence.

    `worker`: none was heard lately; `run`: the run `run_id` computes, for `eta_seconds` where that is known;
    `questions`: `ahead` of them go first; `turn`: it is next; `answer`: it is being answered.
    """

    reason: WaitingFor
    message: str
    ahead: int = 0
    run_id: str | None = None
    run_name: str | None = None
    eta_seconds: float | None = None


@dataclass(frozen=True)
class Question:
    """A question without its texts. `label` is what the judge calls the answer, `waiting` None once there is one."""

    id: str
    status: QuestionStatus
    model: ModelInfo
    judge: str
    max_new_tokens: int
    attempts: int
    label: AnswerLabel | None
    error: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    waiting: Waiting | None = None


@dataclass(frozen=True)
class DetectorQuality:
    """How well the detector of a run does on prompts that it had not seen: of topics left out (`leave_category_out`)
    where there are any, else `kfold`. Intervals; None where a number could not be had."""

    run_id: str
    run_name: str
    name: str
    scheme: str
    auroc: dict[str, Any]
    tpr_at_1_fpr: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A question with its prompt, and once it is done its answer, the runs behind it by name, and how good the
    detectors are that were asked (by their run's id).

    `words` are those of the answer that decided its label, None where there are none or the server hides completions.
    The answer's texts are empty unless `texts`; the prompt is None where the server hides prompts. `flagged` are the
    (layer, expert) that the audit behind it flagged.
    """

    question: Question
    prompt: str | None
    answer: PlaygroundAnswer | None
    words: str | None
    texts: bool
    runs: dict[str, str]
    quality: dict[str, DetectorQuality]
    flagged: tuple[tuple[int, int], ...] = ()


def check_question(new: NewQuestion, longest: int) -> str:
    """The prompt as it is kept: Unix line ends, no blanks around it. Raises InputError for what cannot be asked."""
    prompt = new.prompt.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not prompt:
        raise InputError("prompt is empty: type what the model is to answer", field="prompt")
    if len(prompt) > longest:
        raise InputError(
            f"prompt has {len(prompt):,} characters: at most {longest:,} are taken; shorten it", field="prompt"
        )
    character = forbidden_character(prompt)
    if character is not None:
        raise InputError(f"prompt holds the control character {character}: take it out", field="prompt")
    if new.judge not in judge_names():
        raise InputError(f"judge is '{new.judge}': expected one of {', '.join(judge_names())}", field="judge")
    if not 1 <= new.max_new_tokens <= LONGEST_ANSWER:
        raise InputError(
            f"max_new_tokens is {new.max_new_tokens}: expected 1 to {LONGEST_ANSWER}", field="max_new_tokens"
        )
    return prompt


def find_question(session: Session, question_id: str) -> PlaygroundQuestionRow:
    row = session.get(PlaygroundQuestionRow, question_id)
    if row is None:
        raise missing(question_id)
    return row


def missing(question_id: str) -> NotFoundError:
    return NotFoundError(
        f"no question has the id '{question_id}': it was taken back, or newer ones took its place (only the newest are "
        "kept)"
    )


def known_status(status: str) -> QuestionStatus:
    if status in get_args(QuestionStatus):
        return status  # type: ignore[return-value]
    raise InputError(f"unknown status '{status}': expected {', '.join(get_args(QuestionStatus))}", field="status")


def show_question(row: PlaygroundQuestionRow, waiting: Waiting | None = None) -> Question:
    return Question(
        id=row.id,
        status=row.status,  # type: ignore[arg-type]
        model=show_model(row.model),
        judge=row.judge,
        max_new_tokens=row.max_new_tokens,
        attempts=row.attempts,
        label=row.label,  # type: ignore[arg-type]
        error=row.error,
        created=row.created,
        started=row.started,
        finished=row.finished,
        waiting=waiting,
    )
