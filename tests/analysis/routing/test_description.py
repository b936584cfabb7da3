"""Entropy, co-activation and vocabulary: against recounts in plain loops, and against numbers worked by hand."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from analysis.models import LoadedModel, MoeLayer
from analysis.models.adapters.base import Adapter
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing import coactivation, pair_counter, vocabulary
from analysis.routing.encoding import encode
from analysis.routing.profile import router_entropy, routing_profile
from analysis.routing.recorder import BOUNDARY, PROMPT, RESPONSE, Recorded, RoutingRecorder
from analysis.routing.summary import routing_table
from analysis.routing.table import RoutingTable
from analysis.routing.trace import CaptureSettings, Trace, capture
from analysis.shards import FolderShards

SETTINGS = CaptureSettings(max_new_tokens=5, batch_tokens=96, shard_prompts=4)
ARCHITECTURES = ("qwen3_moe", "deepseek_v3")
"""Softmax and sigmoid routers; both with a dense layer among the sparse ones."""


def layer_of(position: int, experts: int, k: int) -> MoeLayer:
    module = torch.nn.Identity()
    return MoeLayer(position, position, f"layer{position}", module, module, module, experts, k, "softmax", Adapter())


def by_hand() -> Recorded:
    """Two sequences of three tokens, the second with one pad in front, 4 experts, 2 selected; one answer step each, of
    which the second sequence's is already its end.
    """
    layer = layer_of(0, 4, 2)
    recorder = RoutingRecorder((layer,), torch.tensor([[1, 1, 1], [0, 1, 1]]), torch.tensor([9]))
    flat, sharp = [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -math.inf, -math.inf]
    recorder.on_forward("prompt", torch.zeros(2, 3, dtype=torch.long))
    recorder.on_router(layer, torch.tensor([flat, flat, sharp, sharp, flat, sharp]), None)
    recorder.on_selection(
        layer,
        torch.tensor([[0, 1], [1, 0], [2, 1], [3, 2], [0, 3], [1, 0]]),
        torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8], [0.9, 0.1]]),
    )
    recorder.on_forward("decode", torch.tensor([[5], [9]]))
    recorder.on_router(layer, torch.tensor([sharp, flat]), None)
    recorder.on_selection(layer, torch.tensor([[3, 0], [2, 3]]), torch.tensor([[0.5, 0.5], [0.5, 0.5]]))
    return recorder.fetch()


def test_pairs_worked_by_hand() -> None:
    """The pad's pair 3-2 and the finished answer's 2-3 count nowhere; 1-0 is the pair 0-1."""
    found = by_hand()
    assert found.pairs is not None
    pairs = found.pairs.dense((2, 1, 4, 4))
    assert {(i, j): n for (i, j), n in np.ndenumerate(pairs[0, 0]) if n} == {(0, 1): 3, (1, 2): 1, (0, 3): 1}
    assert {(i, j): n for (i, j), n in np.ndenumerate(pairs[1, 0]) if n} == {(0, 3): 1}
    together = coactivation.Coactivation.of(
        (0,),
        found.pairs,
        found.selections[:, [PROMPT, RESPONSE]].sum(0, dtype=np.int64),
        found.tokens[:, [PROMPT, RESPONSE]].sum(0, dtype=np.int64),
    )
    np.testing.assert_allclose(
        together.probability(0),
        [[1, 3 / 4, 0, 1 / 4], [3 / 4, 1, 1 / 4, 0], [0, 1, 1, 0], [1, 0, 0, 1]],
    )
    # Expert 1 is in 4 of the 5 tokens; given expert 0 in 3 of 4.
    assert together.lift(0)[0, 1] == pytest.approx((3 / 4) / (4 / 5))
    assert [one.expert for one in together.partners((0, 0))] == [1, 3]
    assert together.partners((0, 0), top=1) == (coactivation.Partner(1, 3 / 4, pytest.approx(15 / 16), 3),)
    assert np.isnan(together.probability(0, "response")[1]).all()


def test_first_experts_worked_by_hand() -> None:
    """The highest weight decides, not the first place."""
    top = by_hand().top_expert[0]
    assert top[0].tolist() == [0, 1, 1]
    assert top[1, 1:].tolist() == [3, 1]


def test_entropy_worked_by_hand() -> None:
    """An even token has 2 bits, one between two experts 1 bit: a mean over tokens, where the entropy of the mean would
    be more.
    """
    entropy = by_hand().entropy[:, :, 0]
    np.testing.assert_allclose(entropy[:, PROMPT], [2 + 2 + 1, 2 + 1], rtol=1e-6)
    np.testing.assert_allclose(entropy[:, BOUNDARY], [1, 1], rtol=1e-6)
    np.testing.assert_allclose(entropy[:, RESPONSE], [1, 0], rtol=1e-6)


@pytest.fixture(params=ARCHITECTURES, scope="module")
def traced(request: pytest.FixtureRequest, tiny, some_prompts: PromptSet) -> tuple[LoadedModel, Trace]:
    model = tiny(request.param)
    return model, capture(model, some_prompts, SETTINGS)


def looked_at(model: LoadedModel, tokens: list[int]) -> list[list[tuple[list[float], list[int], list[float]]]]:
    """[layer][token]: logits, chosen ids and weights as each router returned them, one sequence alone."""
    kept: dict[str, tuple] = {}
    handles = [
        layer.router.register_forward_hook(lambda _m, _i, out, path=layer.path: kept.__setitem__(path, out))
        for layer in model.seam.layers
    ]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([tokens]))
    for handle in handles:
        handle.remove()
    count = len(tokens)
    return [
        list(
            zip(
                kept[layer.path][0].reshape(count, -1).tolist(),
                kept[layer.path][2].reshape(count, -1).tolist(),
                kept[layer.path][1].reshape(count, -1).tolist(),
                strict=True,
            )
        )
        for layer in model.seam.layers
    ]


def test_pairs_equal_a_recount_in_plain_loops(traced: tuple[LoadedModel, Trace], some_prompts: PromptSet) -> None:
    model, trace = traced
    together, single, tokens = Counter(), Counter(), 0
    for one in encode(model, some_prompts.prompts):
        tokens += len(one.tokens)
        for place, rows in enumerate(looked_at(model, list(one.tokens))):
            for _, ids, _ in rows:
                single.update((place, i) for i in ids)
                together.update((place, i, j) for i in ids for j in ids if i != j)
    assert trace.coactivation is not None
    for place, layer in enumerate(trace.layers):
        probability, lift = trace.coactivation.probability(layer), trace.coactivation.lift(layer)
        for i in range(8):
            for j in range(8):
                if i != j and single[place, i]:
                    expected = together[place, i, j] / single[place, i]
                    assert probability[i, j] == pytest.approx(expected, abs=1e-12)
                    if single[place, j]:
                        assert lift[i, j] == pytest.approx(expected * tokens / single[place, j], abs=1e-12)


def test_entropy_equals_a_recount_in_plain_loops(traced: tuple[LoadedModel, Trace], some_prompts: PromptSet) -> None:
    model, trace = traced
    means = []
    for one in encode(model, some_prompts.prompts):
        layers = []
        for layer, rows in zip(model.seam.layers, looked_at(model, list(one.tokens)), strict=True):
            layers.append(sum(bits(logits, layer.scoring) for logits, _, _ in rows) / len(rows))
        means.append(layers)
    np.testing.assert_allclose(router_entropy(trace), np.mean(means, axis=0), rtol=1e-5)
    of_mean = [row["entropy_of_mean"] for row in routing_profile(trace, routing_table(trace)).per_layer]
    assert (router_entropy(trace) < of_mean).all()


def bits(logits: list[float], scoring: str) -> float:
    scores = [math.exp(z) if scoring == "softmax" else 1 / (1 + math.exp(-z)) for z in logits]
    return -sum(s / sum(scores) * math.log2(s / sum(scores)) for s in scores)


def test_token_ids_equal_a_recount_in_plain_loops(traced: tuple[LoadedModel, Trace], some_prompts: PromptSet) -> None:
    model, trace = traced
    counts, occurrences = Counter(), Counter()
    for one in encode(model, some_prompts.prompts):
        occurrences.update(one.tokens)
        for place, rows in enumerate(looked_at(model, list(one.tokens))):
            for token, (_, ids, weights) in zip(one.tokens, rows, strict=True):
                counts[place, token, max(zip(weights, ids, strict=True))[1]] += 1
    often = sorted(token for token, n in occurrences.items() if n >= 10)
    assert trace.vocabulary.ids.tolist() == often
    assert trace.vocabulary.occurrences.tolist() == [occurrences[token] for token in often]
    for (place, slot, expert), n in np.ndenumerate(trace.vocabulary.counts):
        assert n == counts[place, often[slot], expert]
    specialisation = trace.vocabulary.specialisation()
    assert specialisation is not None
    for place, found in enumerate(specialisation):
        shares = [max(counts[place, t, e] for e in range(8)) / occurrences[t] for t in often]
        assert found.mean == pytest.approx(sum(shares) / len(shares), abs=1e-12)
        even = [sum(counts[place, t, e] / occurrences[t] for t in often) / len(often) for e in range(8)]
        assert found.baseline == pytest.approx(max(even), abs=1e-12)


def test_batching_and_shards_change_no_count(tiny, some_prompts: PromptSet, tmp_path) -> None:
    model = tiny("qwen3_moe")
    together = capture(model, some_prompts, CaptureSettings(max_new_tokens=5, batch_tokens=10_000))
    apart = capture(model, some_prompts, SETTINGS, shards=FolderShards(tmp_path))
    again = capture(model, some_prompts, SETTINGS, shards=FolderShards(tmp_path))
    for other in (apart, again):
        np.testing.assert_array_equal(other.coactivation.pairs, together.coactivation.pairs)
        np.testing.assert_array_equal(other.vocabulary.counts, together.vocabulary.counts)
        np.testing.assert_allclose(other.entropy, together.entropy, rtol=1e-4)


def test_layers_are_counted_in_small_parts_alike(
    tiny, some_prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = capture(tiny("olmoe"), some_prompts, SETTINGS)
    monkeypatch.setattr(pair_counter, "_AT_ONCE", 1)
    np.testing.assert_array_equal(
        capture(tiny("olmoe"), some_prompts, SETTINGS).coactivation.pairs, whole.coactivation.pairs
    )


def test_special_tokens_are_marked_and_text_is_decoded(tiny, some_prompts: PromptSet) -> None:
    trace = capture(tiny("olmoe"), some_prompts, CaptureSettings(max_new_tokens=0))
    marked = dict(zip(trace.vocabulary.texts, trace.vocabulary.special, strict=True))
    assert marked == {"a": False, "b": False, " ": False}
    more = PromptSet("more", tuple(Prompt(f"p{i}", "a") for i in range(10)))
    trace = capture(tiny("olmoe"), more, CaptureSettings(max_new_tokens=0))
    assert dict(zip(trace.vocabulary.texts, trace.vocabulary.special, strict=True)) == {
        "<user>": True,
        "a": False,
        "<end>": True,
        "<assistant>": True,
    }


def test_the_most_specific_tokens_come_first() -> None:
    counts = np.array([[[9, 1], [20, 0], [40, 10], [0, 12]]], dtype=np.uint32)
    known = vocabulary.Vocabulary(
        np.array([3, 5, 7, 8]), counts[0].sum(1).astype(np.int64), counts, tuple("wxyz"), (False, True) * 2, 4
    )
    first, second = (known.top_tokens().of(0, expert) for expert in (0, 1))
    assert [(use.text, use.share, use.tokens) for use in first] == [("x", 1, 20), ("w", 0.9, 9), ("y", 0.8, 40)]
    assert [(use.text, use.special) for use in second] == [("z", True), ("y", False), ("w", False)]
    found = known.specialisation()
    assert found == [vocabulary.VocabularySpecialisation((0.9 + 1 + 0.8 + 1) / 4, 2.7 / 4, 4)]


def test_rare_ids_are_left_out_when_room_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "MOST_IDS", 2)
    followed = vocabulary.follow([[1] * 10 + [2] * 12, [3] * 9 + [4] * 11], 3, 8)
    assert (followed.ids.tolist(), followed.occurrences.tolist(), followed.eligible) == ([2, 4], [12, 11], 3)
    assert followed.slots(np.array([[4, 1, 2, 99]])).tolist() == [[1, -1, 0, -1]]
    assert vocabulary.follow([[1] * 10], 1 << 12, 1 << 12).ids.tolist() == [1]
    assert vocabulary.follow([[1] * 10], 1 << 13, 1 << 12).ids.tolist() == []


def test_a_model_with_too_many_pairs_says_so(tiny, some_prompts: PromptSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coactivation, "PAIR_CELLS", 2 * 2 * 8 * 8 - 1)
    trace = capture(tiny("qwen3_moe"), some_prompts, CaptureSettings(max_new_tokens=0))
    assert trace.coactivation is None
    table = routing_table(trace)
    assert RoutingTable.from_bytes(table.to_bytes()).coactivation is None
    profile = routing_profile(trace, table)
    assert "too many pairs" in profile.withheld["routing.per_layer.coactivation"]
    assert [row["coactivation"] for row in profile.per_layer] == [None, None]


def test_what_few_prompts_cannot_carry_is_withheld(tiny) -> None:
    trace = capture(tiny("olmoe"), PromptSet("one", (Prompt("p", "abc"),)), CaptureSettings(max_new_tokens=0))
    profile = routing_profile(trace, routing_table(trace))
    assert set(profile.withheld) == {
        f"routing.per_layer.{name}" for name in ("coactivation", "topic_specialisation", "vocabulary_specialisation")
    }
    assert "10 times" in profile.withheld["routing.per_layer.vocabulary_specialisation"]
    assert all(row["vocabulary_specialisation"] is None for row in profile.per_layer)


def test_a_router_that_selects_one_expert_has_no_pairs() -> None:
    layer = layer_of(0, 4, 1)
    recorder = RoutingRecorder((layer,), torch.ones(1, 2, dtype=torch.long), torch.tensor([9]))
    recorder.on_forward("prompt", torch.zeros(1, 2, dtype=torch.long))
    recorder.on_router(layer, torch.zeros(2, 4), None)
    recorder.on_selection(layer, torch.tensor([[3], [1]]), torch.ones(2, 1))
    found = recorder.fetch()
    assert found.pairs is not None
    assert not len(found.pairs.cells)
    assert found.top_expert.tolist() == [[[3, 1]]]


def test_layers_with_different_k_are_counted_each_with_its_own() -> None:
    layers = (layer_of(0, 4, 3), layer_of(1, 3, 2))
    recorder = RoutingRecorder(layers, torch.ones(1, 1, dtype=torch.long), torch.tensor([9]))
    recorder.on_forward("prompt", torch.zeros(1, 1, dtype=torch.long))
    for layer, ids in zip(layers, ([3, 0, 2], [2, 0]), strict=True):
        recorder.on_router(layer, torch.zeros(1, layer.experts), None)
        recorder.on_selection(layer, torch.tensor([ids]), torch.tensor([[0.1] * (len(ids) - 1) + [0.9]]))
    found = recorder.fetch()
    assert found.pairs is not None
    pairs = found.pairs.dense((2, 2, 4, 4))
    assert [(i, j) for (i, j), n in np.ndenumerate(pairs[0, 0]) if n] == [(0, 2), (0, 3), (2, 3)]
    assert [(i, j) for (i, j), n in np.ndenumerate(pairs[0, 1]) if n] == [(0, 2)]
    assert found.top_expert[:, 0, 0].tolist() == [2, 0]


def test_the_table_carries_the_description_through_its_blob(traced: tuple[LoadedModel, Trace]) -> None:
    _, trace = traced
    table = routing_table(trace)
    read = RoutingTable.from_bytes(table.to_bytes())
    assert table.coactivation is not None
    assert read.coactivation is not None
    np.testing.assert_array_equal(read.coactivation.pairs, table.coactivation.pairs)
    layer = trace.layers[-1]
    assert read.coactivation.partners((layer, 1)) == table.coactivation.partners((layer, 1))
    assert read.top_tokens is not None
    assert table.top_tokens is not None
    assert [read.top_tokens.of(1, e) for e in range(8)] == [table.top_tokens.of(1, e) for e in range(8)]
