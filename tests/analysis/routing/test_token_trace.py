"""Token by token, a trace is what the model did: held against the counts, and against hooks of the test's own."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from analysis.conformance.subject import subject
from analysis.conformance.tiny import tiny_model
from analysis.errors import CaptureError, ExpertScopeError, InputError
from analysis.interventions import mask
from analysis.models import ExpertId, LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import encode
from analysis.routing.token_trace import NO_EXPERT, TokenTrace
from analysis.routing.token_tracing import token_traces, trace_tokens
from analysis.routing.trace import CaptureSettings, capture

SAVED = ("qwen3_moe", "mixtral", "olmoe", "deepseek_v3", "gpt_oss")
BUILT = ("llama4_text", "jetmoe", "dbrx", "longcat_flash", "zaya")
NEW_TOKENS = 6
WINDOWS = ({"template", "prompt", "boundary"}, {"boundary"}, {"response"})


@pytest.fixture(scope="session")
def any_model(tiny: Callable[[str], LoadedModel]) -> Callable[[str], LoadedModel]:
    @cache
    def load(family: str) -> LoadedModel:
        return tiny(family) if family in SAVED else subject(tiny_model(family), family).loaded

    return load


@pytest.fixture(scope="session")
def words() -> PromptSet:
    """Known to both tokenizers; of different lengths, so that every batch is padded."""
    texts = (" ".join(f"w{(7 * i + j) % 300 + 2}" for j in range(1 + (i * 3) % 7)) for i in range(7))
    return PromptSet("words", tuple(Prompt(f"p{i}", text) for i, text in enumerate(texts)))


@pytest.mark.parametrize("family", SAVED + BUILT)
def test_tokens_add_up_to_the_counts_of_the_capture(family: str, any_model: Any, words: PromptSet) -> None:
    model = any_model(family)
    captured = capture(model, words, CaptureSettings(max_new_tokens=NEW_TOKENS, batch_tokens=128))
    traced = trace_tokens(model, words.prompts, NEW_TOKENS, batch_tokens=128)
    for row, (trace, answer) in enumerate(traced):
        assert answer == captured.answers[row]
        for window, parts in enumerate(WINDOWS):
            np.testing.assert_array_equal(trace.selections(parts), captured.selections[row, window])


def applied(model: LoadedModel, tokens: list[int]) -> np.ndarray:
    """Weight of every expert [layers, tokens, experts] for one sequence alone, read where each family keeps it."""
    kept: dict[int, np.ndarray] = {}
    experts = model.description.experts

    def dense(position: int, index: torch.Tensor, weights: torch.Tensor) -> None:
        kept[position] = np.zeros((len(tokens), experts))
        np.put_along_axis(kept[position], index.reshape(len(tokens), -1).numpy(), weights.float().numpy(), 1)

    def usual(position: int) -> Callable[..., None]:
        def hook(_module: Any, args: tuple, kwargs: dict) -> None:
            dense(position, *[*args, *kwargs.values()][1:3])

        return hook

    def llama4(position: int) -> Callable[..., None]:
        return lambda _m, _a, output: kept.__setitem__(position, output[0].float().numpy())

    def jetmoe(position: int) -> Callable[..., None]:
        def hook(_module: Any, _args: tuple, output: tuple) -> None:
            _, token_of, gates, sizes, _ = output
            expert_of = np.repeat(np.arange(experts), sizes)
            kept[position] = np.zeros((len(tokens), experts))
            kept[position][token_of.numpy(), expert_of] = gates.float().numpy()

        return hook

    at_router = {"llama4_text": llama4, "jetmoe": jetmoe}.get(model.description.family)
    handles = [
        layer.router.register_forward_hook(at_router(layer.position))
        if at_router
        else layer.experts_module.register_forward_pre_hook(usual(layer.position), with_kwargs=True)
        for layer in model.seam.layers
    ]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([tokens]))
    for handle in handles:
        handle.remove()
    return np.stack([kept[layer.position] for layer in model.seam.layers])


def dense_weights(trace: TokenTrace) -> np.ndarray:
    return np.stack(
        [np.stack([trace.weight_of(layer, expert) for expert in range(trace.experts)], 1) for layer in trace.layers]
    )


@pytest.mark.parametrize("family", [*SAVED, "llama4_text", "jetmoe"])
def test_weights_are_those_that_reach_the_experts(family: str, any_model: Any, words: PromptSet) -> None:
    model = any_model(family)
    encoded = encode(model, words.prompts)
    for one, (trace, answer) in zip(encoded, trace_tokens(model, words.prompts, NEW_TOKENS), strict=True):
        routed = int(trace.routed.sum())
        whole = [*one.tokens, *answer.tokens][:routed]
        expected = applied(model, whole)
        np.testing.assert_allclose(dense_weights(trace)[:, :routed], expected, rtol=2e-3, atol=1e-4)


def test_a_capture_keeps_the_same_tokens_when_it_is_asked_to(any_model: Any, words: PromptSet) -> None:
    model = any_model("olmoe")
    settings = CaptureSettings(NEW_TOKENS, batch_tokens=128, shard_prompts=3, token_bytes=1_000_000)
    kept = token_traces(model, capture(model, words, settings))
    alone = [one.trace for one in trace_tokens(model, words.prompts, NEW_TOKENS, batch_tokens=128)]
    assert [(one.prompt_id, one.tokens, one.parts) for one in kept] == [
        (one.prompt_id, one.tokens, one.parts) for one in alone
    ]
    for one, other in zip(kept, alone, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-3)


def test_a_capture_keeps_no_more_than_the_bound(any_model: Any, words: PromptSet) -> None:
    model = any_model("olmoe")
    settings = CaptureSettings(NEW_TOKENS, batch_tokens=128, token_bytes=1_500)
    kept = capture(model, words, settings).kept
    assert 0 < len(kept) < len(words)
    assert sum(one.ids.nbytes + one.weights.nbytes for one in kept.values()) <= 1_500


def test_a_capture_keeps_no_tokens_unasked(any_model: Any, words: PromptSet) -> None:
    assert not capture(any_model("olmoe"), words, CaptureSettings(0)).kept


def test_texts_and_parts_follow_the_template(tiny: Any) -> None:
    [(trace, answer)] = trace_tokens(tiny("olmoe"), [Prompt("one", "ab<")], 2)
    assert trace.tokens[:6] == ("<user>", "a", "b", "<", "<end>", "<assistant>")
    assert trace.parts[:6] == ("template", "prompt", "prompt", "prompt", "template", "boundary")
    assert trace.special[:6] == (True, False, False, False, True, True)
    assert set(trace.parts[6:]) <= {"response"}
    assert len(trace.tokens) == 6 + len(answer.tokens) - answer.finished


def test_without_a_template_the_last_word_is_the_boundary(any_model: Any) -> None:
    [(trace, _)] = trace_tokens(any_model("jetmoe"), [Prompt("one", "w5 w6 w7")], 0)
    assert trace.tokens == ("w5", "w6", "w7")
    assert trace.parts == ("prompt", "prompt", "boundary")


def test_the_last_token_of_a_cut_answer_is_shown_and_was_not_routed(any_model: Any, words: PromptSet) -> None:
    traced = trace_tokens(any_model("olmoe"), words.prompts, NEW_TOKENS)
    cut = [one for one in traced if not one.answer.finished]
    assert cut
    for trace, answer in cut:
        assert trace.parts.count("response") == len(answer.tokens) == NEW_TOKENS
        assert trace.routed.tolist() == [True] * (len(trace.tokens) - 1) + [False]
        assert (trace.ids[:, -1] == NO_EXPERT).all()


def test_a_masked_expert_is_seen_with_weight_zero(any_model: Any, words: PromptSet) -> None:
    model = any_model("olmoe")
    layer = model.seam.layers[0].layer
    [(before, _)] = trace_tokens(model, words.prompts[:1], 0)
    busiest = ExpertId(layer, int(before.ids[0, 0, 0]))
    with model.seam.install(mask(model.seam, [busiest])):
        [(after, _)] = trace_tokens(model, words.prompts[:1], 0)
    assert np.nansum(before.weight_of(*busiest)) > 0
    assert np.nansum(after.weight_of(*busiest)) == 0
    np.testing.assert_array_equal(after.selections()[0], before.selections()[0])


def test_a_layer_that_runs_twice_is_refused(tiny: Any, words: PromptSet, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("olmoe")
    layer = model.model.model.layers[1]
    once = layer.mlp.forward
    monkeypatch.setattr(layer.mlp, "forward", lambda hidden: (once(hidden), once(hidden))[1])
    with pytest.raises(CaptureError, match="not called exactly once"):
        trace_tokens(model, words.prompts, 0)


def by_hand() -> TokenTrace:
    """Two layers, the second with k = 1; the second token was never routed."""
    ids = np.array([[[0, 3], [NO_EXPERT] * 2], [[2, NO_EXPERT], [NO_EXPERT] * 2]], dtype=np.uint16)
    weights = np.array([[[0.5, 1.5], [0, 0]], [[0.25, 0], [0, 0]]], dtype=np.float16)
    return TokenTrace("p", ("a", "b"), (False, True), ("boundary", "response"), (1, 4), 4, ids, weights)


def test_mass_is_the_share_of_each_layers_own_sum() -> None:
    trace = by_hand()
    np.testing.assert_allclose(trace.mass([(1, 3)], layer=1), [0.75, np.nan])
    np.testing.assert_allclose(trace.mass([(1, 3)], layer=4), [0, np.nan])
    np.testing.assert_allclose(trace.mass([(1, 3)]), [0.375, np.nan])
    np.testing.assert_allclose(trace.mass([(1, 3), (4, 2)]), [0.875, np.nan])
    np.testing.assert_allclose(trace.mass([(1, 0), (1, 3), (4, 2)]), [1, np.nan])
    np.testing.assert_allclose(trace.mass([]), [0, np.nan])


def test_a_weight_is_what_was_applied_and_no_share() -> None:
    np.testing.assert_allclose(by_hand().weight_of(1, 3), [1.5, np.nan])
    np.testing.assert_allclose(by_hand().weight_of(1, 2), [0, np.nan])


def test_the_first_experts_of_a_token_are_those_with_the_largest_share() -> None:
    top = by_hand().top(0)
    assert top == [(4, 2, 0.25, 1.0), (1, 3, 1.5, 0.75), (1, 0, 0.5, 0.25)]
    assert by_hand().top(0, layer=1, most=1) == [(1, 3, 1.5, 0.75)]
    assert by_hand().top(1) == []


def test_load_averages_over_the_routed_tokens() -> None:
    np.testing.assert_allclose(by_hand().load(), [[0.25, 0, 0, 0.75], [0, 0, 1, 0]])
    np.testing.assert_array_equal(by_hand().load({"prompt"}), np.zeros((2, 4)))


def test_a_layer_that_is_no_moe_layer_is_named() -> None:
    with pytest.raises(InputError, match=r"layer 2 is no MoE layer of this model: expected one of \(1, 4\)"):
        by_hand().weight_of(2, 0)


def test_a_trace_survives_storage(any_model: Any, words: PromptSet) -> None:
    [(trace, _)] = trace_tokens(any_model("qwen3_moe"), words.prompts[:1], 2)
    again = TokenTrace.from_bytes(trace.to_bytes())
    for name in ("prompt_id", "tokens", "special", "parts", "layers", "experts"):
        assert getattr(again, name) == getattr(trace, name)
    for name in ("ids", "weights"):
        assert getattr(again, name).dtype == getattr(trace, name).dtype
        np.testing.assert_array_equal(getattr(again, name), getattr(trace, name))


def test_a_damaged_blob_is_refused() -> None:
    with pytest.raises(ExpertScopeError, match="damaged"):
        TokenTrace.from_bytes(by_hand().to_bytes()[:-9])


def test_arrays_that_do_not_fit_the_tokens_are_refused() -> None:
    one = by_hand()
    with pytest.raises(ValueError, match="2 layers and 1 tokens"):
        TokenTrace("p", ("a",), (False,), ("boundary",), one.layers, 4, one.ids, one.weights)
