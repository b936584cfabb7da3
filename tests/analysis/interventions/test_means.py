"""An expert under `mask_mean` says its mean over benign text, as a forward worked out by hand has it."""

import pytest
import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.interventions import ExpertMeans, mask, mask_mean, mean_outputs
from analysis.models import ExpertId, LoadedModel, SeamListener
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.encoding import encode


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(4, 250, (2, 9), generator=torch.Generator().manual_seed(3))


def run(model: LoadedModel, ids: Tensor, *listeners: SeamListener) -> Tensor:
    with torch.no_grad(), model.seam.attach(*listeners):
        return model.model(input_ids=ids).logits


def by_hand(experts, state: Tensor, expert: int) -> Tensor:
    """One expert on one token: silu(gate)·up, then down."""
    gate, up = (experts.gate_up_proj[expert] @ state).chunk(2)
    return experts.down_proj[expert] @ (torch.nn.functional.silu(gate) * up)


def mean_by_hand(model: LoadedModel, prompts: PromptSet, layer: int, expert: int) -> Tensor:
    """Prompt by prompt without padding, token by token."""
    experts = next(one.experts_module for one in model.seam.layers if one.layer == layer)
    found: list[Tensor] = []

    def keep(module, args) -> None:
        found.extend(
            by_hand(experts, state, expert)
            for state, chosen in zip(args[0], args[1], strict=True)
            if expert in chosen.tolist()
        )

    handle = experts.register_forward_pre_hook(keep)
    with torch.no_grad():
        for one in encode(model, prompts.prompts):
            model.model(input_ids=torch.tensor([one.tokens]))
    handle.remove()
    return torch.stack(found).mean(0)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_it_equals_a_forward_worked_out_by_hand(tiny, some_prompts: PromptSet, ids: Tensor, family: str) -> None:
    model = tiny(family)
    means = mean_outputs(model, some_prompts.prompts)
    ends = (model.seam.layers[0].layer, model.seam.layers[-1].layer)
    chosen = [ExpertId(layer, int(means.tokens[layer].argmax())) for layer in ends]
    masked = run(model, ids, mask_mean(model.seam, chosen, means))
    expected = {e: mean_by_hand(model, some_prompts, e.layer, e.expert) for e in chosen}
    kept = {layer.layer: layer.experts_module.forward for layer in model.seam.layers}

    def slowly(layer: int, experts):
        def forward(hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
            rows = []
            for state, slots, shares in zip(hidden, index.tolist(), weights, strict=True):
                parts = (
                    share * (expected[ExpertId(layer, e)] if (layer, e) in expected else by_hand(experts, state, e))
                    for e, share in zip(slots, shares, strict=True)
                )
                rows.append(sum(parts))
            return torch.stack(rows)

        return forward

    for layer in model.seam.layers:
        layer.experts_module.forward = slowly(layer.layer, layer.experts_module)
    try:
        with torch.no_grad():
            truth = model.model(input_ids=ids).logits
    finally:
        for layer in model.seam.layers:
            layer.experts_module.forward = kept[layer.layer]
    torch.testing.assert_close(masked, truth, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(masked, run(model, ids), atol=1e-3)


def test_means_do_not_depend_on_the_batches_or_their_padding(model: LoadedModel, some_prompts: PromptSet) -> None:
    together = mean_outputs(model, some_prompts.prompts)
    alone = mean_outputs(model, some_prompts.prompts, batch_tokens=1)
    for layer in together.mean:
        assert torch.equal(together.tokens[layer], alone.tokens[layer])
        torch.testing.assert_close(together.mean[layer], alone.mean[layer], rtol=1e-4, atol=1e-5)
    tokens = sum(len(one.tokens) for one in encode(model, some_prompts.prompts))
    assert all(int(count.sum()) == tokens * model.description.top_k for count in together.tokens.values())


def test_a_mean_of_nothing_is_mask_zero(model: LoadedModel, some_prompts: PromptSet, ids: Tensor) -> None:
    layer = model.seam.layers[0].layer
    means = mean_outputs(model, some_prompts.prompts)
    expert = ExpertId(layer, int(means.tokens[layer].argmax()))
    nothing = ExpertMeans({k: torch.zeros_like(v) for k, v in means.mean.items()}, means.tokens)
    assert torch.equal(
        run(model, ids, mask_mean(model.seam, [expert], nothing)), run(model, ids, mask(model.seam, [expert]))
    )


def test_windows(model: LoadedModel, some_prompts: PromptSet, ids: Tensor) -> None:
    layer = model.seam.layers[0].layer
    means = mean_outputs(model, some_prompts.prompts)
    expert = ExpertId(layer, int(means.tokens[layer].argmax()))
    base = run(model, ids)
    assert torch.equal(run(model, ids, mask_mean(model.seam, [expert], means, "decode")), base)
    assert not torch.equal(run(model, ids, mask_mean(model.seam, [expert], means, "prompt")), base)


def test_an_expert_without_a_mean_is_named(tiny, some_prompts: PromptSet) -> None:
    model = tiny("mixtral")
    means = mean_outputs(model, some_prompts.prompts, [ExpertId(0, 1)])
    with pytest.raises(InputError, match="L1·E3 was chosen by no token of the calibration prompts"):
        mask_mean(model.seam, [ExpertId(0, 1), ExpertId(1, 3)], means)
    with pytest.raises(InputError, match="there is no expert 8"):
        mask_mean(model.seam, [ExpertId(0, 8)], means)
    with pytest.raises(InputError, match="leaves fewer than the 2"):
        mask_mean(model.seam, [ExpertId(0, e) for e in range(7)], means)
