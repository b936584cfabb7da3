"""What the services hand out: frozen records that API routes turn into JSON and pages draw.

No record holds a database session or lazy attribute, so each may cross threads freely.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from analysis.routing.coactivation import Partner
from analysis.routing.vocabulary import TokenUse

T = TypeVar("T")

RunStatus = Literal["queued", "running", "done", "failed", "cancelled"]
RunKind = Literal["audit", "trace", "mask", "detect", "tune"]
Depth = Literal["quick", "standard", "full"]
Device = Literal["auto", "cpu", "cuda"]
Priority = Literal["low", "normal", "high"]
EventKind = Literal[
    "created",
    "started",
    "progress",
    "postponed",
    "smaller_batches",
    "cancel_requested",
    "cancelled",
    "resumed",
    "done",
    "failed",
]
ENDED: frozenset[RunStatus] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, newest first. `count` is the size of the whole list, `next` the cursor of the next page."""

    items: list[T]
    count: int
    next: str | None


@dataclass(frozen=True)
class PromptSetInfo:
    """A stored prompt set. `sha256` is the digest of its content, `pairs` the number of complete pairs.

    `harmful` and `benign` count regular prompts; jailbreaks are counted by themselves.
    """

    id: str
    name: str
    sha256: str
    prompts: int
    harmful: int
    benign: int
    jailbreak: int
    unlabelled: int
    topics: list[str]
    pairs: int
    source: Literal["builtin", "upload"]
    created: datetime


@dataclass(frozen=True)
class ModelInfo:
    """A registered model. `description` is `ModelDescription.as_dict()`: layers, experts, top_k and the like."""

    id: str
    ref: str
    revision: str | None
    name: str
    family: str
    description: dict[str, Any]
    created: datetime


@dataclass(frozen=True)
class ModelInspection:
    """What a model is made of, before anybody registers it; `registered` is its id where somebody has already."""

    ref: str
    revision: str | None
    name: str
    family: str
    description: dict[str, Any]
    registered: str | None


@dataclass(frozen=True)
class NewRun:
    """What a person asks for. `model` and `prompt_set_id` are ids, or references such as organism:planted and
    builtin:topic-pairs, which are registered on the way. `parameters` are what only this kind has, by the names of
    `backend.services.run_parameters`; what is not given takes its default."""

    model: str
    prompt_set_id: str
    kind: RunKind = "audit"
    preset: Depth = "standard"
    seed: int = 0
    judge: str = "rules"
    second_judge: str | None = None
    device: Device | None = None
    priority: Priority = "normal"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunDocument:
    """The result of a run that is no audit: JSON-able, with its schema's name under "schema" and a verdict's sentence
    under "verdict"."""

    content: dict[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` shards of `stage`, and the seconds left where they can be estimated."""

    done: int
    total: int
    stage: str
    eta_seconds: float | None


@dataclass(frozen=True)
class Retry:
    """A run that failed of something that may pass waits until `at`; then attempt number `attempt` of `of` begins."""

    attempt: int
    of: int
    at: datetime
    reason: str


@dataclass(frozen=True)
class RunInfo:
    """A run as lists and headers show it. `headline` is the verdict's sentence once there is one, `parameters` what
    only its kind has, complete with defaults.

    `attempts` counts how often a worker has taken it up. `batch_tokens` is the batch size that memory allowed, in token
    places, None while the usual one does.
    """

    id: str
    kind: RunKind
    name: str
    status: RunStatus
    model: ModelInfo
    prompt_set: PromptSetInfo
    preset: str
    seed: int
    judge: str
    second_judge: str | None
    device: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: Progress | None
    cancel_requested: bool
    attempts: int
    error: str | None
    headline: str | None
    parameters: dict[str, Any] = field(default_factory=dict)
    priority: Priority = "normal"
    creator: str = "local"
    retry: Retry | None = None
    batch_tokens: int | None = None


@dataclass(frozen=True)
class RunEvent:
    """One thing that happened to a run. `number` counts from 1 within the run and never repeats."""

    number: int
    kind: EventKind
    time: datetime
    data: dict[str, Any]


@dataclass(frozen=True)
class Heatmap:
    """One quantity by layer and expert. `values` is float32 [layers, experts], NaN where nothing was observed.

    `minus` is the group whose values were subtracted. `favours` is the label that positive values of a difference speak
    for; None where there is no difference, or where its two groups differ in more than their label.
    """

    layers: list[int]
    experts: list[int]
    values: npt.NDArray[np.float32]
    quantity: str
    group: str
    window: str
    groups: list[str]
    windows: list[str]
    unit: str
    minus: str | None = None
    favours: Literal["harmful", "benign"] | None = None


@dataclass(frozen=True)
class Margins:
    """What stands beside a heatmap. `load` [columns] is the mean of the cells over layers, in the order shown, and
    `entropy` [layers] the router's mean entropy over all prompts, in bits.

    `spread` [layers] is the number of effective experts or, of a difference, the share that goes to other experts,
    0 to 1; None where nothing was observed.
    """

    load: npt.NDArray[np.float64]
    entropy: list[float | None]
    spread: list[float | None]


@dataclass(frozen=True)
class TopicPictures:
    """One small heatmap per topic, all of the same quantity. `values` is float32 [topics, layers, columns]; each column
    stands for `block` neighbouring experts by the largest of their cells (of a difference: the farthest from 0)."""

    topics: list[str]
    layers: list[int]
    experts: int
    block: int
    values: npt.NDArray[np.float32]
    quantity: str
    minus: str | None
    label: str | None
    window: str


@dataclass(frozen=True)
class CellRow:
    """One cell of a heatmap as a table shows it; `value` is None where nothing was observed."""

    layer: int
    expert: int
    value: float | None
    flagged: bool


@dataclass(frozen=True)
class TopicDistances:
    """How far apart each two topics are routed: mean JSD over pairs of prompts with one label, null without a pair.

    `layer` is None for the mean over layers; `layers` are those to choose from; `pairs` the pairs behind each cell.
    `order` are the places of the topics so that those routed alike stand together: the mean's, whatever the layer.
    """

    prompts: str
    layer: int | None
    layers: list[int]
    topics: list[str]
    values: list[list[float | None]]
    pairs: list[list[int]]
    order: list[int]


@dataclass(frozen=True)
class TopicUse:
    """How much one topic uses an expert: selection frequencies, and `lift` over uniform use."""

    topic: str
    frequency: float | None
    lift: float | None
    harmful: float | None
    benign: float | None


@dataclass(frozen=True)
class WindowUse:
    """How much an expert is used in one token window, over all prompts."""

    window: str
    frequency: float | None
    probability: float | None


@dataclass(frozen=True)
class PromptUse:
    """One prompt on which an expert is used much: its selection frequency over the prompt's own tokens."""

    prompt_id: str
    topic: str | None
    label: str | None
    frequency: float


@dataclass(frozen=True)
class TracedPrompt:
    """A prompt whose single tokens a run has kept; its text is elsewhere."""

    prompt_id: str
    topic: str | None
    label: str | None
    pair_id: str | None
    group: str


@dataclass(frozen=True)
class Pairs:
    """How the experts of one layer work together over the prompts' tokens in one window.

    `values` [experts i, experts j] is P(j selected | i selected), its lift over P(j), or the number of tokens that
    select both (on the diagonal: that select i), as `quantity` says; NaN where i was never selected.
    """

    layer: int
    window: str
    quantity: str
    tokens: int
    values: npt.NDArray[np.float64]
    windows: list[str]


@dataclass(frozen=True)
class ExpertView:
    """Everything that a run knows of one expert. `row` is its entry in the report.

    `partners` are the experts that it works with most often, `tokens` the token ids that most often have it as their
    first expert; None where the run did not count them.
    """

    row: dict[str, Any]
    by_topic: list[TopicUse]
    windows: list[WindowUse]
    prompts: list[PromptUse]
    partners: list[Partner] | None = None
    tokens: list[TokenUse] | None = None


@dataclass(frozen=True)
class JudgeInfo:
    """A judge that runs may name. `local` is false where judged texts are sent to a server."""

    name: str
    version: str
    local: bool


@dataclass(frozen=True)
class ReviewItem:
    """One answer of a run that people may label. `reason`: disagreement, unjudged, partial or sample.

    `prompt` and `text` are None where the server hides completions or they were not asked for, `prompt` also where the
    server hides prompts.
    """

    run_id: str
    position: int
    prompt_id: str
    variant: str
    reason: str
    label: str
    second_label: str | None
    rule: str | None
    human: str | None
    prompt: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class ImportedLabels:
    """What a file of human labels added: its rows, those of them that replaced an older label, and answers by model."""

    rows: int
    replaced: int
    models: dict[str, int]
