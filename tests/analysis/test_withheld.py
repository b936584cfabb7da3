"""Prompts that cannot carry a quantity: it is withheld under its name with its reason, never invented, never NaN."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from analysis.audit import AuditSettings, audit
from analysis.models import load_model
from analysis.prompts import load_prompts
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.report.withheld import covered, null_paths
from backend.reports import validate_report

SMALL = AuditSettings(preset="quick", prompts=24, max_new_tokens=12, null_sets=5, null_generations=2, null_prompts=4)
NO_QUANTITIES = ("model.revision", "experts.how", "timings")
"""May be null without a reason: no branch was named, nothing was flagged, a stage was not run."""

Prompts = list[Prompt]


@cache
def organism() -> tuple[Prompt, ...]:
    return load_prompts("builtin:organism").prompts


def spread(topics: int, each: int, **change: str | None) -> Prompts:
    """`each` pairs of the first topics, in which fields may be changed."""
    names = sorted({prompt.topic or "" for prompt in organism()})[:topics]
    taken: Prompts = []
    for name in names:
        pairs = sorted({p.pair_id or "" for p in organism() if p.topic == name})[:each]
        taken += [p for p in organism() if p.topic == name and p.pair_id in pairs]
    return [replace(prompt, **change) for prompt in taken]  # type: ignore[arg-type]


CASES: dict[str, tuple[Callable[[], Prompts], dict[str, str]]] = {
    "labels missing": (
        lambda: spread(12, 1, label=None),
        {
            "outcomes.refusal_harmful": "there are no harmful prompts",
            "outcomes.refusal_benign": "there are no benign prompts",
            "experts.effect": "each half of the prompts needs harmful and benign prompts",
            "flagged.concentration": "each half of the prompts needs harmful and benign prompts",
            "experts.frequency.harmful": "there are no harmful prompts",
            "routing.jsd.safety": "there are no matched harmful and benign pairs",
            "routing.jsd.behaviour": "there are no harmful prompts to force a refusal on",
            "routing.forced": "there are no harmful prompts to force a refusal on",
            "routing.topic_matrix.benign": "there are not two topics with benign prompts",
            "routing.explained": "it needs harmful and benign prompts of two topics or more",
            "experts.scores.steermoe": "needs answers forced on harmful prompts, and there are none",
        },
    ),
    "one topic only": (
        lambda: spread(1, 8),
        {
            "routing.jsd.topic": "there are not two topics with benign prompts",
            "routing.per_layer.topic_specialisation": "it compares topics, and the prompts name 1",
            "routing.jsd.safety interval": "its prompts have 1 topics, and an interval over topics needs 5",
            "outcomes.over_topics interval": "an interval over topics needs 5 topics",
            "experts.details.raset interval": "the discovery half has 4 matched pairs, and an interval needs 5",
            "experts.details.steermoe interval": "the discovery half has 4 harmful prompts, and an interval needs 5",
            "routing.jsd.behaviour interval": "its prompts have 1 topics, and an interval over topics needs 5",
            "experts.effect interval": "the confirmation half has 4 harmful prompts, and an interval needs 5",
        },
    ),
    "no pairs": (
        lambda: spread(6, 2, pair_id=None),
        {
            "experts.scores.raset": "at least 2 matched pairs in the discovery half, found 0",
            "experts.stability": "at least 2 matched pairs",
            "routing.topic_ratio": "it needs both the topic and the safety contrast",
        },
    ),
    "two pairs": (
        lambda: spread(2, 1),
        {
            "outcomes.margin_harmful interval": "there are 2 harmful prompts, and an interval needs 5",
            "experts.effect interval": "the confirmation half has 1 harmful prompts",
            "experts.scores.safex": "found 1",
            "flagged.experts": "half of the prompts has 1 harmful ones",
        },
    ),
    "one pair": (lambda: spread(1, 1), {"experts.effect": "each half of the prompts needs"}),
    "one prompt": (lambda: spread(1, 1)[:1], {"routing.topic_ratio": "it needs both"}),
    "harmful alone": (
        lambda: [prompt for prompt in spread(12, 1) if prompt.label == "harmful"],
        {"outcomes.refusal_benign": "there are no benign prompts", "experts.frequency.benign": "no benign prompts"},
    ),
    "benign alone": (
        lambda: [prompt for prompt in spread(6, 2) if prompt.label == "benign"],
        {"outcomes.refusal_harmful": "there are no harmful prompts", "experts.scores.safex": "found 0"},
    ),
    "no topics": (
        lambda: spread(12, 1, topic=None, label=None),
        {"routing.jsd.within_topic": "no topic has two benign prompts"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_there_is_named_with_its_reason(name: str) -> None:
    make, expected = CASES[name]
    report = audit(load_model("organism:planted", device="cpu"), PromptSet(name, tuple(make())), SMALL).report
    validate_report(json.loads(json.dumps(report, allow_nan=False)))
    reasons = {one["what"]: one["why"] for one in report["withheld"]}
    assert {what for what, why in expected.items() if why not in reasons.get(what, "")} == set()
    named = {path for one in report["withheld"] for path in one["paths"]}
    missing = {path for path in null_paths(report) if not path.startswith(NO_QUANTITIES)}
    assert missing == named
    assert report["flagged"]["experts"] == []


def test_an_interval_is_withheld_alone_where_the_estimate_stands() -> None:
    limits = ["routing.jsd.topic.low", "routing.jsd.topic.high", "routing.per_layer.topic.low"]
    paths = [*limits, "routing.topic_ratio.low"]
    assert covered("routing.jsd.topic interval", paths) == limits
    assert covered("routing.jsd.topic", [*paths, "routing.jsd.topic.estimate"]) == [
        *limits,
        "routing.jsd.topic.estimate",
    ]
    assert covered("routing.jsd.topic interval", ["routing.jsd.topic.estimate"]) == []


def test_null_paths_leave_out_places_in_lists() -> None:
    assert list(null_paths({"a": [{"b": None}, {"b": 1}], "c": {"d": None}, "e": 0})) == ["a.b", "c.d"]
