"""The steps of a study one by one, on a model whose answer is known, against computations written another way."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from analysis import (
    CRITERIA,
    Answer,
    ExpertId,
    Ranking,
    answer_prompts,
    capture,
    contrasts,
    judge_answers,
    load_model,
    load_prompts,
    mask,
    organism_path,
    refusal_bench,
    refusal_rate,
    score,
)
from analysis.errors import InputError, WithheldError
from analysis.evidence.bench import Bench
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.trace import CaptureSettings, Trace
from analysis.study import routing_evidence


@pytest.fixture(scope="module")
def planted() -> LoadedModel:
    return load_model("organism:planted", device="cpu")


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    """Sixteen pairs of four topics."""
    everything = load_prompts("builtin:organism")
    taken = [pair for topic in everything.topics[:4] for pair in [p for p in everything.pairs if p.topic == topic][:4]]
    return PromptSet("some", tuple(prompt for pair in taken for prompt in (pair.harmful, pair.benign)))


@pytest.fixture(scope="module")
def trace(planted: LoadedModel, prompts: PromptSet) -> Trace:
    return capture(planted, prompts, CaptureSettings(max_new_tokens=16))


@pytest.fixture(scope="module")
def bench(planted: LoadedModel, trace: Trace) -> Bench:
    return refusal_bench(planted, trace)


def necessary() -> list[ExpertId]:
    truth = json.loads((organism_path("planted") / "truth.json").read_text(encoding="utf-8"))
    return [ExpertId(*one) for one in truth["necessary"]]


def ranking(score_of: list[list[float]], **columns: list[list[float]]) -> Ranking:
    info = CRITERIA["raset"][0]
    return Ranking(info, (1, 3), np.array(score_of), {name: np.array(values) for name, values in columns.items()})


def test_a_ranking_counts_dense_layers_and_puts_what_has_no_score_last() -> None:
    found = ranking([[0.5, math.nan, 2.0], [1.0, 0.5, -1.0]], delta=[[1, 2, 3], [4, 5, 6]])
    assert found.experts == ((1, 2), (3, 0), (1, 0), (3, 1), (3, 2), (1, 1))
    assert found.top(2) == (ExpertId(1, 2), ExpertId(3, 0))
    assert [found.rank(one) for one in ((1, 2), (3, 1), (1, 1))] == [1, 4, 6]
    assert found.rows(2) == [
        {"rank": 1, "layer": 1, "expert": 2, "raset": 2.0, "delta": 3.0},
        {"rank": 2, "layer": 3, "expert": 0, "raset": 1.0, "delta": 4.0},
    ]
    assert len(found.rows()) == 6
    with pytest.raises(InputError, match="there is no expert 0 in layer 2: layers are 1, 3"):
        found.rank((2, 0))


def test_contrasts_are_the_mean_divergence_of_the_pairs(trace: Trace, prompts: PromptSet) -> None:
    place = {prompt.id: row for row, prompt in enumerate(trace.prompts)}
    divergences = [
        jensen_shannon(
            trace.probability[place[pair.harmful.id], 0, layer], trace.probability[place[pair.benign.id], 0, layer]
        )
        for pair in prompts.pairs
        for layer in range(4)
    ]
    found = contrasts(trace)
    assert found.overall["safety"].estimate == pytest.approx(sum(divergences) / len(divergences), abs=1e-6)
    assert set(found.overall) >= {"topic", "within_topic", "safety"}


def jensen_shannon(left: np.ndarray, right: np.ndarray) -> float:
    """By its definition: the mean of two Kullback–Leibler divergences from the middle, in bits."""
    total = 0.0
    for p, q in zip(left.tolist(), right.tolist(), strict=True):
        total += 0.5 * p * math.log2(2 * p / (p + q)) if p else 0.0
        total += 0.5 * q * math.log2(2 * q / (p + q)) if q else 0.0
    return total


def test_prompts_bound_whose_pairs_count(trace: Trace, prompts: PromptSet) -> None:
    half = PromptSet("half", prompts.prompts[:8])
    assert contrasts(trace, half).overall["safety"] != contrasts(trace).overall["safety"]
    assert contrasts(trace, half).overall["topic"] == contrasts(trace).overall["topic"]
    assert len(routing_evidence(trace, half).pairs) == 4
    none = PromptSet("none", ())
    assert contrasts(trace, none).overall["safety"].estimate is None
    assert "routing.jsd.safety" in contrasts(trace, none).withheld
    assert len(routing_evidence(trace, none).harmful_rows) == 0


@pytest.mark.parametrize("name", ["raset", "safex", "routehijack", "gatebreaker"])
def test_a_criterion_of_routing_needs_nothing_but_the_trace(trace: Trace, name: str) -> None:
    found = score(trace, name)
    assert (found.info.name, found.score.shape, found.layers) == (name, (4, 16), (0, 1, 2, 3))
    assert len(set(found.experts)) == 64
    assert found.rows(1)[0][name] == np.nanmax(found.score)


def test_deltas_are_differences_of_selection_frequency(trace: Trace, prompts: PromptSet) -> None:
    place = {prompt.id: row for row, prompt in enumerate(trace.prompts)}
    expected = np.zeros((4, 16))
    for pair in prompts.pairs:
        for sign, row in ((1, place[pair.harmful.id]), (-1, place[pair.benign.id])):
            expected += sign * (trace.selections[row, 0] / trace.tokens[row, 0]) / len(prompts.pairs)
    np.testing.assert_allclose(score(trace, "raset").columns["delta"], expected, atol=1e-6)


def test_ablation_ranks_the_necessary_experts_first(trace: Trace, bench: Bench) -> None:
    found = score(trace, "ablation", bench=bench)
    assert set(found.top(2)) == set(necessary())
    loss = bench.ablate([(one,) for one in found.top(2)]).margin.mean(1)
    np.testing.assert_allclose([row["ablation"] for row in found.rows(2)], loss, rtol=1e-6)


def test_integrated_gradients_rank_the_necessary_experts_first(trace: Trace, bench: Bench) -> None:
    assert set(score(trace, "integrated", bench=bench).top(2)) == set(necessary())


def test_lobotomy_reads_the_prompts_with_the_model_of_the_bench(trace: Trace, bench: Bench) -> None:
    with pytest.raises(WithheldError, match=r"a trace keeps counts; .*pass bench="):
        score(trace, "lobotomy")
    found = score(trace, "lobotomy", bench=bench)
    assert 0 <= found.columns["held_out_accuracy"][0, 0] <= 1
    assert (found.score != 0).any()


def test_the_gradient_is_that_of_the_bench(trace: Trace, bench: Bench) -> None:
    found = score(trace, "raset_gradient", bench=bench)
    np.testing.assert_allclose(found.score, bench.harmful.gradient().mean(0), rtol=1e-5, atol=1e-7)


def test_a_criterion_of_behaviour_without_a_bench_says_how_to_get_one(trace: Trace) -> None:
    with pytest.raises(WithheldError, match=r"pass bench=refusal_bench\(model, trace\)"):
        score(trace, "raset_gradient")


def test_an_unknown_criterion_is_refused_with_those_there_are(trace: Trace) -> None:
    with pytest.raises(InputError, match=r"unknown criterion 'rasset': expected one of ablation, .*raset"):
        score(trace, "rasset")


def test_refusal_ends_without_the_necessary_experts(planted: LoadedModel, prompts: PromptSet, bench: Bench) -> None:
    assert bench.harmful.base.refusal.mean() > 0.99
    effects = bench.ablate([tuple(necessary()), (ExpertId(3, 7),)])
    assert effects.refusal.mean(1)[0] > 0.9 > 0.1 > abs(effects.refusal.mean(1)[1])
    harmful = replace(prompts, prompts=prompts.labelled("harmful"))
    before = answer_prompts(planted, harmful, max_new_tokens=16)
    after = answer_prompts(planted, harmful, mask(planted.seam, necessary()), max_new_tokens=16)
    assert {one.variant for one in before} == {"base"}
    assert {one.variant for one in after} == {"masked"}
    assert [one.prompt_id for one in after] == [prompt.id for prompt in harmful]
    assert (refusal_rate(before).estimate, refusal_rate(after).estimate) == (1.0, 0.0)


def test_answers_of_a_trace_are_judged_in_its_order(trace: Trace) -> None:
    judged = judge_answers(trace)
    assert [one.prompt_id for one in judged] == [prompt.id for prompt in trace.prompts]
    assert [one.label == "refusal" for one in judged] == [prompt.label == "harmful" for prompt in trace.prompts]


def test_a_refusal_rate_has_a_wilson_interval() -> None:
    answers = judge_answers_of(["refusal", "partial", "compliance", "degenerate"])
    z = 1.959963984540054
    centre, spread = (0.5 + z * z / 8) / (1 + z * z / 4), z * math.sqrt(0.25 / 4 + z * z / 64) / (1 + z * z / 4)
    found = refusal_rate(answers)
    assert (found.estimate, found.n) == (0.5, 4)
    assert (found.low, found.high) == (pytest.approx(centre - spread), pytest.approx(centre + spread))
    with pytest.raises(WithheldError, match="at least one answer"):
        refusal_rate([])


def judge_answers_of(labels: list) -> list:
    return [Answer(f"p{i}", "base", label, None, None, "", None) for i, label in enumerate(labels)]


def test_no_margin_without_labels_or_refusals(tiny, planted: LoadedModel, prompts: PromptSet) -> None:
    short = CaptureSettings(max_new_tokens=2)
    bare = PromptSet("bare", tuple(replace(prompt, label=None) for prompt in prompts.prompts[:4]))
    with pytest.raises(WithheldError, match="needs harmful and benign prompts: found 0 and 0; label them"):
        refusal_bench(planted, capture(planted, bare, short))
    model, few = tiny("olmoe"), PromptSet("few", prompts.prompts[:4])
    with pytest.raises(WithheldError, match="this trace has none: capture with max_new_tokens ≥ 1"):
        refusal_bench(model, capture(model, few, CaptureSettings(max_new_tokens=0)))
    with pytest.raises(WithheldError, match="so it has no refusal margin"):
        refusal_bench(model, capture(model, few, short))


def test_no_text_of_a_prompt_is_shown_by_accident(planted: LoadedModel, trace: Trace, bench: Bench) -> None:
    secret = PromptSet("mine", (Prompt("p", "a secret text", "harmful"), Prompt("q", "another", "benign")))
    assert repr(secret) == "PromptSet('mine': 2 prompts, 1 harmful, 1 benign, 0 topics, 0 pairs)"
    assert repr(trace).startswith(
        "Trace(32 prompts × 3 windows × 4 layers × 16 experts, top 2, Certificate(passed: 4 of 4"
    )
    assert repr(planted) == "LoadedModel(organism:planted: qwen3_moe, 4 MoE layers × 16 experts, top 2, float32 on cpu)"
    assert repr(bench) == "Bench(16 harmful and 16 benign prompts)"
    assert "L0·E1" in repr(score(trace, "ablation", bench=bench))
    assert "JSD safety" in repr(contrasts(trace))
