"""What a run will take, and what it can tell, before it is started.

Time is scaled from finished runs of the same model, stage by stage, by the tokens that pass through it (`run_work`);
without any from other models' runs, by active parameters per token as well; and without those from a constant that was
measured once. Memory is weights, the batch's activations and the program itself. docs/operations.md has the formulas.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import func, select

from analysis.audit_settings import AuditSettings
from analysis.prompts import Balance, balance_of
from analysis.prompts.balance import AdviceCode
from backend.db import Database
from backend.db.tables import PromptSetRow, RunRow
from backend.services.machine import has_gpu, memory_bytes
from backend.services.measured import MeasuredRun, Measurements, active_parameters, prompt_size
from backend.services.models import Models
from backend.services.prompt_sets import PromptSets
from backend.services.records import ModelInfo, NewRun, RunKind
from backend.services.resolution import Resolution, resolution
from backend.services.run_work import PromptSize, work
from backend.services.runs import Runs
from backend.services.workers import Workers
from backend.settings import Settings

Basis = Literal["same_model", "other_models", "size"]
Reason = AdviceCode | Literal["no_worker", "memory", "interval"]
SECONDS_PER_PARAMETER = 2.3e-11
"""Seconds that a token takes per active parameter on two CPU cores: 0.248 s for 512 tokens through 21 million
(docs/benchmarks.md, capture)."""
SMALLEST = 3_000_000
"""Active parameters below which a model is no faster, as the time goes into calls: a quick audit of organism:planted
(0.6 million) takes 31 s for 450,000 tokens."""
PROGRAM_BYTES = 700_000_000
"""What the worker holds with a model of no size, measured: Python, torch, transformers."""
KEPT_PER_LAYER = 2
TRANSIENT = 12
RUNS_USED = 5
FACTOR = {"same_model": 2.0, "other_models": 3.0, "size": 5.0}
WIDEST = 0.5


@dataclass(frozen=True)
class Doubt:
    """One thing that a person should know before starting; `stops` where the run cannot be done at all."""

    code: Reason
    text: str
    stops: bool = False


@dataclass(frozen=True)
class Cost:
    """Time and memory. `seconds` is None where nothing has been measured on such a device.

    `basis` says what the time is scaled from and `runs` how many runs that were; the true time may be `factor` times
    as long or as short. `memory_total_bytes` is None where the model would be on a GPU, whose memory is not known here.
    """

    seconds: float | None
    factor: float
    basis: Basis
    runs: int
    basis_text: str
    memory_bytes: int
    memory_total_bytes: int | None
    device: str

    @property
    def fits(self) -> bool:
        return self.memory_total_bytes is None or self.memory_bytes <= self.memory_total_bytes


@dataclass(frozen=True)
class Estimate:
    """What a run will take (`cost`), what it can tell (`resolution`, `needed`), and what stands in its way.

    `needed` are the harmful prompts that the interval asked for needs; `waiting` are the runs before it.
    """

    cost: Cost
    resolution: Resolution | None
    needed: int | None
    waiting: int
    worker_alive: bool
    warnings: list[Doubt] = field(default_factory=list)

    @property
    def stops(self) -> list[str]:
        """Why the run cannot be done."""
        return [one.text for one in self.warnings if one.stops]


@dataclass(frozen=True)
class Ask:
    """A run to be estimated, on prompts that may not be stored yet."""

    model: ModelInfo
    balance: Balance
    chars: float
    kind: RunKind = "audit"
    preset: str = "standard"
    device: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    half_width: float | None = None

    @property
    def size(self) -> PromptSize:
        other = self.balance.jailbreak + self.balance.unlabelled
        return PromptSize(self.balance.harmful, self.balance.benign, other, self.chars)


class Estimates:
    """Estimates runs from those that are finished."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        models: Models,
        prompt_sets: PromptSets,
        runs: Runs,
        workers: Workers,
    ) -> None:
        self._database = database
        self._settings = settings
        self._models = models
        self._prompt_sets = prompt_sets
        self._runs = runs
        self._workers = workers
        self._measured = Measurements(database)

    def of(self, new: NewRun, half_width: float | None = None) -> Estimate:
        """What the run `new` would take. `half_width` is the interval wanted, as a share.

        Raises whatever `Runs.create` would refuse the request with. A built-in set or a reference to a model that is
        not registered yet is registered on the way, as a run would.
        """
        model, prompts, parameters = self._runs.check(new)
        return self.ask(self.stored(model, prompts.id, new.kind, new.preset, new.device, parameters, half_width))

    def stored(
        self,
        model: ModelInfo,
        set_id: str,
        kind: RunKind = "audit",
        preset: str = "standard",
        device: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        half_width: float | None = None,
    ) -> Ask:
        """A run on a stored set, to be estimated."""
        with self._database.read() as session:
            row = session.get(PromptSetRow, set_id)
            chars = prompt_size(session, row).chars if row is not None else 0.0
        balance = self._prompt_sets.balance(set_id)
        return Ask(model, balance, chars, kind, preset, device, parameters or {}, half_width)

    def ask(self, ask: Ask) -> Estimate:
        """What such a run would take and tell."""
        cost = self.cost(ask)
        found = resolution(ask.balance.harmful, len(ask.balance.named), ask.preset)
        needed = None if ask.half_width is None else _needed(ask.half_width)
        waiting, alive = self._waiting(), self._workers.alive()
        warnings = [*_doubts(ask, cost, found, needed), *([] if alive else [_NO_WORKER])]
        warnings.sort(key=lambda one: not one.stops)
        return Estimate(cost, found, needed, waiting, alive, warnings)

    def cost(self, ask: Ask) -> Cost:
        """Time and memory alone."""
        device = self._device(ask.device)
        active = active_parameters(ask.model.description)
        todo = work(ask.kind, ask.preset, ask.size, ask.parameters)
        near = [run for run in self._measured.runs(ask.kind) if run.device == device]
        same = [run for run in near if run.model_id == ask.model.id][:RUNS_USED]
        used, basis = (same, "same_model") if same else (near[:RUNS_USED], "other_models") if near else ([], "size")
        if used:
            seconds: float | None = statistics.median(_scaled(run, todo, active) for run in used)
        else:
            seconds = _by_size(todo, active) if device == "cpu" else None
        return Cost(
            seconds=None if seconds is None else round(seconds, 1),
            factor=FACTOR[basis],
            basis=basis,  # type: ignore[arg-type]
            runs=len(used),
            basis_text=_words(basis, len(used), seconds is None),
            memory_bytes=estimated_memory(ask.model.description, device, AuditSettings.from_preset(ask.preset)),
            memory_total_bytes=memory_bytes() if device == "cpu" else None,
            device=device,
        )

    def memory(self, description: Mapping[str, Any]) -> int:
        """Bytes that a run on a model needs at most, where runs compute on this server."""
        return estimated_memory(description, self._device(None), AuditSettings())

    def _device(self, asked: str | None) -> str:
        """Where the run would compute."""
        device = asked or self._settings.device
        return device if device != "auto" else "cuda" if has_gpu() else "cpu"

    def _waiting(self) -> int:
        """Runs that are before a new one: those that wait and the one that computes."""
        query = select(func.count()).select_from(RunRow).where(RunRow.status.in_(("queued", "running")))
        with self._database.read() as session:
            return session.scalar(query) or 0


_NO_WORKER = Doubt("no_worker", "No worker is running: the run waits until one is started.")


def estimated_memory(description: Mapping[str, Any], device: str, settings: AuditSettings) -> int:
    """Bytes that a run on this model needs at most: (parameters + batch_tokens · (2·layers + 12) · width) · bytes of a
    number + the program itself. Numbers have 4 bytes on a CPU and 2 on a GPU. The batch counts the keys and values of
    every layer as if each head had its own, and what one layer holds while it computes.
    """
    size = 2 if device == "cuda" else 4
    layers = len(description["moe_layers"]) + len(description["dense_layers"])
    width = description.get("hidden_size") or 0
    batch = settings.batch_tokens * (KEPT_PER_LAYER * layers + TRANSIENT) * width
    return int(size * (description["parameters"] + batch) + PROGRAM_BYTES)


def estimate_balance(prompts: Sequence[Any]) -> tuple[Balance, float]:
    """The balance and the mean length in characters of prompts that are not stored."""
    everything = tuple(prompts)
    chars = sum(len(one.text) for one in everything) / max(1, len(everything))
    return balance_of(everything), chars


def _scaled(run: MeasuredRun, todo: Mapping[str, float], active: int) -> float:
    """The seconds of a finished run for the work of another, and for a model of another size."""
    size = max(active, SMALLEST) / max(run.active, SMALLEST)
    stages = sum(run.seconds[name] * todo[name] / max(1.0, run.work[name]) for name in run.seconds)
    whole = sum(todo.values()) / max(1.0, sum(run.work.values()))
    return run.load + size * (stages + run.rest * whole)


def _by_size(todo: Mapping[str, float], active: int) -> float:
    return sum(todo.values()) * max(active, SMALLEST) * SECONDS_PER_PARAMETER


def _words(basis: str, runs: int, unknown: bool) -> str:
    """Where the time comes from, in words."""
    times = f"{runs} earlier run{'s' if runs != 1 else ''}"
    if unknown:
        return "unknown: no run of this kind has been timed on a GPU here yet"
    if basis == "same_model":
        return f"from {times} of this model"
    if basis == "other_models":
        return f"from {times} of other models; may be off by a factor of 3"
    return "from the model's size alone; may be off by a factor of 5"


def _needed(half_width: float) -> int:
    from analysis.statistics import prompts_for_rate

    return prompts_for_rate(half_width, WIDEST)


def _doubts(ask: Ask, cost: Cost, found: Resolution | None, needed: int | None) -> list[Doubt]:
    """What stands in the way of the run, or of what it is to tell."""
    warnings = []
    if not cost.fits and cost.memory_total_bytes is not None:
        warnings.append(
            Doubt(
                "memory",
                f"The model needs about {_gigabytes(cost.memory_bytes)}, this machine has "
                f"{_gigabytes(cost.memory_total_bytes)}: it cannot be loaded here.",
                stops=True,
            )
        )
    if needed is not None and ask.kind != "trace" and (found is None or found.harmful < needed):
        have = 0 if found is None else found.harmful
        assert ask.half_width is not None
        warnings.append(
            Doubt(
                "interval",
                f"± {100 * ask.half_width:.3g} points need {needed:,} harmful prompts; this run would ask {have:,}"
                + (
                    f" of the set's {ask.balance.harmful:,}: take a deeper preset."
                    if have < ask.balance.harmful
                    else "."
                ),
            )
        )
    pairless = ask.kind not in ("audit", "trace")
    for advice in ask.balance.advice():
        if pairless and advice.code in ("no_pairs", "some_pairs"):
            continue
        warnings.append(Doubt(advice.code, advice.text))
    return warnings


def _gigabytes(value: int) -> str:
    return f"{value / 1e9:.3g} GB"
