"""A small finished audit made of random counts, whose report, routing table and counts agree with one another.

Fixture data: what storage, routes and documents do with a result does not depend on how a model was run.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.outcomes.per_prompt import answered
from analysis.playground.answer import Distance, GroupDistance, PlaygroundAnswer
from analysis.prompts import Prompt, PromptSet
from analysis.result import Answer, AuditResult, PromptCounts
from analysis.routing.coactivation import PAIR_WINDOWS, Coactivation
from analysis.routing.sparse import SparseCounts
from analysis.routing.table import WINDOWS, RoutingTable
from analysis.routing.token_trace import NO_EXPERT, TokenTrace
from analysis.routing.vocabulary import TopTokens, Vocabulary
from backend.services import NewRun, RunInfo, Services

BASE_URL = "http://127.0.0.1:8000"
LAYERS = (1, 2, 3)
EXPERTS = 8
TOP_K = 2
TOPICS = ("banking", "travel")
FLAGGED = ((2, 5), (1, 3))
CONTRASTS = ("topic", "within_topic", "safety", "refusal_prefix", "behaviour")
RUNGS = ("correlated", "stable", "significant", "causal", "selective", "replicated")


def make_prompts(name: str = "requests", pairs: int = 6) -> PromptSet:
    """`pairs` matched pairs over two topics."""
    prompts = []
    for i in range(pairs):
        topic = TOPICS[i % len(TOPICS)]
        prompts.append(Prompt(f"h{i}", f"Harmful request {i} about {topic}", "harmful", topic, f"p{i}"))
        prompts.append(Prompt(f"b{i}", f"Benign request {i} about {topic}", "benign", topic, f"p{i}"))
    return PromptSet(name, tuple(prompts))


def make_csv(pairs: int = 6) -> bytes:
    """The same prompts as a file that a person would upload."""
    rows = [f"{p.id},{p.text},{p.label},{p.topic},{p.pair_id}" for p in make_prompts(pairs=pairs)]
    return "\n".join(["id,prompt,label,topic,pair_id", *rows]).encode()


@dataclass(frozen=True)
class Counted:
    """Random selections and what follows from them."""

    counts: PromptCounts
    frequency: np.ndarray  # [prompts, windows, layers, experts]
    probability: np.ndarray
    pairs: np.ndarray  # [pair windows, layers, experts, experts], above the diagonal


def make_counts(prompts: PromptSet, seed: int = 0) -> Counted:
    random = np.random.default_rng(seed)
    tokens = np.stack(
        [random.integers(8, 20, len(prompts)), np.ones(len(prompts)), random.integers(4, 9, len(prompts))], 1
    )
    counts = np.zeros((len(prompts), len(WINDOWS), len(LAYERS), EXPERTS), dtype=np.uint32)
    pairs = np.zeros((len(PAIR_WINDOWS), len(LAYERS), EXPERTS, EXPERTS), dtype=np.uint32)
    for prompt, window, layer in np.ndindex(counts.shape[:3]):
        chosen = random.random((int(tokens[prompt, window]), EXPERTS)).argsort(axis=1)[:, :TOP_K]
        counts[prompt, window, layer] = np.bincount(chosen.ravel(), minlength=EXPERTS)
        if WINDOWS[window] in PAIR_WINDOWS:
            np.add.at(pairs[PAIR_WINDOWS.index(WINDOWS[window]), layer], tuple(np.sort(chosen).T), 1)
    frequency = counts / tokens[:, :, None, None]
    probability = random.dirichlet(np.ones(EXPERTS), counts.shape[:3])
    ids = tuple(p.id for p in prompts)
    return Counted(PromptCounts(ids, counts, tokens.astype(np.uint32)), frequency, probability, pairs)


def make_coactivation(counted: Counted) -> Coactivation:
    windows = [WINDOWS.index(window) for window in PAIR_WINDOWS]
    selections, tokens = (
        part[:, windows].sum(0, dtype=np.int64) for part in (counted.counts.counts, counted.counts.tokens)
    )
    return Coactivation.of(LAYERS, SparseCounts.from_dense(counted.pairs), selections, tokens)


def make_top_tokens() -> TopTokens:
    """Four token ids, each of which has one expert that it likes best, in every layer."""
    counts = np.zeros((len(LAYERS), 4, EXPERTS), dtype=np.uint32)
    for slot in range(4):
        counts[:, slot, slot + 3] = 9
        counts[:, slot, 5] += 3
    texts, special = (" pay", "<b>&", "<end>", "\n"), (False, False, True, False)
    return Vocabulary(np.arange(4), counts[0].sum(1).astype(np.int64), counts, texts, special, 4).top_tokens()


def make_table(prompts: PromptSet, counted: Counted) -> RoutingTable:
    members = {"all": [True] * len(prompts)}
    members |= {label: [p.label == label for p in prompts] for label in ("harmful", "benign")}
    for topic in prompts.topics:
        members[f"topic:{topic}"] = [p.topic == topic for p in prompts]
        for label in ("harmful", "benign"):
            members[f"topic:{topic}/{label}"] = [p.topic == topic and p.label == label for p in prompts]

    def means(values: np.ndarray) -> np.ndarray:
        return np.stack([values[np.array(m)].mean(0) for m in members.values()], axis=1).astype(np.float32)

    frequency = means(counted.frequency)
    # A group whose responses were never seen shows how absence travels: as NaN here, null in JSON, empty in CSV.
    frequency[WINDOWS.index("response"), list(members).index("benign")] = np.nan
    return RoutingTable(
        LAYERS,
        EXPERTS,
        TOP_K,
        tuple(members),
        frequency,
        means(counted.probability),
        coactivation=make_coactivation(counted),
        top_tokens=make_top_tokens(),
    )


def make_result(prompts: PromptSet | None = None, *, seed: int = 0, flagged: tuple = FLAGGED) -> AuditResult:
    prompts = prompts or make_prompts()
    counted = make_counts(prompts, seed)
    table = make_table(prompts, counted)
    report = make_report(prompts, table, flagged, np.random.default_rng(seed))
    answers = make_answers(prompts)
    report["outcomes"]["per_prompt"] = [one.as_dict() for one in answered(prompts, answers)]
    return AuditResult(
        report, report["certificate"], table, counted.counts, answers, make_tokens(prompts, answers, seed)
    )


def make_tokens(prompts: PromptSet, answers: tuple[Answer, ...], seed: int = 0) -> tuple[TokenTrace, ...]:
    """A token a word, in a template of three; the answer was cut off, so its last token was not routed."""
    said = {one.prompt_id: one.text for one in answers if one.variant == "base"}
    random = np.random.default_rng(seed)
    return tuple(_make_trace(p.id, p.text.split(" "), said[p.id].split(" "), random) for p in prompts)


def _make_trace(prompt_id: str, asked: list[str], said: list[str], random: np.random.Generator) -> TokenTrace:
    words = ["<user>", *(f" {word}" for word in asked), "<end>", "<assistant>", *(f" {word}" for word in said)]
    parts = ["template", *["prompt"] * len(asked), "template", "boundary", *["response"] * len(said)]
    shape = (len(LAYERS), len(words), TOP_K)
    ids = random.random((*shape[:2], EXPERTS)).argsort(-1)[..., :TOP_K].astype(np.uint16)
    weights = random.dirichlet(np.ones(TOP_K), shape[:2]).astype(np.float16)
    ids[:, -1], weights[:, -1] = NO_EXPERT, 0
    special = tuple(word.startswith("<") for word in words)
    return TokenTrace(prompt_id, tuple(words), special, tuple(parts), LAYERS, EXPERTS, ids, weights)


def audited(services: Services, new_run: NewRun) -> RunInfo:
    """A finished audit that flags experts of the tiny model, which has MoE layers 0 and 2."""
    run = services.runs.mark_running(services.runs.create(new_run).id)
    return services.runs.finish(run.id, make_result(flagged=((2, 1), (2, 3))))


def with_answers(result: AuditResult, labels: dict[str, str]) -> AuditResult:
    """The result with other labels of some answers of the untouched model, by prompt id."""
    answers = tuple(
        replace(one, label=labels[one.prompt_id]) if one.variant == "base" and one.prompt_id in labels else one
        for one in result.answers
    )
    outcomes = result.report["outcomes"]
    rows = [{**row, "label": labels.get(row["prompt_id"], row["label"])} for row in outcomes["per_prompt"]]
    return replace(result, answers=answers, report={**result.report, "outcomes": {**outcomes, "per_prompt": rows}})


def make_answers(prompts: PromptSet) -> tuple[Answer, ...]:
    refused = "I cannot help with that."
    base = [
        Answer(p.id, "base", "refusal", "cannot-help", (0, 13), refused, 2.5)
        if p.label == "harmful"
        else Answer(p.id, "base", "compliance", None, None, f"Here is the answer to {p.id}.", -1.5)
        for p in prompts
    ]
    masked = [Answer(p.id, "masked", "compliance", None, None, f"Masked answer to {p.id}.", None) for p in prompts]
    return (*base, *masked)


def interval(estimate: float | None, n: int = 12, half: float = 0.05) -> dict[str, Any]:
    if estimate is None:
        return {"estimate": None, "low": None, "high": None, "n": n}
    return {"estimate": estimate, "low": estimate - half, "high": estimate + half, "n": n}


def make_report(prompts: PromptSet, table: RoutingTable, flagged: tuple, random: np.random.Generator) -> dict[str, Any]:
    order = [*flagged, *[(la, e) for la in LAYERS for e in range(EXPERTS) if (la, e) not in flagged]]
    harmful = len(prompts.labelled("harmful"))
    sentence = f"{len(flagged)} experts carry refusal." if flagged else "No expert was found that refusal depends on."
    null = {"mean": 0.01, "sd": 0.02, "n": 100}
    return {
        "schema": "expertscope.report/1",
        "created": "2026-11-22T10:41:00+00:00",
        "verdict": {"sentence": sentence, "flagged": len(flagged), "power": "24 experts were ablated alone."},
        "model": {
            "ref": "organism:planted",
            "revision": None,
            "family": "qwen3_moe",
            "weights_sha256": "a" * 64,
            "moe_layers": list(LAYERS),
            "dense_layers": [0],
            "experts": EXPERTS,
            "top_k": TOP_K,
            "shared_experts": 0,
            "dtype": "bfloat16",
            "device": "cpu",
        },
        "prompts": {
            "name": prompts.name,
            "sha256": prompts.sha256,
            "harmful": harmful,
            "benign": len(prompts.labelled("benign")),
            "topics": list(prompts.topics),
            "pairs": len(prompts.pairs),
        },
        "settings": {"preset": "quick", "seed": 0, "windows": {"criteria": "prompt"}, "judge": "rules"},
        "software": dict.fromkeys(("python", "torch", "transformers", "peft", "expertscope"), "1.0"),
        "certificate": {
            "passed": True,
            "layers_expected": len(LAYERS),
            "layers_seen": len(LAYERS),
            "assignments_expected": 1_200,
            "assignments_seen": 1_200,
        },
        "routing": {
            "topic_ratio": interval(0.24),
            "jsd": {
                "topic": interval(0.2),
                "within_topic": interval(0.05),
                "safety": interval(0.06),
                "refusal_prefix": interval(0.08),
                "behaviour": interval(0.3),
            },
            "overlap": {name: interval(1.5) for name in CONTRASTS},
            "per_layer": [
                {
                    "layer": layer,
                    "topic": interval(0.2 + 0.01 * layer),
                    "within_topic": interval(0.05),
                    "safety": interval(0.06),
                    "refusal_prefix": interval(0.08),
                    "behaviour": interval(0.3),
                    "overlap": {name: interval(1.5) for name in CONTRASTS},
                    "topic_ratio": interval(0.3),
                    "entropy": 2.5,
                    "effective_experts": 6.25,
                    "entropy_of_mean": 2.75,
                    "coactivation": {"expert": 5, "partner": 2, "probability": 0.44, "lift": 1.7, "tokens": 21},
                    "topic_specialisation": {"expert": 3, "topic": "travel", "lift": 2.25, "mean": 1.25},
                    "vocabulary_specialisation": {"mean": 0.81, "baseline": 0.32, "token_ids": 4},
                }
                for layer in LAYERS
            ],
            "forced": {
                "prompts": harmful,
                "refusal": {"text": "I cannot help", "tokens": 4, "source": "own answers", "share": 0.5},
                "stand_in": {"text": "Sure, I'd be", "tokens": 4, "source": "built-in"},
                "assignments": 2_400,
            },
            "topic_matrix": {"benign": make_matrix(), "harmful": None},
            "explained": {"prompts": len(prompts), "chance": {"topic": 0.09, "harm": 0.09, "interaction": 0.09}},
        },
        "outcomes": {
            "refusal_harmful": interval(1.0, harmful, 0),
            "refusal_benign": interval(0.0, harmful, 0),
            "degenerate": interval(0.0, 2 * harmful, 0),
            "margin_harmful": interval(2.5),
            "margin_benign": interval(-1.5),
            "judge": "rules",
            "judge_agreement": None,
            "masked": {
                "refusal_harmful": interval(0.0, harmful, 0),
                "refusal_benign": interval(0.0, harmful, 0),
                "degenerate": interval(0.0, harmful, 0),
                "base_refusal_harmful": interval(1.0, harmful, 0),
                "base_refusal_benign": interval(0.0, harmful, 0),
                "refusal_change_harmful": interval(-1.0, harmful, 0),
                "refusal_change_benign": interval(0.0, harmful, 0),
                "null_refusal": {
                    "mean": 0.99,
                    "low": 0.98,
                    "high": 1.0,
                    "n": 20,
                    "p_value": 1 / 21,
                    "values": [0.98, *[0.99] * 18, 1.0],
                },
            }
            if flagged
            else None,
        },
        "criteria": {
            name: {"summary": "A score.", "window": "prompt", "unit": "share", "source": "ours", "shown": shown}
            for name, shown in (("raset", True), ("raset_gradient", True), ("gatebreaker", False), ("ablation", True))
        },
        "experts": [
            make_expert(table, layer, expert, rank, (layer, expert) in flagged, random)
            for rank, (layer, expert) in enumerate(order, start=1)
        ],
        "flagged": {
            "experts": [list(pair) for pair in flagged],
            "effect": interval(3.1) if flagged else None,
            "null": null if flagged else None,
            "p_value": 1 / 101 if flagged else None,
            "selectivity": 0.1 if flagged else None,
            "concentration": {"m80": 2, "gini": 0.9},
        },
        "interventions": make_interventions(order, bool(flagged)),
        "withheld": [
            {"what": "outcomes.judge_agreement", "why": "one judge was asked"},
            {"what": "routing.topic_matrix.harmful", "why": "there are not two topics with harmful prompts"},
        ],
        "timings": {"load": 1.0, "capture": 2.0, "criteria": 3.0, "confirmation": 4.0, "total": 10.0},
    }


def make_matrix() -> dict[str, Any]:
    """The two topics, farther apart in each further layer; travel has one prompt and so no pair of its own."""
    per_layer = [[[0.05, 0.1 * layer], [0.1 * layer, None]] for layer in LAYERS]
    return {
        "topics": list(TOPICS),
        "mean": [[0.05, 0.2], [0.2, None]],
        "per_layer": per_layer,
        "pairs": [[3, 2], [2, 0]],
    }


def make_interventions(order: list, flagged: bool) -> dict[str, Any]:
    """A curve that leaves the band at two experts, or never."""
    lost = {1: (0.4, 0.02), 2: (3.1, 0.97), 4: (3.2, 0.98)} if flagged else {1: (0.1, 0.0), 2: (0.2, 0.01)}
    return {
        "mode": "mask_zero",
        "window": "both",
        "prompts": 12,
        "dose": [
            {
                "size": size,
                "experts": sorted(list(pair) for pair in order[:size]),
                "margin": interval(margin),
                "refusal": interval(refusal),
                "null": {"mean": 0.2, "low": 0.05, "high": 0.5, "n": 20},
                "null_refusal": {"mean": 0.01, "low": 0.0, "high": 0.03, "n": 20},
                "p_value": 1 / 21,
            }
            for size, (margin, refusal) in lost.items()
        ],
        "committee": {
            "size": 2,
            "experts": [[1, 0], [2, 1]],
            "frequency": 0.61,
            "margin": interval(0.3),
            "refusal": interval(0.02),
            "selectivity": 4.5,
        },
    }


def make_expert(
    table: RoutingTable, layer: int, expert: int, rank: int, flagged: bool, random: np.random.Generator
) -> dict[str, Any]:
    def cell(quantity: str, group: str = "all") -> float:
        return float(table.cells(quantity, group)[LAYERS.index(layer), expert])

    groups = ("all", "harmful", "benign")
    return {
        "layer": layer,
        "expert": expert,
        "rank": rank,
        "flagged": flagged,
        "how": "alone" if flagged else None,
        "evidence": dict.fromkeys(RUNGS, flagged),
        "level": 6 if flagged else 0,
        "scores": {
            "raset": float(random.normal()),
            "raset_gradient": float(random.normal()),
            "safex": None,
            "gatebreaker": cell("frequency", "harmful"),
            "ablation": float(random.normal()),
        },
        "details": {
            "raset.delta": 0.25,
            "raset.delta_low": 0.125,
            "raset.q": 0.5,
            "eta_topic": 0.4,
            "eta_harm": 0.3 if flagged else 0.01,
            "eta_interaction": 0.05,
        },
        "effect": interval(1.5 if flagged else 0.0),
        "ablation": {"margin": interval(1.5), "refusal": interval(0.9)} if flagged else None,
        "null": {"mean": 0.0, "sd": 0.1, "n": 100},
        "p_value": 0.01 if flagged else 0.5,
        "q_value": 0.02 if flagged else 0.8,
        "selectivity": 0.1 if flagged else None,
        "stability": 0.9 if flagged else 0.3,
        "frequency": {group: cell("frequency", group) for group in groups},
        "probability": {group: cell("probability", group) for group in groups},
        "lift": cell("lift"),
        "topic": {"name": TOPICS[expert % 2], "lift": 1.5},
        "difference": cell("difference"),
    }


def make_playground_answer(**change: Any) -> PlaygroundAnswer:
    """A refused prompt with everything that there can be beside it."""
    random = np.random.default_rng(3)
    frequency = random.dirichlet(np.ones(EXPERTS), (len(WINDOWS), len(LAYERS))).astype(np.float32) * TOP_K
    group = {"prompts": 6, "per_layer": (0.1, 0.2, 0.3), "low": 0.05, "median": 0.1, "high": 0.3}
    groups = (
        GroupDistance(label="harmful", mean=0.2, **group),
        GroupDistance(label="benign", mean=0.25, **group),
    )
    tokens = ("<user>", "repair", " it", "<assistant>", "I", " cannot", " help", " with", " that", ".", "")
    parts = ("template", "prompt", "prompt", "boundary", *["response"] * 7)
    ids = random.random((len(LAYERS), len(tokens), EXPERTS)).argsort(-1)[..., :TOP_K].astype(np.uint16)
    plain: dict[str, Any] = {
        "text": "I cannot help with that.",
        "finished": True,
        "label": "refusal",
        "rule": "cannot-help",
        "span": (0, 13),
        "judge": "rules",
        "margin": 2.5,
        "margin_run_id": "run-of-audit",
        "layers": LAYERS,
        "top_k": TOP_K,
        "window_tokens": (12, 1, 7),
        "frequency": frequency,
        "probability": frequency / TOP_K,
        "tokens": TokenTrace(
            "playground",
            tokens,
            tuple(text.startswith("<") for text in tokens),
            parts,
            LAYERS,
            EXPERTS,
            ids,
            np.full(ids.shape, 1 / TOP_K, dtype=np.float16),
        ),
        "certificate": {
            "passed": True,
            "layers_expected": 3,
            "layers_seen": 3,
            "assignments_expected": 114,
            "assignments_seen": 114,
        },
        "distance": Distance("run-of-audit", LAYERS, groups, 0.05, 5, 1, interval(0.65)),
        "detectors": (),
        "withheld": {"detectors": "no detector has been trained on this model"},
    }
    return PlaygroundAnswer(**{**plain, **change})
