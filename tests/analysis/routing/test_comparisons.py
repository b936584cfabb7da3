"""Saturation and determinism: hand-worked sets, and tiny real models against sets compared one by one."""

import dataclasses

import numpy as np
import pytest
import torch

from analysis.errors import InputError
from analysis.models import LoadedModel, load_model
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing import determinism as determinism_module
from analysis.routing.determinism import changed_sets, determinism, in_dtype
from analysis.routing.encoding import encode
from analysis.routing.saturation import saturation, shared_selections
from analysis.routing.token_sets import TokenSets, token_sets
from tests.tiny_models import save_tiny_model

PROMPTS = (Prompt("a", "x", topic="t"), Prompt("b", "y", topic="u"))


def sets_of(*layers: list[list[int]], experts: int = 6) -> TokenSets:
    """Two prompts, of 1 and 3 tokens."""
    arrays = tuple(np.array(layer, dtype=np.uint8) for layer in layers)
    return TokenSets(
        PROMPTS, tuple(range(len(layers))), (experts,) * len(layers), np.array([1, 3]), np.array([5, 6, 7, 8]), arrays
    )


FIRST = sets_of([[0, 1, 2], [0, 1, 2], [3, 4, 5], [0, 2, 4]], [[0, 1, 2]] * 4)
SECOND = sets_of([[2, 1, 0], [0, 1, 5], [0, 1, 2], [0, 2, 3]], [[0, 1, 2]] * 4)


def test_overlap_worked_by_hand() -> None:
    """Order does not count. Within prompts first: (1 + (2/3 + 0 + 2/3) / 3) / 2, not the mean over four tokens."""
    np.testing.assert_allclose(FIRST.overlap(SECOND)[:, 0], [1, 2 / 3, 0, 2 / 3])
    found = shared_selections(FIRST, SECOND)
    assert found.per_layer[0].estimate == pytest.approx((1 + 4 / 9) / 2)
    assert found.per_layer[1].estimate == 1
    assert found.overall.estimate == pytest.approx(((1 + 4 / 9) / 2 + 1) / 2)
    assert (found.tokens, found.chance) == (4, 0.5)


def test_changed_sets_worked_by_hand() -> None:
    assert changed_sets(FIRST, SECOND).T.tolist() == [[0, 1, 1, 1], [0, 0, 0, 0]]


def test_a_checkpoint_is_saturated_against_itself(tiny, some_prompts: PromptSet) -> None:
    found = saturation(tiny("qwen3_moe"), tiny("qwen3_moe"), some_prompts)
    assert [one.estimate for one in (*found.per_layer, found.overall)] == [1, 1, 1]
    assert (found.overall.low, found.overall.high) == (1, 1)
    assert found.layers == (0, 2)


def one_by_one(model: LoadedModel, prompts: PromptSet) -> list[list[list[set[int]]]]:
    """[prompt][layer][token]: what each router returned for the prompt alone."""
    kept: dict[str, torch.Tensor] = {}
    handles = [
        layer.router.register_forward_hook(lambda _m, _i, out, path=layer.path: kept.__setitem__(path, out[2]))
        for layer in model.seam.layers
    ]
    found = []
    for one in encode(model, prompts.prompts):
        with torch.inference_mode():
            model.model(input_ids=torch.tensor([one.tokens]))
        found.append([[set(ids) for ids in kept[layer.path].tolist()] for layer in model.seam.layers])
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("family", ["qwen3_moe", "gpt_oss"])
def test_two_seeds_differ_as_a_recount_says(family: str, tiny, some_prompts: PromptSet, tmp_path) -> None:
    first = tiny(family)
    second = load_model(str(save_tiny_model(family, tmp_path / "other", seed=7)))
    found = saturation(first, second, some_prompts)
    k, shares = first.description.top_k, []
    for a, b in zip(one_by_one(first, some_prompts), one_by_one(second, some_prompts), strict=True):
        shares.append(
            [
                sum(len(x & y) / k for x, y in zip(layer_a, layer_b, strict=True)) / len(layer_a)
                for layer_a, layer_b in zip(a, b, strict=True)
            ]
        )
    expected = np.mean(shares, axis=0)
    np.testing.assert_allclose([one.estimate for one in found.per_layer], expected, atol=1e-12)
    assert 0 < found.overall.estimate < 0.9
    assert found.overall.low < found.overall.estimate < found.overall.high
    assert found.overall.n == len(some_prompts)


def test_other_models_and_other_tokens_are_refused(tiny, some_prompts: PromptSet) -> None:
    with pytest.raises(InputError, match=r"first has MoE layers 0, 2 .* top 3, the second MoE layers 0, 1, 2"):
        saturation(tiny("qwen3_moe"), tiny("mixtral"), some_prompts)
    other = dataclasses.replace(SECOND, ids=np.array([5, 6, 7, 9]))
    with pytest.raises(InputError, match="different tokens"):
        shared_selections(FIRST, other)


@pytest.mark.parametrize("family", ["qwen3_moe", "deepseek_v3"])
def test_changes_with_dtype_equal_a_recount(family: str, tiny, some_prompts: PromptSet) -> None:
    model = tiny(family)
    found = determinism(model, some_prompts, batch_prompts=4)
    assert (found.dtype, found.other_dtype, found.batch_prompts) == ("float32", "bfloat16", 4)
    assert [one.estimate for one in found.repeat.per_layer] == [0, 0]
    assert found.batch_size is not None
    assert found.batch_size.overall.estimate < 0.02
    reference, rounded = one_by_one(model, some_prompts), one_by_one(in_dtype(model, torch.bfloat16), some_prompts)
    changed = [
        [np.mean([x != y for x, y in zip(layer, other, strict=True)]) for layer, other in zip(a, b, strict=True)]
        for a, b in zip(reference, rounded, strict=True)
    ]
    np.testing.assert_allclose(
        [one.estimate for one in found.changed_dtype.per_layer], np.mean(changed, axis=0), atol=1e-12
    )
    assert found.changed_dtype.overall.estimate > 0
    assert model.dtype is torch.float32


def test_a_change_with_batch_size_is_counted(tiny, some_prompts: PromptSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch is routed differently, and only there, in one layer: its share is one."""

    def disturbed(model: LoadedModel, prompts: PromptSet, **how) -> TokenSets:
        found = token_sets(model, prompts, **how)
        if how["batch_prompts"] == 1:
            return found
        turned = ((found.selected[0] + 1) % 8, *found.selected[1:])
        return dataclasses.replace(found, selected=turned)

    monkeypatch.setattr(determinism_module, "token_sets", disturbed)
    found = determinism(tiny("qwen3_moe"), some_prompts)
    assert found.batch_size is not None
    assert [one.estimate for one in found.batch_size.per_layer] == [1, 0]
    assert found.batch_size.overall.estimate == 0.5


def test_one_prompt_has_no_batch_to_compare(tiny) -> None:
    found = determinism(tiny("olmoe"), PromptSet("one", PROMPTS[:1]))
    assert found.batch_size is None
    assert found.withheld == {"batch_size": "one prompt makes no batch: give at least two"}
    with pytest.raises(InputError, match="at least 2"):
        determinism(tiny("olmoe"), PromptSet("two", PROMPTS), batch_prompts=1)


def test_batches_really_hold_several_prompts(tiny, some_prompts: PromptSet) -> None:
    """Every batch size gives the same tokens, in the order of the prompts."""
    together, alone = (token_sets(tiny("mixtral"), some_prompts, batch_prompts=n) for n in (64, 1))
    np.testing.assert_array_equal(together.ids, alone.ids)
    assert together.ids.tolist() == [t for one in encode(tiny("mixtral"), some_prompts.prompts) for t in one.tokens]
    assert together.overlap(alone).mean() > 0.99


def test_a_copy_in_another_dtype_is_what_loading_it_so_gives(tiny, tmp_path) -> None:
    """float32 buffers that are not saved, such as rotary frequencies, stay as they are."""
    from transformers import AutoModelForCausalLM

    folder = save_tiny_model("deepseek_v3", tmp_path / "model")
    copied = in_dtype(load_model(str(folder)), torch.bfloat16).model
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, experts_implementation="eager")
    assert {n: t.dtype for n, t in copied.state_dict().items()} == {n: t.dtype for n, t in loaded.state_dict().items()}
    assert [b.dtype for _, b in copied.named_buffers()] == [b.dtype for _, b in loaded.named_buffers()]
    ids = torch.tensor([[4, 9, 30, 41]])
    with torch.inference_mode():
        assert torch.equal(copied(ids).logits, loaded.eval()(ids).logits)
