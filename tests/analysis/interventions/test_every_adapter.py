"""Families that open their experts in a way of their own can be steered, patched and mean-masked as well."""

import pytest
import torch
from torch import Tensor

from analysis.conformance.check import _subject
from analysis.conformance.subject import Subject, forward
from analysis.interventions import mask, mask_mean, mean_outputs, patch_output, patch_routing, record_run, steer_soft
from analysis.models import ExpertId, ExpertsCall, MoeLayer, SeamListener

ODD = (
    "cohere2_moe",
    "dbrx",
    "deepseek_v4",
    "ernie4_5_moe",
    "gemma4_text",
    "inkling_text",
    "jetmoe",
    "llama4_text",
    "longcat_flash",
    "minimax_m2",
    "phimoe",
    "zaya",
)


class Parts(SeamListener):
    """The sum of all contributions beside the output."""

    def __init__(self) -> None:
        self.sums: dict[int, Tensor] = {}
        self.outputs: dict[int, Tensor] = {}
        self.hidden: dict[int, Tensor] = {}
        self.index: dict[int, Tensor] = {}

    def on_output(self, layer: MoeLayer, call: ExpertsCall, output: Tensor) -> None:
        total = torch.zeros_like(output)
        for expert in range(layer.experts):
            part = call.contribution(expert)
            total.index_add_(0, part.tokens, part.values)
        self.sums[layer.layer], self.outputs[layer.layer] = total, output.clone()
        self.hidden[layer.layer], self.index[layer.layer] = call.hidden, call.index


@pytest.fixture(scope="module", params=ODD)
def one(request: pytest.FixtureRequest) -> Subject:
    return _subject(request.param)


def working(one: Subject) -> tuple[Parts, Tensor]:
    parts, run = Parts(), forward(one)
    with one.loaded.seam.attach(parts):
        return parts, run()


def busiest(one: Subject, parts: Parts, layer: MoeLayer) -> ExpertId:
    order = parts.index[layer.layer].flatten().bincount(minlength=layer.experts).argsort(descending=True).tolist()
    return ExpertId(layer.layer, next(e for e in order if layer.adapter.expert_weights(layer, e)))


def test_contributions_add_up_to_the_output(one: Subject) -> None:
    parts, _ = working(one)
    for layer in one.loaded.seam.layers:
        expected = parts.outputs[layer.layer]
        if one.loaded.description.family == "jetmoe":  # adds a bias to the sum of its experts
            expected = expected - layer.experts_module.bias
        if one.loaded.description.family.startswith("llama4"):  # the shared expert is in the same module
            expected = expected - layer.experts_module.shared_expert(parts.hidden[layer.layer])
        torch.testing.assert_close(parts.sums[layer.layer], expected, rtol=1e-4, atol=1e-4)


def test_listening_to_outputs_changes_nothing(one: Subject) -> None:
    assert torch.equal(working(one)[1], forward(one)())


def test_steering_holds_on_every_token(one: Subject) -> None:
    parts, _ = working(one)
    layer = next((layer for layer in one.loaded.seam.layers if layer.reroutable), None)
    if layer is None:
        pytest.skip("chooses experts by token in every layer of this size; the refusal has a test of its own")
    off = busiest(one, parts, layer)
    rarest = parts.index[layer.layer].flatten().bincount(minlength=layer.experts).argmin()
    seen = Parts()
    with one.loaded.seam.attach(steer_soft(one.loaded.seam, [ExpertId(layer.layer, int(rarest))], [off]), seen):
        forward(one)()
    assert (seen.index[layer.layer] == rarest).any(-1).all()
    assert not (seen.index[layer.layer] == off.expert).any()


def test_a_run_patched_from_itself_is_the_same_bit_for_bit(one: Subject) -> None:
    parts, base = working(one)
    model, prompts = one.loaded, one.prompts.prompts
    donor = record_run(model, prompts, [busiest(one, parts, layer) for layer in model.seam.layers])
    for patch in (patch_routing, patch_output):
        with model.seam.attach(patch(model, donor, prompts)):
            assert torch.equal(forward(one)(), base)


def test_routing_patched_from_others_arrives_at_the_experts(one: Subject) -> None:
    model, prompts = one.loaded, one.prompts.prompts
    donor = record_run(model, prompts[::-1])
    patched = record_run(model, prompts, (), patch_routing(model, donor, prompts))
    for given, after in zip(donor.sequences, patched.sequences, strict=True):
        shared = min(len(given.tokens), len(after.tokens))
        for layer, selection in after.selections.items():
            assert torch.equal(selection.index[-shared:], given.selections[layer].index[-shared:])


def test_a_mean_replaces_what_the_expert_adds(one: Subject) -> None:
    """In the last layer, whose inputs a mask there does not change."""
    parts, _ = working(one)
    model = one.loaded
    layer = model.seam.layers[-1]
    expert = busiest(one, parts, layer)
    means, masked, silenced = mean_outputs(model, one.prompts.prompts), Parts(), Parts()
    with model.seam.attach(mask_mean(model.seam, [expert], means), masked):
        forward(one)()
    with model.seam.attach(mask(model.seam, [expert]), silenced):
        forward(one)()
    chosen = (parts.index[layer.layer] == expert.expert).any(-1)
    added = (masked.outputs[layer.layer] - silenced.outputs[layer.layer])[chosen]
    direction = means.mean[layer.layer][expert.expert]
    along = torch.nn.functional.cosine_similarity(added, direction.expand_as(added), dim=-1)
    torch.testing.assert_close(along, torch.ones_like(along), rtol=1e-3, atol=1e-3)
    assert torch.equal(masked.outputs[layer.layer][~chosen], silenced.outputs[layer.layer][~chosen])
