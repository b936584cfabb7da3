"""What a trace says equals what the model did, found by looking at the routers with hooks of the test's own."""

from collections import Counter

import numpy as np
import pytest
import torch

from analysis.errors import CaptureError, InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import encode
from analysis.routing.recorder import BOUNDARY, PROMPT, RESPONSE
from analysis.routing.trace import SHARDS, CaptureSettings, capture
from analysis.shards import FolderShards

SETTINGS = CaptureSettings(max_new_tokens=6, batch_tokens=128, shard_prompts=4)


def routed(model: LoadedModel, tokens: list[int]) -> np.ndarray:
    """[layers, tokens, k]: what each router returns for one sequence alone, without padding and without the seam."""
    kept: dict[str, torch.Tensor] = {}
    handles = [
        layer.router.register_forward_hook(lambda _m, _i, out, path=layer.path: kept.__setitem__(path, out[2]))
        for layer in model.seam.layers
    ]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([tokens]))
    for handle in handles:
        handle.remove()
    return np.stack([kept[layer.path].reshape(len(tokens), -1).numpy() for layer in model.seam.layers])


def count(ids: np.ndarray, experts: int) -> np.ndarray:
    return np.stack([np.bincount(layer.ravel(), minlength=experts) for layer in ids])


def test_counts_equal_what_each_router_returned_for_the_prompt_alone(
    model: LoadedModel, some_prompts: PromptSet
) -> None:
    trace = capture(model, some_prompts, SETTINGS)
    for row, one in enumerate(encode(model, some_prompts.prompts)):
        ids = routed(model, list(one.tokens))
        np.testing.assert_array_equal(trace.selections[row, PROMPT], count(ids, 8))
        np.testing.assert_array_equal(trace.selections[row, BOUNDARY], count(ids[:, -1:], 8))


def test_answer_tokens_are_counted_apart_from_prompt_tokens(model: LoadedModel, some_prompts: PromptSet) -> None:
    trace = capture(model, some_prompts, SETTINGS)
    encoded = encode(model, some_prompts.prompts)
    for row in (0, 4, 8):
        prompt = list(encoded[row].tokens)
        answer = greedy(model, prompt, SETTINGS.max_new_tokens)
        fed = answer[:-1] if len(answer) == SETTINGS.max_new_tokens and 1 not in answer else answer
        fed = fed[: fed.index(1)] if 1 in fed else fed
        ids = routed(model, prompt + fed)[:, len(prompt) :]
        assert trace.tokens[row].tolist() == [len(prompt), 1, len(fed)]
        np.testing.assert_array_equal(trace.selections[row, RESPONSE], count(ids, 8))


def greedy(model: LoadedModel, tokens: list[int], steps: int) -> list[int]:
    """The arg-max continuation by whole forwards, one token at a time; 1 is the end token."""
    answer: list[int] = []
    with torch.inference_mode():
        while len(answer) < steps and 1 not in answer:
            answer.append(int(model.model(input_ids=torch.tensor([tokens + answer])).logits[0, -1].argmax()))
    return answer


def test_padding_and_batching_change_nothing(model: LoadedModel, some_prompts: PromptSet) -> None:
    together = capture(model, some_prompts, CaptureSettings(max_new_tokens=0, batch_tokens=10_000))
    alone = capture(model, some_prompts, CaptureSettings(max_new_tokens=0, batch_tokens=1, shard_prompts=1))
    np.testing.assert_array_equal(together.selections, alone.selections)
    np.testing.assert_allclose(together.probability, alone.probability, rtol=1e-4, atol=1e-5)


def test_frequency_sums_to_k_and_probability_to_one(model: LoadedModel, some_prompts: PromptSet) -> None:
    trace = capture(model, some_prompts, SETTINGS)
    np.testing.assert_allclose(np.nansum(trace.frequency[:, PROMPT], -1), model.description.top_k, rtol=1e-5)
    np.testing.assert_allclose(np.nansum(trace.probability[:, PROMPT], -1), 1, rtol=1e-5)


def test_the_certificate_counts_every_assignment(model: LoadedModel, some_prompts: PromptSet) -> None:
    trace = capture(model, some_prompts, SETTINGS)
    certificate = trace.certificate.as_dict()
    tokens = sum(len(one.tokens) for one in encode(model, some_prompts.prompts)) + int(trace.tokens[:, RESPONSE].sum())
    expected = tokens * model.description.top_k * len(model.description.moe_layers)
    assert certificate["passed"]
    assert certificate["assignments_expected"] == certificate["assignments_seen"] == expected
    assert certificate["layers_seen"] == len(model.description.moe_layers)
    assert certificate["spot_check"] == {"prompts": 4, "logits_identical": True, "router_agreement": True}


def test_layers_keep_their_index_when_some_are_dense(tiny) -> None:
    assert tiny("qwen3_moe").description.moe_layers == (0, 2)
    assert tiny("qwen3_moe").description.dense_layers == (1,)
    assert tiny("deepseek_v3").description.moe_layers == (1, 2)
    assert tiny("deepseek_v3").description.shared_experts == 1


def test_a_layer_that_runs_twice_fails_the_certificate(
    tiny, some_prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("olmoe")
    layer = model.model.model.layers[1]
    once = layer.mlp.forward
    monkeypatch.setattr(layer.mlp, "forward", lambda hidden: (once(hidden), once(hidden))[1])
    with pytest.raises(CaptureError, match="not called exactly once"):
        capture(model, some_prompts, SETTINGS)


def test_an_interrupted_capture_goes_on_from_its_last_shard(tiny, some_prompts: PromptSet, tmp_path) -> None:
    model, settings = tiny("olmoe"), SETTINGS
    whole = capture(model, some_prompts, settings)
    calls: Counter[str] = Counter()

    def stop_after_one(stage: str, done: int, _total: int) -> None:
        calls[stage] += 1
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(model, some_prompts, settings, shards=FolderShards(tmp_path), progress=stop_after_one)
    first = (tmp_path / f"{SHARDS}-0000.safetensors").stat().st_mtime_ns
    resumed = capture(model, some_prompts, settings, shards=FolderShards(tmp_path))
    assert (tmp_path / f"{SHARDS}-0000.safetensors").stat().st_mtime_ns == first
    np.testing.assert_array_equal(resumed.selections, whole.selections)
    assert resumed.answers == whole.answers


def test_a_prompt_beyond_the_context_is_named(tiny) -> None:
    prompts = PromptSet("long", (Prompt("short", "a"), Prompt("p2", "word " * 200)))
    with pytest.raises(InputError, match=r"prompt 'p2' has \d+ tokens: this model takes 1 to 511"):
        capture(tiny("olmoe"), prompts, SETTINGS)
