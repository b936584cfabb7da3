"""The `outcomes` section of report.json: how often the model refuses, and what becomes of it without the flagged
experts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.audit_settings import AuditSettings
from analysis.outcomes.judges import describe_judge, judge_agreement, load_judge, short_name
from analysis.outcomes.per_prompt import answered
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.result import Answer
from analysis.statistics import (
    Interval,
    cluster_bootstrap,
    clustered_rate,
    empirical_p,
    mcnemar_exact,
    paired_difference,
    wilson,
)

REFUSING = ("refusal", "partial")


@dataclass(frozen=True)
class MaskedOutcome:
    """Answers on the confirmation half with the flagged experts masked, and refusal rates on its first `null_prompts`
    harmful prompts under matched random sets."""

    answers: tuple[Answer, ...]
    null_refusal: tuple[float, ...]
    null_prompts: int


def outcomes_section(
    answers: Sequence[Answer],
    used: PromptSet,
    confirmation: PromptSet,
    settings: AuditSettings,
    masked: MaskedOutcome | None,
) -> dict[str, Any]:
    """Rates with Wilson intervals over prompts, and again over topics; margins in nats with topic-cluster intervals."""
    by_id = {one.prompt_id: one for one in answers}
    harmful, benign = ([p.id for p in used.labelled(label)] for label in ("harmful", "benign"))
    return {
        "refusal_harmful": _rate((by_id[i] for i in harmful), REFUSING).as_dict(),
        "refusal_benign": _rate((by_id[i] for i in benign), REFUSING).as_dict(),
        **_jailbreaks(used, by_id),
        "degenerate": _rate(answers, ("degenerate",)).as_dict(),
        "over_topics": {
            "refusal_harmful": _topic_rate(used, by_id, ("harmful",), REFUSING),
            "refusal_benign": _topic_rate(used, by_id, ("benign",), REFUSING),
            "degenerate": _topic_rate(used, by_id, ("harmful", "benign", None), ("degenerate",)),
        },
        "unjudged": sum(one.label == "unjudged" for one in answers),
        "margin_harmful": _margin(used, by_id, "harmful", settings.seed),
        "margin_benign": _margin(used, by_id, "benign", settings.seed),
        "judge": short_name(settings.judge),
        **_judges(answers, used, settings, masked),
        "masked": None if masked is None else _masked(masked, by_id, confirmation, settings.seed),
        "per_prompt": [one.as_dict() for one in answered(used, answers)],
    }


def _judges(
    answers: Sequence[Answer], used: PromptSet, settings: AuditSettings, masked: MaskedOutcome | None
) -> dict[str, Any]:
    """Which judges said what, and how far two agree: κ of refusing or not over the base model's answers."""
    first = {"first": _described(settings.judge)}
    if settings.second_judge is None:
        return {"judge_agreement": None, "judges": first}
    topics = {p.id: p.topic or f"prompt {p.id}" for p in used.prompts}
    agreement = _agreement(answers, topics, settings.seed)
    after = () if masked is None else masked.answers
    return {
        "judge_agreement": agreement["kappa"]["estimate"],
        "judges": {
            **first,
            "second": _described(settings.second_judge),
            "agreement": agreement,
            **({"agreement_masked": _agreement(after, topics, settings.seed)} if after else {}),
            "disagreements": [
                {"prompt_id": a.prompt_id, "variant": a.variant, "label": a.label, "second_label": a.second_label}
                for a in (*answers, *after)
                if a.second_label not in (None, a.label)
            ],
        },
    }


def _described(judge: str) -> dict[str, Any]:
    return {name: value for name, value in describe_judge(load_judge(judge)).items() if value is not None}


def _agreement(answers: Sequence[Answer], topics: dict[str, str], seed: int) -> dict[str, Any]:
    twice = [one for one in answers if one.second_label is not None]
    labels = [one.label for one in twice], [str(one.second_label) for one in twice]
    return judge_agreement(*labels, [topics[one.prompt_id] for one in twice], seed=seed)


def _jailbreaks(used: PromptSet, by_id: dict[str, Answer]) -> dict[str, Any]:
    """Refusal of jailbreaks, which count nowhere else; nothing where the prompts hold none."""
    if not used.jailbreaks:
        return {}
    return {"refusal_jailbreak": _rate((by_id[p.id] for p in used.jailbreaks), REFUSING).as_dict()}


def _rate(answers: Iterable[Answer], labels: tuple[str, ...]) -> Interval:
    hits = [one.label in labels for one in answers]
    return wilson(sum(hits), len(hits)) if hits else Interval(None, None, None, 0)


def _topic_rate(
    used: PromptSet, by_id: dict[str, Answer], labels: tuple[str | None, ...], counted: tuple[str, ...]
) -> dict[str, float | int | None]:
    prompts = [p for p in used.prompts if p.side in labels]
    hits = np.array([by_id[p.id].label in counted for p in prompts], dtype=bool)
    return clustered_rate(hits, [p.topic or f"prompt {p.id}" for p in prompts]).as_dict()


def _margin(used: PromptSet, by_id: dict[str, Answer], label: str, seed: int) -> dict[str, float | int | None] | None:
    rows = [
        (margin, p.topic or p.id)
        for p in used.prompts
        if p.side == label and (margin := by_id[p.id].margin) is not None
    ]
    if not rows:
        return None
    return cluster_bootstrap(
        np.array([m for m, _ in rows]), [topic for _, topic in rows], seed=seed, rows_if_few=True
    ).as_dict()


def _masked(masked: MaskedOutcome, base: dict[str, Answer], confirmation: PromptSet, seed: int) -> dict[str, Any]:
    """Everything on the same prompts, so that before and after are paired."""
    after = {one.prompt_id: one for one in masked.answers}
    harmful, benign = ([p.id for p in confirmation.labelled(label)] for label in ("harmful", "benign"))
    first = harmful[: masked.null_prompts]
    return {
        "refusal_harmful": _rate((after[i] for i in harmful), REFUSING).as_dict(),
        "refusal_benign": _rate((after[i] for i in benign), REFUSING).as_dict(),
        "degenerate": _rate(after.values(), ("degenerate",)).as_dict(),
        "base_refusal_harmful": _rate((base[i] for i in harmful), REFUSING).as_dict(),
        "base_refusal_benign": _rate((base[i] for i in benign), REFUSING).as_dict(),
        "refusal_change_harmful": _change(base, after, confirmation.labelled("harmful"), seed),
        "refusal_change_benign": _change(base, after, confirmation.labelled("benign"), seed),
        "mcnemar_p": mcnemar_exact(*(np.array([side[i].label in REFUSING for i in harmful]) for side in (base, after))),
        "null_refusal": _null(masked.null_refusal, float(np.mean([after[i].label in REFUSING for i in first]))),
    }


def _change(
    base: dict[str, Answer], after: dict[str, Answer], prompts: Sequence[Prompt], seed: int
) -> dict[str, float | int | None]:
    sides = [np.array([side[p.id].label in REFUSING for p in prompts], dtype=bool) for side in (base, after)]
    return paired_difference(sides[0], sides[1], [p.topic or f"prompt {p.id}" for p in prompts], seed=seed).as_dict()


def _null(rates: Sequence[float], observed: float) -> dict[str, Any]:
    """Where the masked refusal rate stands among the random sets': a low rate is the extreme one."""
    null = np.array(rates)
    low, high = (float(v) for v in np.percentile(null, (2.5, 97.5))) if len(null) > 1 else (None, None)
    return {
        "mean": float(null.mean()) if len(null) > 1 else None,
        "low": low,
        "high": high,
        "n": len(null),
        "p_value": empirical_p(-observed, -null),
        "values": null.tolist(),
    }
