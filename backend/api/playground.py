"""/api/v1/playground: one prompt for one model; the worker answers between two runs."""

import math
import time
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from analysis.routing.token_trace import NO_EXPERT, TokenTrace
from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import Body, Listing
from backend.services import Asked, NewQuestion, Question, Services

router = APIRouter(prefix="/api/v1/playground", tags=["playground"])
WINDOWS = ("prompt", "boundary", "response")
WaitQuery = Annotated[
    float, Query(ge=0, le=60, description="Seconds to wait for the answer. 0 answers at once with what there is.")
]
TextsQuery = Annotated[bool, Query(description="Send the answer's text too.")]
_ENDED = ("done", "failed")


class NewQuestionBody(Body):
    """A prompt to be answered. `model` is an id, or a reference such as organism:planted."""

    model: str = Field(min_length=1)
    prompt: str = Field(description="What the model is to answer.")
    judge: str = Field(default="rules", min_length=1, max_length=200, description="One of GET /api/v1/judges.")
    max_new_tokens: int = Field(default=64, description="Longest answer, in tokens: 1 to 512.")

    def record(self) -> NewQuestion:
        return NewQuestion(**self.model_dump())


class AnswerOut(BaseModel):
    """The judged answer. `text`, `words` (those that decided) and `span` are null unless asked for."""

    label: str
    rule: str | None
    judge: str
    words: str | None
    span: tuple[int, int] | None
    text: str | None
    finished: bool = Field(description="False for an answer that was cut at its longest length.")
    tokens: int = Field(description="Tokens of the answer that were given back to the model.")


class MarginOut(BaseModel):
    """The refusal margin in nats, with the openings of the audit `run_id`."""

    value: float
    run_id: str


class WindowOut(BaseModel):
    """Routing over `tokens` tokens, [layers][experts]; null where nothing was observed."""

    tokens: int
    frequency: list[list[float | None]]
    probability: list[list[float | None]]


class RoutingOut(BaseModel):
    """Which experts the prompt and the answer used. `layers` are the MoE layers' indices in the model."""

    layers: list[int]
    experts: int
    top_k: int
    windows: dict[str, WindowOut]


class TokensOut(BaseModel):
    """Every token of the prompt and its answer. `parts` is template, prompt, boundary or response; `experts` and
    `weights` are [layers][tokens][k], null where nothing was selected. Texts of the response are null unless asked for.
    """

    texts: list[str | None]
    special: list[bool]
    parts: list[str]
    experts: list[list[list[int | None]]]
    weights: list[list[list[float | None]]]


class GroupDistanceOut(BaseModel):
    """Mean JSD to one group of prompts; `low`, `median`, `high` are where these lie themselves (5, 50, 95 %)."""

    label: str
    prompts: int
    mean: float
    per_layer: list[float]
    low: float
    median: float
    high: float


class DistanceOut(BaseModel):
    """How far the prompt's routing lies from the harmful and the benign prompts of the audit `run_id`.

    `lean` is the benign distance less the harmful one, and so many of that audit's own prompts lean at least as far to
    the harmful side; `auroc` says how well the lean tells these apart.
    """

    run_id: str
    layers: list[int]
    groups: list[GroupDistanceOut]
    lean: float
    harmful_reaching: int
    benign_reaching: int
    auroc: dict[str, float | int | None]


class DetectorOut(BaseModel):
    """What the detector of the run `run_id` says, and how good it is on prompts that it had not seen."""

    run_id: str
    detector: str | None
    probability: float | None
    threshold: float | None = Field(description="Score that at most 1 % of benign prompts reach; null if unknown.")
    flagged: bool | None
    harmful_below: int
    harmful: int
    benign_reaching: int
    benign: int
    withheld: str | None
    scheme: str | None
    auroc: dict[str, Any] | None
    tpr_at_1_fpr: dict[str, Any] | None


class ResultOut(BaseModel):
    """All that is known of the prompt. `withheld` says by name why a part is null or empty."""

    answer: AnswerOut
    margin: MarginOut | None
    routing: RoutingOut
    tokens: TokensOut
    distance: DistanceOut | None
    detectors: list[DetectorOut]
    withheld: dict[str, str]
    certificate: dict[str, Any]


class AskedOut(BaseModel):
    """A question with its prompt; `result` is null until `status` is done, `question.error` says why it failed."""

    id: str
    status: str
    question: Question
    prompt: str
    result: ResultOut | None


@router.post("", status_code=202, responses={201: {"model": AskedOut, "description": "It was answered, or failed."}})
async def ask(
    body: NewQuestionBody, response: Response, services: ServicesDep, wait: WaitQuery = 15.0, texts: TextsQuery = False
) -> AskedOut:
    """Put a question down and wait for its answer for a while: 201 with `result` (or a status of failed) when it came
    in time, else 202 and `Location`, where it will be. Without a worker nobody is kept waiting."""
    question = await run_in_threadpool(services.playground.ask, body.record())
    response.headers["Location"] = f"/api/v1/playground/{question.id}"
    asked = await _answered(services, question.id, wait, texts)
    response.status_code = 201 if asked.status in _ENDED else 202
    return asked


@router.get("")
def list_questions(
    services: ServicesDep,
    status: Annotated[str | None, Query(description="queued, running, done or failed.")] = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Listing[Question]:
    """The questions that are kept, newest first, without prompts and answers."""
    return Listing[Question].of(services.playground.list(status, limit, cursor))


@router.get("/{question_id}")
async def read_question(
    question_id: str, services: ServicesDep, wait: WaitQuery = 0.0, texts: TextsQuery = False
) -> AskedOut:
    """One question: what it waits for, or its result."""
    return await _answered(services, question_id, wait, texts)


@router.delete("/{question_id}", status_code=204)
def remove_question(question_id: str, services: ServicesDep) -> Response:
    """Take a question back, answered or not: nothing of it is kept."""
    services.playground.remove(question_id)
    return Response(status_code=204)


async def _answered(services: Services, question_id: str, wait: float, texts: bool) -> AskedOut:
    """The question as it is after at most `wait` seconds."""
    end = time.monotonic() + wait
    while True:
        question = await run_in_threadpool(services.playground.get, question_id)
        left = end - time.monotonic()
        in_vain = question.waiting is not None and question.waiting.reason == "worker"
        if question.waiting is None or in_vain or left <= 0:
            asked = await run_in_threadpool(services.playground.read, question_id, texts=texts)
            return await run_in_threadpool(_shown, asked)
        await anyio.sleep(min(services.settings.event_poll_seconds, left))


def _shown(asked: Asked) -> AskedOut:
    result = None if asked.answer is None else _result(asked)
    question = asked.question
    return AskedOut(id=question.id, status=question.status, question=question, prompt=asked.prompt, result=result)


def _result(asked: Asked) -> ResultOut:
    found = asked.answer
    assert found is not None
    return ResultOut(
        answer=AnswerOut(
            label=found.label,
            rule=found.rule,
            judge=found.judge,
            words=asked.words if asked.texts else None,
            span=found.span,
            text=found.text if asked.texts else None,
            finished=found.finished,
            tokens=found.window_tokens[WINDOWS.index("response")],
        ),
        margin=None if found.margin is None else MarginOut(value=found.margin, run_id=found.margin_run_id or ""),
        routing=_routing(asked),
        tokens=_tokens(found.tokens, asked.texts),
        distance=None if found.distance is None else DistanceOut.model_validate(found.distance, from_attributes=True),
        detectors=_detectors(asked),
        withheld=found.withheld,
        certificate=found.certificate,
    )


def _routing(asked: Asked) -> RoutingOut:
    found = asked.answer
    assert found is not None
    windows = {
        name: WindowOut(
            tokens=found.window_tokens[place],
            frequency=_nested(found.frequency[place]),
            probability=_nested(found.probability[place]),
        )
        for place, name in enumerate(WINDOWS)
    }
    experts = found.frequency.shape[-1]
    return RoutingOut(layers=list(found.layers), experts=experts, top_k=found.top_k, windows=windows)


def _tokens(trace: TokenTrace, texts: bool) -> TokensOut:
    nowhere = trace.ids == NO_EXPERT
    ids, weights = trace.ids.astype(object), trace.weights.astype(float).astype(object)
    ids[nowhere] = weights[nowhere] = None
    shown = [
        text if texts or part != "response" else None for text, part in zip(trace.tokens, trace.parts, strict=True)
    ]
    return TokensOut(
        texts=shown,
        special=list(trace.special),
        parts=list(trace.parts),
        experts=ids.tolist(),
        weights=weights.tolist(),
    )


def _detectors(asked: Asked) -> list[DetectorOut]:
    shown = []
    for one in asked.answer.detectors if asked.answer else ():
        quality = asked.quality.get(one.run_id)
        own = {name: value for name, value in vars(one).items() if name != "name"}
        measured = {name: getattr(quality, name, None) for name in ("scheme", "auroc", "tpr_at_1_fpr")}
        shown.append(DetectorOut(detector=one.name, **own, **measured))
    return shown


def _nested(values: Any) -> list[list[float | None]]:
    """JSON has no NaN: null stands where nothing was observed."""
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]
