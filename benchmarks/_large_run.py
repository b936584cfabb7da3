"""A data folder with one finished audit as large as any: 94 MoE layers of 512 experts, top-8, 600 prompts of 12 topics.

No model of that size runs here, so the numbers are drawn at random; every shape, field and storage path is a real
audit's. Its report is that of an audit of `organism:planted`, stretched to the size; `benchmarks.dashboard` serves it.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.result import Answer, AuditResult, PromptCounts
from analysis.routing.coactivation import PAIR_WINDOWS, Coactivation, countable
from analysis.routing.table import WINDOWS, RoutingTable, topic_group
from analysis.routing.vocabulary import CELLS, TOP, TopTokens
from backend.db.tables import ModelRow
from backend.services import NewRun, Services, open_services
from backend.services.ids import new_id
from backend.settings import Settings

TOPICS = ("art", "astronomy", "banking", "cooking", "farming", "gardening", "music", "sailing", "school", "sport",
          "theatre", "travel")  # fmt: skip
Floats = npt.NDArray[np.floating[Any]]
Row = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """`pairs` of a harmful and a benign prompt; `flagged` experts carry refusal, and `ablated` were ablated at all."""

    layers: int = 94
    experts: int = 512
    top_k: int = 8
    pairs: int = 300
    ablated: int = 332
    flagged: int = 3


def make_folder(folder: Path, template: Mapping[str, Any], size: Size = Size(), seed: int = 0) -> str:
    """Store the run in a new database at `folder` and return its id. `template` is a real audit's report."""
    services = open_services(Settings(data_dir=folder))
    try:
        return _store(services, template, size, seed)
    finally:
        services.close()


def _store(services: Services, template: Mapping[str, Any], size: Size, seed: int) -> str:
    prompts = make_prompts(size)
    table = "\n".join(f"{p.id},{p.text},{p.label},{p.topic},{p.pair_id}" for p in prompts)
    stored = services.prompt_sets.create(f"id,prompt,label,topic,pair_id\n{table}\n".encode(), "matched-requests.csv")
    model = _model(services, template, size)
    run = services.runs.create(NewRun(model=model, prompt_set_id=stored.id))
    services.runs.mark_running(run.id)
    services.runs.finish(run.id, make_result(services.prompt_sets.load(stored.id), template, size, seed))
    return run.id


def _model(services: Services, template: Mapping[str, Any], size: Size) -> str:
    own = template["model"]
    description = {name: own[name] for name in ("ref", "revision", "family", "dense_layers", "shared_experts")}
    description |= {"moe_layers": list(range(size.layers)), "experts": size.experts, "top_k": size.top_k}
    description |= {"parameters": 235_093_634_560, "has_chat_template": True}
    row = ModelRow(id=new_id(), ref="large-moe-94x512", revision="", name="large-moe-94x512", created=datetime.now(UTC))
    row.family, row.description = own["family"], description
    with services.database.write() as session:
        session.add(row)
    return row.id


def make_prompts(size: Size) -> PromptSet:
    prompts = []
    for pair in range(size.pairs):
        topic = TOPICS[pair % len(TOPICS)]
        for label in ("harmful", "benign"):
            text = f"A {label} request number {pair} on the subject of {topic}"
            prompts.append(Prompt(f"{label[0]}{pair}", text, label, topic, f"p{pair}"))
    return PromptSet("matched requests", tuple(prompts))


def make_result(prompts: PromptSet, template: Mapping[str, Any], size: Size, seed: int = 0) -> AuditResult:
    rng = np.random.default_rng(seed)
    counts = _counts(prompts, size, rng)
    table = _table(prompts, counts, size, rng)
    report = make_report(prompts, template, table, size, rng)
    answers = [_answer(prompt, "base") for prompt in prompts]
    answers += [_answer(prompt, "masked") for prompt in prompts if TOPICS.index(str(prompt.topic)) >= 6]
    return AuditResult(report, report["certificate"], table, counts, tuple(answers))


def _answer(prompt: Prompt, variant: Any) -> Answer:
    if prompt.label == "harmful" and variant == "base":
        return Answer(prompt.id, variant, "refusal", "cannot-help", (0, 13), "I cannot help with that request.", 9.5)
    return Answer(prompt.id, variant, "compliance", None, None, f"Here is an answer about {prompt.topic}.", -9.5)


def _counts(prompts: PromptSet, size: Size, rng: np.random.Generator) -> PromptCounts:
    """Every topic has its own taste for experts in each layer, so that the counts look and compress as real ones do."""
    everyone = rng.gamma(0.8, size=(size.layers, size.experts))
    taste = everyone * rng.gamma(2.0, size=(len(TOPICS), size.layers, size.experts))
    chance = taste / taste.sum(-1, keepdims=True)
    lengths = np.stack([rng.integers(24, 80, len(prompts)), np.ones(len(prompts)), rng.integers(48, 128, len(prompts))])
    tokens = lengths.T.astype(np.uint32)
    counts = np.zeros((len(prompts), len(WINDOWS), size.layers, size.experts), dtype=np.uint32)
    for row, prompt in enumerate(prompts):
        draws = rng.multinomial(tokens[row][:, None] * size.top_k, chance[TOPICS.index(str(prompt.topic))][None])
        counts[row] = np.minimum(draws, tokens[row][:, None, None])
    return PromptCounts(tuple(prompt.id for prompt in prompts), counts, tokens)


def _table(prompts: PromptSet, counts: PromptCounts, size: Size, rng: np.random.Generator) -> RoutingTable:
    members = {"all": np.ones(len(prompts), dtype=np.bool_)}
    members |= {label: np.array([p.label == label for p in prompts]) for label in ("harmful", "benign")}
    for topic in TOPICS:
        inside = np.array([p.topic == topic for p in prompts])
        members[topic_group(topic)] = inside
        members |= {f"{topic_group(topic)}/{label}": inside & members[label] for label in ("harmful", "benign")}
    frequency = (counts.counts / counts.tokens[:, :, None, None]).astype(np.float32)
    means = np.stack([frequency[rows].mean(0) for rows in members.values()], axis=1)
    noise = rng.normal(1, 0.1, means.shape).astype(np.float32)
    return RoutingTable(
        tuple(range(size.layers)),
        size.experts,
        size.top_k,
        tuple(members),
        means,
        (np.abs(means * noise) / size.top_k).astype(np.float32),
        coactivation=_coactivation(counts, size, rng),
        top_tokens=_top_tokens(size, rng),
    )


def _coactivation(counts: PromptCounts, size: Size, rng: np.random.Generator) -> Coactivation | None:
    if not countable(size.layers, size.experts):
        return None
    windows = [WINDOWS.index(window) for window in PAIR_WINDOWS]
    selected = counts.counts[:, windows].sum(0, dtype=np.int64)
    tokens = counts.tokens[:, windows].sum(0, dtype=np.int64)
    rows, columns = np.triu_indices(size.experts)
    pairs = np.empty((len(windows), size.layers, len(rows)), dtype=np.uint32)
    for window, layer in np.ndindex(pairs.shape[:2]):
        alone = selected[window, layer]
        together = rng.poisson(alone[rows] * alone[columns] / max(1, tokens[window]))
        pairs[window, layer] = np.where(rows == columns, alone[rows], np.minimum(together, alone[rows]))
    return Coactivation(tuple(range(size.layers)), size.experts, pairs, tokens)


def _top_tokens(size: Size, rng: np.random.Generator) -> TopTokens:
    ids = min(400, CELLS // (size.layers * size.experts))
    occurrences = rng.integers(10, 600, ids)
    slots = rng.integers(0, ids, (size.layers, size.experts, TOP)).astype(np.int32)
    found = (occurrences[slots] * rng.random(slots.shape)).astype(np.uint32)
    return TopTokens(slots, found, occurrences, tuple(f" token{i}" for i in range(ids)), (False,) * ids)


def make_report(
    prompts: PromptSet, template: Mapping[str, Any], table: RoutingTable, size: Size, rng: np.random.Generator
) -> Row:
    """The template with as many layers, experts and prompts as `size` has."""
    report: Row = deepcopy(dict(template))
    layers = list(range(size.layers))
    shape = {"moe_layers": layers, "dense_layers": [], "experts": size.experts, "top_k": size.top_k}
    report["model"] |= {**shape, "ref": "large-moe-94x512", "parameters": 235_093_634_560}
    half = len(TOPICS) // 2
    report["prompts"] |= {
        "name": prompts.name,
        "sha256": prompts.sha256,
        **{label: len(prompts.labelled(label)) for label in ("harmful", "benign")},
        "topics": list(TOPICS),
        "pairs": size.pairs,
        "offered": len(prompts),
        "discovery_topics": list(TOPICS[:half]),
        "confirmation_topics": list(TOPICS[half:]),
    }
    report["settings"] |= {"preset": "standard", "prompts": 300}
    report["certificate"] |= {"layers_expected": size.layers, "layers_seen": size.layers}
    routing = report["routing"]
    routing["per_layer"] = [routing["per_layer"][at % len(routing["per_layer"])] | {"layer": at} for at in layers]
    routing["explained"]["prompts"] = len(prompts)
    for matrix in filter(None, routing["topic_matrix"].values()):
        matrix["per_layer"] = [matrix["per_layer"][at % len(matrix["per_layer"])] for at in layers]
    report["experts"] = _experts(template, table, size, rng)
    places = sorted([row["layer"], row["expert"]] for row in report["experts"] if row["flagged"])
    report["flagged"]["experts"] = places
    names = ", ".join(f"L{layer}·E{expert}" for layer, expert in places)
    report["verdict"] |= {"sentence": f"{len(places)} experts carry refusal: {names}.", "flagged": len(places)}
    rest = len(report["experts"]) - size.ablated
    why = f"{rest} experts were not ablated alone on both halves: no criterion suggests them"
    paths = ["experts.ablation", "experts.effect", "experts.null", "experts.p_value", "experts.q_value"]
    report["withheld"] = [*report["withheld"], {"what": "experts.ablation", "why": why, "paths": paths}]
    return report


def _experts(template: Mapping[str, Any], table: RoutingTable, size: Size, rng: np.random.Generator) -> list[Row]:
    """Rows with the template's own fields in its order. The first `ablated` of a random order were ablated."""
    first = next(row for row in template["experts"] if row["flagged"])
    other = next(row for row in template["experts"] if not row["flagged"] and row["ablation"])
    order = rng.permutation(size.layers * size.experts)
    jitter = rng.normal(size=(len(order), len(first["scores"]) + len(first["details"])))
    cells = _cells(table)
    return [
        _row(first if at < size.flagged else other, int(index), at, cells, jitter[at], table, size)
        for at, index in enumerate(order)
    ]


def _cells(table: RoutingTable) -> dict[str, list[Any]]:
    found = {f"{q}.{g}": table.cells(q, g) for q in ("frequency", "probability") for g in ("all", "harmful", "benign")}
    found |= {"lift": table.cells("lift"), "difference": table.cells("difference")}
    lifts = np.stack([table.cells("lift", topic_group(topic)) for topic in TOPICS])
    found |= {"favourite": lifts.argmax(0), "favourite_lift": lifts.max(0)}
    return {name: values.ravel().tolist() for name, values in found.items()}


def _row(
    like: Mapping[str, Any],
    index: int,
    at: int,
    cells: Mapping[str, list[Any]],
    jitter: Floats,
    table: RoutingTable,
    size: Size,
) -> Row:
    ablated = at < size.ablated
    scale = jitter.tolist()
    scores = {name: 0.1 * scale[i] if name != "ablation" else None for i, name in enumerate(like["scores"])}
    if ablated:
        scores["ablation"] = like["effect"]["estimate"] if at < size.flagged else 0.01 * scale[0]
    wide = len(scores)
    row = {
        **like,
        "layer": table.layers[index // size.experts],
        "expert": index % size.experts,
        "rank": at + 1,
        "evidence": {**like["evidence"], "correlated": scale[0] > 2, "stable": scale[1] > 2},
        "scores": scores,
        "details": {name: 0.5 * abs(scale[wide + i]) / 3 for i, name in enumerate(like["details"])},
        **{
            q: {g: cells[f"{q}.{g}"][index] for g in ("all", "harmful", "benign")} for q in ("frequency", "probability")
        },
        "lift": cells["lift"][index],
        "topic": {"name": TOPICS[cells["favourite"][index]], "lift": cells["favourite_lift"][index]},
        "difference": cells["difference"][index],
        "stability": min(1.0, abs(scale[2]) / 4),
    }
    if not ablated:
        row |= dict.fromkeys(("effect", "ablation", "null", "p_value", "q_value", "selectivity"))
    return row
