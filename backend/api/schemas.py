"""Bodies that the API takes and lists that it gives; single items are the services' own records."""

from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from backend.services import Depth, Device, Estimate, NewRun, Page, Priority, RunKind

T = TypeVar("T")


class Listing(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    count: int = Field(description="Size of the whole list.")
    next: str | None = Field(description="Cursor of the next page, null on the last.")

    @classmethod
    def of(cls, page: Page[T]) -> Self:
        return cls(items=page.items, count=page.count, next=page.next)

    @classmethod
    def whole(cls, items: list[T]) -> Self:
        """A list that fits on one page."""
        return cls(items=items, count=len(items), next=None)


class ErrorDetail(BaseModel):
    """One place at fault; what does not apply is null."""

    message: str
    field: str | None
    row: int | None
    column: str | None


class ErrorBody(BaseModel):
    code: str
    message: str
    details: list[ErrorDetail]


class ErrorEnvelope(BaseModel):
    """Every error has this shape."""

    error: ErrorBody


class Body(BaseModel):
    """A request body. Unknown fields are refused: a misspelt one would be ignored in silence otherwise."""

    model_config = ConfigDict(extra="forbid")


class NewPromptSet(Body):
    """A prompt set as JSON: either its prompts, or the name of a built-in one."""

    name: str | None = None
    prompts: list[dict[str, Any]] | None = Field(
        default=None, description="Objects with prompt, and where known label, topic, pair_id, group and id."
    )
    builtin: str | None = Field(default=None, description="Name of a built-in set, such as topic-pairs.")
    organism: str = Field(default="planted", description="Whose set the built-in set 'organism' means.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.prompts is None) == (self.builtin is None):
            raise ValueError("give either prompts or builtin")
        return self


class NewModel(Body):
    """A model to register."""

    ref: str = Field(min_length=1, description="A folder, a hub id or organism:NAME.")
    revision: str | None = None


EXPERTS: JsonDict = {
    "anyOf": [
        {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}},
        {"type": "string"},
        {"type": "null"},
    ]
}
"""Shown in the API's description; the service checks them, so that a mistake is named by its field alone."""


class NewRunBody(Body):
    """A run to queue. `model` and `prompt_set_id` are ids, or references such as organism:planted and builtin:NAME.

    Everything below `priority` belongs to some kinds only; a kind refuses what it does not have.
    """

    kind: RunKind = "audit"
    model: str = Field(min_length=1)
    prompt_set_id: str = Field(min_length=1)
    preset: Depth = "standard"
    seed: int = Field(default=0, ge=0, lt=2**31)
    judge: str = Field(default="rules", min_length=1, max_length=200, description="One of GET /api/v1/judges.")
    second_judge: str | None = Field(default=None, min_length=1, max_length=200, description="A second opinion.")
    device: Device | None = None
    priority: Priority = Field(
        default="normal", description="Of two waiting runs, the one of higher priority goes first."
    )
    experts: Any = Field(
        default=None,
        description="mask, tune: pairs of layer and expert, or a text such as 3:12,5:7.",
        json_schema_extra=EXPERTS,
    )
    experts_from: str | None = Field(
        default=None, description="mask, tune: a run on the same model whose flagged, or named, experts are meant."
    )
    max_new_tokens: int | None = Field(
        default=None, description="trace, mask: longest answer; the preset's unless given. 0 traces prompts alone."
    )
    mode: str | None = Field(default=None, description="mask: mask_zero, mask_reroute or mask_mean.")
    window: str | None = Field(default=None, description="mask: prompt, decode or both.")
    detector: str | None = Field(default=None, description="detect: routescan, router_logits or nearest.")

    direction: str | None = Field(default=None, description="tune: harden or stress.")
    recipe: str | None = Field(
        default=None, description="tune, harden: lora, merge_subtract, merge_add, rasa or safemoe."
    )
    rank: int | None = Field(default=None, description="tune: rank of the update; the preset's unless given.")
    steps: int | None = Field(default=None, description="tune: steps of training; the preset's unless given.")
    controls: int | None = Field(
        default=None, description="tune: matched random sets to tune alike; the preset's unless given."
    )

    def record(self) -> NewRun:
        """The request, with what only some kinds have as its parameters."""
        given = self.model_dump(exclude_none=True)
        own = {name for name in NewRun.__dataclass_fields__ if name != "parameters"}
        common = {name: value for name, value in given.items() if name in own}
        return NewRun(**common, parameters={name: value for name, value in given.items() if name not in own})


class ResolutionOut(BaseModel):
    """Half-widths of the 95 % interval of a refusal rate, in points: with independent prompts, and where the prompts of
    a topic are much alike (null with too few topics)."""

    harmful: int
    points: float
    points_alike: float | None


class DoubtOut(BaseModel):
    """One warning; `stops` where the run cannot be done at all."""

    code: str
    text: str
    stops: bool


class EstimateOut(BaseModel):
    """What a run would take and could tell.

    `seconds` is null where nothing was timed on such a device. `basis` is same_model, other_models or size; the true
    time may be `factor` times as long or as short. `needed` are the harmful prompts for the interval asked for.
    """

    seconds: float | None
    factor: float
    basis: str
    basis_text: str
    runs: int
    memory_bytes: int
    memory_total_bytes: int | None
    device: str
    waiting: int
    worker_alive: bool
    resolution: ResolutionOut | None
    needed: int | None
    warnings: list[DoubtOut]

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        cost, found = estimate.cost, estimate.resolution
        return cls(
            seconds=cost.seconds,
            factor=cost.factor,
            basis=cost.basis,
            basis_text=cost.basis_text,
            runs=cost.runs,
            memory_bytes=cost.memory_bytes,
            memory_total_bytes=cost.memory_total_bytes,
            device=cost.device,
            waiting=estimate.waiting,
            worker_alive=estimate.worker_alive,
            resolution=None
            if found is None
            else ResolutionOut(
                harmful=found.harmful,
                points=round(100 * found.half_width, 2),
                points_alike=None if found.alike is None else round(100 * found.alike, 2),
            ),
            needed=estimate.needed,
            warnings=[DoubtOut(code=one.code, text=one.text, stops=one.stops) for one in estimate.warnings],
        )


class AdapterBody(Body):
    """A PEFT adapter to look into."""

    folder: str = Field(min_length=1, description="A folder on the server that save_pretrained made.")
    model: str | None = Field(default=None, description="Id or reference of the model that it is held against.")


class PromptOut(BaseModel):
    """One prompt. `text` is null where the server hides prompts."""

    id: str
    text: str | None
    label: str | None
    topic: str | None
    pair_id: str | None
    group: str


class HeatmapOut(BaseModel):
    """One quantity for every layer and expert; null where nothing was observed.

    `minus` is the group whose values were subtracted, `favours` the label that positive values of a difference speak
    for.
    """

    layers: list[int]
    experts: list[int]
    values: list[list[float | None]]
    quantity: str
    group: str
    window: str
    groups: list[str]
    windows: list[str]
    unit: str
    minus: str | None
    favours: Literal["harmful", "benign"] | None


class PairsOut(BaseModel):
    """How the experts of one layer work together: `values[i][j]`; null where expert i was never selected."""

    layer: int
    window: str
    quantity: str
    tokens: int
    values: list[list[float | None]]
    windows: list[str]


class AnswerOut(BaseModel):
    """One judged answer. `text` and `span` are null unless asked for."""

    prompt_id: str
    variant: str
    label: str
    rule: str | None
    margin: float | None
    span: tuple[int, int] | None
    text: str | None
    second_label: str | None = None


class TokensOut(BaseModel):
    """One prompt and its answer, token by token.

    `tokens` is null unless asked for, and single ones are where the server hides their text. `ids` and `weights` are
    [layers][tokens][k], null where nothing was selected.
    """

    prompt_id: str
    layers: list[int]
    experts: int
    parts: list[Literal["template", "prompt", "boundary", "response"]]
    special: list[bool]
    ids: list[list[list[int | None]]]
    weights: list[list[list[float | None]]]
    tokens: list[str | None] | None


class NewLabel(Body):
    """What a person calls one answer of a run; a null label takes it back."""

    run_id: str
    position: int = Field(ge=0, description="`position` of the item in the run's review queue.")
    label: Literal["refusal", "partial", "compliance", "degenerate"] | None
    sampled: bool = Field(default=False, description="The answer was met in the run's random sample.")
