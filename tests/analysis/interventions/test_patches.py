"""A patched run is routed, or hears an expert, as its donor did; patched from itself it changes not one bit."""

import pytest
import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.interventions import mask, patch_output, patch_routing, record_run
from analysis.models import ExpertId, LoadedModel, SeamListener
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import batches, encode
from analysis.routing.trace import generate


def run(model: LoadedModel, prompts: PromptSet, *listeners: SeamListener, new: int = 0) -> Tensor:
    batch = next(batches(model, encode(model, prompts.prompts), batch_tokens=10_000))
    with torch.no_grad(), model.seam.attach(*listeners):
        if new:
            return generate(model, batch, new)
        return model.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits


def others(prompts: PromptSet) -> PromptSet:
    """Other words and other lengths."""
    return PromptSet("others", tuple(Prompt(f"o{i}", "xyz " * (1 + i % 4) + str(i)) for i in range(len(prompts))))


def experts(model: LoadedModel) -> list[ExpertId]:
    return [ExpertId(layer.layer, e) for layer in model.seam.layers for e in (0, 3)]


def test_a_run_patched_from_itself_is_the_same_bit_for_bit(model: LoadedModel, some_prompts: PromptSet) -> None:
    base = run(model, some_prompts)
    donor = record_run(model, some_prompts.prompts, experts(model))
    assert torch.equal(run(model, some_prompts, patch_routing(model, donor, some_prompts.prompts)), base)
    assert torch.equal(run(model, some_prompts, patch_output(model, donor, some_prompts.prompts)), base)


def test_answers_patched_from_themselves_are_the_same(model: LoadedModel, some_prompts: PromptSet) -> None:
    base = run(model, some_prompts, new=6)
    donor = record_run(model, some_prompts.prompts, experts(model), max_new_tokens=6)
    for patch in (patch_routing, patch_output):
        assert torch.equal(
            run(model, some_prompts, patch(model, donor, some_prompts.prompts, window="both"), new=6), base
        )


def test_the_recipient_is_routed_as_the_donor_counted_from_the_end(model: LoadedModel, some_prompts: PromptSet) -> None:
    donors = others(some_prompts)
    donor, own = record_run(model, donors.prompts), record_run(model, some_prompts.prompts)
    patched = record_run(model, some_prompts.prompts, (), patch_routing(model, donor, some_prompts.prompts))
    layer = model.seam.layers[0].layer
    for given, before, after in zip(donor.sequences, own.sequences, patched.sequences, strict=True):
        shared = min(len(given.tokens), len(before.tokens))
        for one in model.seam.layers:
            assert torch.equal(after.selections[one.layer].index[-shared:], given.selections[one.layer].index[-shared:])
            assert torch.equal(
                after.selections[one.layer].weights[-shared:], given.selections[one.layer].weights[-shared:]
            )
        # the first layer's states are still the recipient's own, so what has no counterpart is routed as before
        rest = len(before.tokens) - shared
        assert torch.equal(after.selections[layer].index[:rest], before.selections[layer].index[:rest])


def test_only_the_layers_and_the_window_that_are_asked_for(model: LoadedModel, some_prompts: PromptSet) -> None:
    donor, own = record_run(model, others(some_prompts).prompts), record_run(model, some_prompts.prompts)
    first, last = model.seam.layers[0].layer, model.seam.layers[-1].layer
    patch = patch_routing(model, donor, some_prompts.prompts, layers=[last])
    patched = record_run(model, some_prompts.prompts, (), patch)
    for before, after in zip(own.sequences, patched.sequences, strict=True):
        assert torch.equal(before.selections[first].index, after.selections[first].index)
    assert torch.equal(
        run(model, some_prompts, patch_routing(model, donor, some_prompts.prompts, window="decode")),
        run(model, some_prompts),
    )


def test_an_output_patched_from_a_silent_expert_is_mask_zero(model: LoadedModel, some_prompts: PromptSet) -> None:
    last = model.seam.layers[-1].layer
    used = [one.selections[last].index.flatten() for one in record_run(model, some_prompts.prompts).sequences]
    chosen = [ExpertId(last, int(torch.cat(used).bincount().argmax()))]
    silent = record_run(model, some_prompts.prompts, chosen, mask(model.seam, chosen))
    patched = run(model, some_prompts, patch_output(model, silent, some_prompts.prompts))
    masked = run(model, some_prompts, mask(model.seam, chosen))
    real = next(batches(model, encode(model, some_prompts.prompts), batch_tokens=10_000)).attention_mask.bool()
    torch.testing.assert_close(patched[real], masked[real], rtol=1e-4, atol=1e-4)
    assert not torch.equal(run(model, some_prompts), patched)


def test_prompts_that_are_no_recipients_run_as_they_are(model: LoadedModel, some_prompts: PromptSet) -> None:
    donor = record_run(model, some_prompts.prompts)
    patch = patch_routing(model, donor, others(some_prompts).prompts)
    assert torch.equal(run(model, some_prompts, patch), run(model, some_prompts))


def test_donors_that_do_not_fit_are_refused(tiny, some_prompts: PromptSet) -> None:
    model = tiny("mixtral")
    donor = record_run(model, some_prompts.prompts)
    with pytest.raises(InputError, match="the donor run has 9 prompts for 8: expected one for each"):
        patch_routing(model, donor, some_prompts.prompts[:8])
    with pytest.raises(InputError, match="'o0' has 8 tokens and its donor 7: pair prompts of one length"):
        patch_routing(model, donor, others(some_prompts).prompts, align="same")
    with pytest.raises(InputError, match="layer 7 has no experts: this model's MoE layers are 0, 1, 2"):
        patch_routing(model, donor, some_prompts.prompts, layers=[7])
    with pytest.raises(InputError, match="recorded no expert's output"):
        patch_output(model, donor, some_prompts.prompts)
    with pytest.raises(InputError, match="recorded not the output of L1·E2"):
        patch_output(model, donor, some_prompts.prompts, [ExpertId(1, 2)])
    twice = (some_prompts.prompts[0], Prompt("again", some_prompts.prompts[0].text))
    with pytest.raises(InputError, match="prompt 'again' has the same tokens as one before it"):
        patch_routing(model, record_run(model, twice), twice)
