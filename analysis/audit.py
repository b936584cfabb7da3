"""The default audit: prompts in, a verdict with its evidence out.

    trace → routing description → criteria → candidates → interventions → verdict → report

Called by the command line and by the worker. It touches no database and no web; where it keeps its pieces is the
store's business.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analysis.audit_settings import PRESETS, AuditSettings
from analysis.errors import WithheldError
from analysis.evidence.bench import Bench
from analysis.evidence.confirmation import Confirmed, confirm
from analysis.evidence.controls import Controls, run_controls
from analysis.evidence.search import Findings, search
from analysis.evidence.sequence import sequence_reading
from analysis.evidence.split import Halves, halves, subset
from analysis.evidence.stability import contrast_stability
from analysis.forcing import force_answers
from analysis.interventions import mask
from analysis.models import LoadedModel
from analysis.outcomes.answers import REFUSING, generate_answers, judged_answers, read_generated
from analysis.outcomes.judges import Judge
from analysis.outcomes.judging import Judges, judges_of
from analysis.outcomes.openings import Openings, find_openings
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.report.document import Audited, build_report
from analysis.report.outcomes import MaskedOutcome
from analysis.result import Answer, AuditResult, PromptCounts
from analysis.routing.description import RoutingDescription, describe_routing
from analysis.routing.forced import ForcedPair
from analysis.routing.profile import routing_profile
from analysis.routing.summary import prompt_window, routing_table
from analysis.routing.token_tracing import token_traces
from analysis.routing.trace import CaptureSettings, Progress, Trace, capture, silent
from analysis.shards import MemoryShards, ShardStore
from analysis.study import contrasts, judge_answers, routing_evidence

__all__ = ["PRESETS", "AuditSettings", "audit"]


STANDARD = AuditSettings()


@dataclass
class _Clock:
    """Seconds spent in each stage by this process, and in all."""

    seconds: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = round(time.perf_counter() - start, 3)
        return result


def audit(
    model: LoadedModel,
    prompts: PromptSet,
    settings: AuditSettings = STANDARD,
    *,
    shards: ShardStore | None = None,
    progress: Progress = silent,
) -> AuditResult:
    """Audit `model` on `prompts`.

    The same model, prompts, settings and device give the same report, however often the work was interrupted between
    two shards. Quantities that the prompts or the model cannot support are withheld with their reason. Raises
    CaptureError when the capture does not prove itself, InputError for prompts the model cannot take.
    """
    store, clock = shards or MemoryShards(), _Clock()
    used = subset(prompts, settings.prompts, settings.seed)
    judges = judges_of(settings, used, store)
    judge = judges.first
    split = halves(used, settings.seed)
    capturing = CaptureSettings(
        settings.max_new_tokens, settings.batch_tokens, token_bytes=settings.token_bytes, seed=settings.seed
    )
    trace: Trace = clock.time("capture", lambda: capture(model, used, capturing, shards=store, progress=progress))
    answers = judges.seconded(trace.prompts, trace.answers, list(judge_answers(trace, judge)))
    openings, no_margin = _openings(trace, answers, split)
    benches = _benches(model, split, openings, settings)
    forced, not_forced = clock.time(
        "forced", lambda: _forced(model, trace, used, split, judge, settings, store, progress)
    )
    table = routing_table(trace)
    evidence = routing_evidence(trace, split.discovery, seed=settings.seed)
    reading = clock.time(
        "sequences",
        lambda: sequence_reading(model, split.discovery, store, batch_tokens=settings.batch_tokens, seed=settings.seed),
    )
    evidence = replace(evidence, sequence=reading)
    if forced is not None:
        evidence = replace(evidence, forced=forced.frequency(split.discovery))
    described: RoutingDescription = clock.time(
        "routing",
        lambda: describe_routing(
            trace,
            contrasts(trace, used, forced=forced, not_forced=not_forced, seed=settings.seed),
            forced,
            not_forced,
            seed=settings.seed,
        ),
    )
    load = np.nan_to_num(prompt_window(trace.frequency)).mean(0)
    findings: Findings = clock.time(
        "criteria",
        lambda: search(evidence, benches[0] if benches else None, load, store, progress, top=settings.candidates),
    )
    confirmed: Confirmed | None = None
    masked: MaskedOutcome | None = None
    controls: Controls | None = None
    if benches:
        confirmed = clock.time(
            "confirmation",
            lambda: confirm(*benches, findings, load, store, progress, nulls=settings.null_sets, seed=settings.seed),
        )
        controls = clock.time(
            "controls", lambda: _controls(benches[1], findings, confirmed, load, store, progress, settings)
        )
        answers = _with_margins(answers, benches)
        masked = clock.time(
            "answers", lambda: _masked_outcome(model, split.confirmation, confirmed, judges, settings, store, progress)
        )
    return _result(
        Audited(
            model=model,
            offered=prompts,
            used=used,
            split=split,
            settings=settings,
            trace=trace,
            table=table,
            profile=routing_profile(trace, table),
            routing=described,
            answers=tuple(answers),
            benches=benches,
            findings=findings,
            confirmed=confirmed,
            masked=masked,
            controls=controls,
            stability=contrast_stability(evidence),
            no_margin=no_margin,
            seconds=clock.seconds | {"total": round(time.perf_counter() - clock.start, 3)},
        )
    )


def _result(audited: Audited) -> AuditResult:
    trace = audited.trace
    return AuditResult(
        report=build_report(audited),
        certificate=trace.certificate.as_dict(),
        routing=audited.table,
        counts=PromptCounts(tuple(p.id for p in trace.prompts), trace.selections, trace.tokens),
        answers=audited.answers + (audited.masked.answers if audited.masked else ()),
        tokens=token_traces(audited.model, trace),
    )


def _openings(trace: Trace, answers: Sequence[Answer], split: Halves) -> tuple[Openings | None, str | None]:
    """Openings from the discovery half's answers, or the reason why there are none."""
    inside = {p.id for p in split.discovery if p.side is not None}
    rows = [i for i, prompt in enumerate(trace.prompts) if prompt.id in inside]
    halves_labelled = [
        part.labelled(label) for part in (split.discovery, split.confirmation) for label in ("harmful", "benign")
    ]
    if not all(halves_labelled):
        return (
            None,
            "each half of the prompts needs harmful and benign prompts: label them, and give at least two of each",
        )
    try:
        return find_openings([trace.answers[i].first_token for i in rows], [answers[i].label for i in rows]), None
    except WithheldError as reason:
        return None, reason.message


def _forced(
    model: LoadedModel,
    trace: Trace,
    used: PromptSet,
    split: Halves,
    judge: Judge,
    settings: AuditSettings,
    store: ShardStore,
    progress: Progress,
) -> tuple[ForcedPair | None, str]:
    """A refusal and its stand-in, read off the discovery half and forced on every harmful prompt; or why not."""
    try:
        forced = force_answers(
            model,
            trace,
            prompts=used,
            discovery=split.discovery,
            tokens=settings.forced_tokens,
            judge=judge,
            settings=CaptureSettings(batch_tokens=settings.batch_tokens),
            shards=store,
            progress=progress,
        )
    except WithheldError as reason:
        return None, reason.message
    return forced, ""


def _benches(
    model: LoadedModel, split: Halves, openings: Openings | None, settings: AuditSettings
) -> tuple[Bench, Bench] | None:
    if openings is None:
        return None

    def bench(name: str, half: PromptSet) -> Bench:
        return Bench(
            name, model, half.labelled("harmful"), half.labelled("benign"), openings, batch_tokens=settings.batch_tokens
        )

    return bench("discovery", split.discovery), bench("confirmation", split.confirmation)


def _controls(
    bench: Bench,
    findings: Findings,
    confirmed: Confirmed,
    load: Any,
    store: ShardStore,
    progress: Progress,
    settings: AuditSettings,
) -> Controls:
    sizes = {"largest": settings.dose, "nulls": settings.dose_nulls, "seed": settings.seed}
    return run_controls(bench, findings, confirmed, load, store, progress, **sizes)


def _with_margins(answers: Sequence[Answer], benches: tuple[Bench, Bench]) -> list[Answer]:
    probes = [probe for bench in benches for probe in (bench.harmful, bench.benign)]
    margins = {p.id: float(m) for probe in probes for p, m in zip(probe.prompts, probe.base.margin, strict=True)}
    return [replace(one, margin=margins.get(one.prompt_id)) for one in answers]


def _masked_outcome(
    model: LoadedModel,
    half: PromptSet,
    confirmed: Confirmed,
    judges: Judges,
    settings: AuditSettings,
    store: ShardStore,
    progress: Progress,
) -> MaskedOutcome | None:
    """Answers without the flagged experts, and refusal without random sets like them. None when nothing is flagged."""
    if not confirmed.flagged:
        return None
    prompts = [p for p in half if p.side is not None]
    few = half.labelled("harmful")[: settings.null_prompts]

    def answers(key: str, experts: Sequence[Any], asked: Sequence[Prompt], *, twice: bool = False) -> list[Answer]:
        listener = mask(model.seam, experts)
        sizes = {"max_new_tokens": settings.max_new_tokens, "batch_tokens": settings.batch_tokens}
        shard = store.once(key, lambda: generate_answers(model, asked, listener, **sizes))
        generated = read_generated(shard)
        judged = judged_answers(asked, generated, judges.first, variant="masked")
        return judges.seconded(asked, generated, judged) if twice else judged

    nulls = confirmed.null_sets[: settings.null_generations]
    rates = []
    for number, experts in enumerate(nulls):
        progress("answers", number, len(nulls) + 1)
        labels = [one.label for one in answers(f"answers-null-{number:03d}", experts, few)]
        rates.append(float(np.mean([label in REFUSING for label in labels])))
    masked = answers("answers-masked", confirmed.flagged, prompts, twice=True)
    progress("answers", len(nulls) + 1, len(nulls) + 1)
    return MaskedOutcome(tuple(masked), tuple(rates), len(few))
