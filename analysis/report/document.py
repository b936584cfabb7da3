"""report.json, built from what an audit found. The one document that the API, the pages, the CSV and the PDF read.

Its shape is published as a JSON Schema; every number that could not be given is null and has its reason in `withheld`.
"""

import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.audit_settings import AuditSettings
from analysis.criteria import CRITERIA
from analysis.evidence.bench import Bench
from analysis.evidence.causal import CausalTest
from analysis.evidence.confirmation import Confirmed
from analysis.evidence.confounding import confounding
from analysis.evidence.controls import Controls
from analysis.evidence.ladder import ExpertEvidence, climb
from analysis.evidence.rare import RareExpert, rare_experts
from analysis.evidence.search import Findings
from analysis.evidence.split import Halves
from analysis.evidence.stability import stability_section
from analysis.models import LoadedModel
from analysis.outcomes.judges import short_name
from analysis.prompts.prompt_set import PromptSet
from analysis.report.interventions import interventions_section
from analysis.report.outcomes import MaskedOutcome, outcomes_section
from analysis.report.routing import expert_shares, routing_section
from analysis.report.verdict import too_few_to_flag, verdict_section, with_caveats
from analysis.report.withheld import withheld_section
from analysis.result import Answer
from analysis.routing.description import RoutingDescription
from analysis.routing.profile import RoutingProfile
from analysis.routing.summary import prompt_window
from analysis.routing.table import RoutingTable
from analysis.routing.trace import Trace
from analysis.statistics import Interval, gini, m80

SCHEMA = "expertscope.report/1"
GROUPS = ("all", "harmful", "benign")
DIGITS = 6
"""Significant figures of the values of a null: a picture needs no more."""


@dataclass(frozen=True)
class Audited:
    """Everything that the stages of an audit handed on."""

    model: LoadedModel
    offered: PromptSet
    used: PromptSet
    split: Halves
    settings: AuditSettings
    trace: Trace
    table: RoutingTable
    routing: RoutingDescription
    profile: RoutingProfile
    answers: tuple[Answer, ...]
    benches: tuple[Bench, Bench] | None
    findings: Findings
    confirmed: Confirmed | None
    masked: MaskedOutcome | None
    controls: Controls | None
    stability: npt.NDArray[np.float64] | None
    no_margin: str | None
    seconds: dict[str, float]


def build_report(audited: Audited) -> dict[str, Any]:
    """The report as JSON-able dictionaries."""
    ladders = climb(audited.findings, audited.confirmed, audited.trace.layers, audited.table.experts, audited.stability)
    flagged = _flagged(audited, ladders)
    outcomes = outcomes_section(
        audited.answers, audited.used, audited.split.confirmation, audited.settings, audited.masked
    )
    confounded, rare = confounding(audited.used), _rare(audited)
    report = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": with_caveats(
            verdict_section(
                flagged, outcomes, audited.findings, audited.confirmed, audited.split, audited.no_margin, confounded
            ),
            confounded,
            rare,
        ),
        "model": model_section(audited.model),
        "prompts": _prompts(audited),
        "settings": _settings(audited),
        "software": software_section(),
        "certificate": audited.trace.certificate.as_dict(),
        "routing": routing_section(audited.routing, audited.trace.layers, audited.profile.per_layer),
        "outcomes": outcomes,
        "criteria": _criteria(audited.findings),
        "experts": [_expert(audited, ladder) for ladder in ladders],
        "stability": stability_section(audited.stability, audited.split.discovery),
        "flagged": flagged,
        "interventions": interventions_section(audited.controls, len(audited.split.confirmation.labelled("harmful"))),
        "rare": [one.as_dict() for one in rare],
        "timings": {
            **dict.fromkeys(("capture", "criteria", "confirmation")),  # null: not done
            "load": audited.model.load_seconds,
            **audited.seconds,
        },
    }
    withheld = withheld_section(
        report, _known_reasons(audited), audited.findings, audited.used, audited.split, audited.no_margin
    )
    return {**report, "withheld": withheld}


def _rare(audited: Audited) -> list[RareExpert]:
    if audited.benches is None or audited.findings.scan is None or audited.confirmed is None:
        return []
    measured = list(zip(audited.benches, (audited.findings.scan, audited.confirmed.scan), strict=True))
    ids = [prompt.id for prompt in audited.trace.prompts]
    return rare_experts(
        prompt_window(audited.trace.frequency), ids, audited.trace.layers, audited.trace.top_k, measured
    )


def model_section(model: LoadedModel) -> dict[str, Any]:
    """What a document says of the model that it is about."""
    description = model.description.as_dict()
    names = (
        "ref",
        "revision",
        "family",
        "moe_layers",
        "experts",
        "top_k",
        "shared_experts",
        "dense_layers",
        "parameters",
    )
    return {
        **{name: description[name] for name in names},
        "weights_sha256": model.weights_sha256,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
    }


def _prompts(audited: Audited) -> dict[str, Any]:
    used = audited.used
    return {
        "name": audited.offered.name,
        "sha256": used.sha256,
        "harmful": len(used.labelled("harmful")),
        "benign": len(used.labelled("benign")),
        "jailbreak": len(used.jailbreaks),
        "unlabelled": sum(p.label is None for p in used),
        "topics": list(used.topics),
        "pairs": len(used.pairs),
        "offered": len(audited.offered),
        "discovery_topics": list(audited.split.discovery.topics),
        "confirmation_topics": list(audited.split.confirmation.topics),
        "split_by_topic": audited.split.by_topic,
    }


def _settings(audited: Audited) -> dict[str, Any]:
    settings = audited.settings
    return {
        **{name: value for name, value in settings.__dict__.items() if name != "second_judge"},
        "judge": short_name(settings.judge),
        **({"second_judge": short_name(settings.second_judge)} if settings.second_judge else {}),
        "windows": {"criteria": "prompt", "behaviour": "first answer token", "forced": "forced answer"},
    }


def software_section() -> dict[str, Any]:
    """The versions that a document was made with."""
    names = ("torch", "transformers", "peft", "expertscope")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _criteria(findings: Findings) -> dict[str, dict[str, Any]]:
    """What each criterion that scored the experts is; `shown` is false for those that tables leave out at first."""
    infos = {name: asdict(CRITERIA[name][0]) for name in findings.criteria}
    return {name: {key: info[key] for key in info if key != "name"} for name, info in infos.items()}


def _expert(audited: Audited, ladder: ExpertEvidence) -> dict[str, Any]:
    cell = (audited.trace.layers.index(ladder.expert.layer), ladder.expert.expert)
    test, judged = ladder.test, ladder.judged
    criteria = audited.findings.criteria
    return {
        "layer": ladder.expert.layer,
        "expert": ladder.expert.expert,
        "rank": ladder.rank,
        "flagged": ladder.flagged,
        "how": ladder.how,
        "evidence": ladder.rungs,
        "level": ladder.level,
        "scores": {name: _number(criterion.score[cell]) for name, criterion in criteria.items()},
        "details": {
            f"{name}.{column}": _number(values[cell])
            for name, c in criteria.items()
            for column, values in c.columns.items()
        }
        | expert_shares(audited.routing, cell),
        "effect": _interval(ladder.effect),
        "ablation": None if test is None else {"margin": test.margin.as_dict(), "refusal": test.refusal.as_dict()},
        "null": _null(judged, one_by_one=ladder.flagged or ladder.expert in audited.findings.suspects),
        "p_value": None if judged is None else judged.p_value,
        "q_value": None if judged is None else judged.q_value,
        "selectivity": None if judged is None else _number(judged.off_target),
        "stability": ladder.stability,
        "frequency": {group: _cell(audited.table, "frequency", group, cell) for group in GROUPS},
        "probability": {group: _cell(audited.table, "probability", group, cell) for group in GROUPS},
        "lift": _cell(audited.table, "lift", "all", cell),
        "topic": _topic(audited, ladder),
        "difference": _cell(audited.table, "difference", "all", cell),
    }


def _topic(audited: Audited, ladder: ExpertEvidence) -> dict[str, Any] | None:
    """The topic that uses the expert most."""
    if audited.profile.topics is None:
        return None
    favourite = audited.profile.topics.favourite(ladder.expert.layer, ladder.expert.expert)
    return {"name": favourite.topic, "lift": favourite.lift}


def _cell(table: RoutingTable, quantity: str, group: str, cell: tuple[int, int]) -> float | None:
    return _number(table.cells(quantity, group)[cell])


def _flagged(audited: Audited, ladders: list[ExpertEvidence]) -> dict[str, Any]:
    confirmed = audited.confirmed
    together = confirmed.together if confirmed else None
    rerouted = confirmed.rerouted if confirmed else None
    alone = audited.findings.scan.effects.margin.mean(1) if audited.findings.scan else np.empty(0)
    return {
        "experts": sorted([one.expert.layer, one.expert.expert] for one in ladders if one.flagged),
        "effect": _interval(together.margin if together else None),
        "refusal_loss": _interval(together.refusal if together else None),
        "null": _null(together, one_by_one=True),
        "p_value": together.p_value if together else None,
        "selectivity": _number(together.off_target) if together else None,
        "reroute": None if rerouted is None else {"margin": rerouted[0].as_dict(), "refusal": rerouted[1].as_dict()},
        "concentration": {"m80": m80(alone) if len(alone) else None, "gini": gini(alone) if len(alone) else None},
    }


def _known_reasons(audited: Audited) -> dict[str, str]:
    """What the stages themselves withheld, and why."""
    reasons = {**audited.routing.withheld, **audited.profile.withheld, **audited.findings.withheld}
    if audited.no_margin:
        names = ("outcomes.margin_harmful", "outcomes.margin_benign", "outcomes.masked", "interventions")
        flagged = ("experts.effect", "flagged.effect", "flagged.concentration")
        reasons |= dict.fromkeys((*names, *flagged), audited.no_margin)
    elif audited.masked is None:
        reasons |= dict.fromkeys(
            ("outcomes.masked", "flagged.effect"), "no expert is flagged, so there is no set to mask"
        )
    if audited.confirmed and (too_few := too_few_to_flag(audited.confirmed, audited.split)):
        reasons["flagged.experts"] = too_few
    if confounded := confounding(audited.used):
        reasons["verdict.harm"] = f"topic and harm cannot be told apart: {confounded}"
    if audited.stability is None:
        reasons["experts.stability"] = "it needs at least 2 matched pairs in the discovery half"
    return reasons


def _null(test: CausalTest | None, *, one_by_one: bool) -> dict[str, Any] | None:
    """The matched null, where it has a spread; `one_by_one` with the loss of each of its sets, for the few that
    matter."""
    if test is None or test.null.n < 2:
        return None
    found: dict[str, Any] = {"mean": test.null.mean, "sd": test.null.sd, "n": test.null.n}
    return found | {"values": [float(f"{value:.{DIGITS}g}") for value in test.null.values]} if one_by_one else found


def _interval(interval: Interval | None) -> dict[str, float | int | None] | None:
    return interval.as_dict() if interval else None


def _number(value: Any) -> float | None:
    """A finite float, or None: NaN and infinity are not JSON."""
    number = float(value)
    return number if np.isfinite(number) else None
