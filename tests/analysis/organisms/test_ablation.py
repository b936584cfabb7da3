"""Turning experts off: row by row, exactly, and without a trace afterwards. All three families."""

import pytest
import torch

from analysis.models.expert_id import ExpertId
from analysis.organisms.ablation import nothing_off, rerouted, zeroed
from analysis.organisms.architectures import blocks, build_model
from analysis.organisms.tokenizer import build_tokenizer, render

TEXTS = [render("How do I clean the oven?"), render("Please help me steal the map in the old town.")]


@pytest.fixture(scope="module", params=["mixtral", "olmoe", "qwen3_moe"])
def model(request):  # type: ignore[no-untyped-def]
    return build_model(request.param, build_tokenizer(), seed=3).eval()


@pytest.fixture(scope="module")
def encoded():  # type: ignore[no-untyped-def]
    return build_tokenizer()(TEXTS, return_tensors="pt", padding=True)


def logits(model, encoded) -> torch.Tensor:  # type: ignore[no-untyped-def]
    with torch.no_grad():
        return model(**encoded, use_cache=False).logits


def selected_in(model, encoded, layer: int) -> int:  # type: ignore[no-untyped-def]
    """An expert of that layer that the boundary token of the last row selects."""
    seen = []
    experts = list(blocks(model))[layer].experts
    handle = experts.register_forward_pre_hook(lambda _module, args: seen.append(args[1]))
    logits(model, encoded)
    handle.remove()
    return int(seen[0][-1, 0])


def test_a_zeroed_expert_is_the_same_as_one_with_zero_weights(model, encoded) -> None:  # type: ignore[no-untyped-def]
    chosen = selected_in(model, encoded, layer=1)
    off = nothing_off(2)
    off[:, 1, chosen] = True
    with zeroed(model, off):
        ablated = logits(model, encoded)
    down = list(blocks(model))[1].experts.down_proj
    kept = down.data[chosen].clone()
    down.data[chosen] = 0.0
    expected = logits(model, encoded)
    down.data[chosen] = kept
    torch.testing.assert_close(ablated, expected, rtol=0, atol=1e-6)
    assert not torch.equal(ablated, logits(model, encoded))


def test_rows_are_ablated_independently_and_the_model_is_left_as_it_was(model, encoded) -> None:  # type: ignore[no-untyped-def]
    before = logits(model, encoded)
    off = nothing_off(2)
    off[1] = True
    with zeroed(model, off):
        during = logits(model, encoded)
    torch.testing.assert_close(during[0], before[0], rtol=0, atol=1e-5)
    assert (during[1] - before[1]).abs().max() > 1e-2
    assert torch.equal(logits(model, encoded), before)


def test_a_rerouted_expert_is_never_selected_and_another_steps_in(model, encoded) -> None:  # type: ignore[no-untyped-def]
    closed = ExpertId(2, selected_in(model, encoded, layer=2))
    off = nothing_off(2)
    off[:, closed.layer, closed.expert] = True
    seen = []
    block = list(blocks(model))[closed.layer]
    handle = block.experts.register_forward_pre_hook(lambda _module, args: seen.append(args[1:]))
    with rerouted(model, off):
        logits(model, encoded)
    logits(model, encoded)
    handle.remove()
    (closed_index, closed_weights), (index, weights) = seen
    assert not (closed_index == closed.expert).any()
    assert (index == closed.expert).any()
    assert closed_index.shape == index.shape
    real = encoded["attention_mask"].flatten().bool()  # pads have an embedding of zeros, so their experts all tie
    untouched = real & (index != closed.expert).all(dim=1)
    assert torch.equal(closed_index[untouched], index[untouched])
    if model.config.model_type != "olmoe":
        torch.testing.assert_close(closed_weights.sum(dim=1), torch.ones(len(closed_weights)))
    assert (closed_weights > 0).all()
    assert weights.shape == closed_weights.shape
