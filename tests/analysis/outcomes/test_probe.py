"""The refusal margin and its gradient, against whole forwards and finite differences."""

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.errors import WithheldError
from analysis.interventions import mask
from analysis.models import ExpertId, LoadedModel, MoeLayer, SeamListener, load_model
from analysis.outcomes.openings import Openings, find_openings
from analysis.outcomes.probe import Probe
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.encoding import encode
from tests.tiny_models import save_tiny_model

OPENINGS = Openings((10, 11), (20,))


class Scale(SeamListener):
    """Multiplies one expert's weight, wherever it was chosen."""

    def __init__(self, expert: ExpertId, factor: float) -> None:
        self.expert, self.factor = expert, factor

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor | None:
        if layer.layer != self.expert.layer:
            return None
        return torch.where(index == self.expert.expert, weights * self.factor, weights)


def test_margin_is_the_log_ratio_of_the_openings(model: LoadedModel, some_prompts: PromptSet) -> None:
    probe = Probe(model, some_prompts.prompts, OPENINGS, batch_tokens=64)
    for row, one in enumerate(encode(model, some_prompts.prompts)):
        with torch.inference_mode():
            p = model.model(input_ids=torch.tensor([one.tokens])).logits[0, -1].double().softmax(-1)
        assert probe.base.margin[row] == pytest.approx(float(torch.log((p[10] + p[11]) / p[20])), abs=1e-4)
        assert probe.base.outside[row] == pytest.approx(float(1 - p[10] - p[11] - p[20]), abs=1e-5)
    assert probe.base.kl.max() == 0


def test_gradient_equals_a_finite_difference_of_the_weights(model: LoadedModel, some_prompts: PromptSet) -> None:
    probe = Probe(model, some_prompts.prompts, OPENINGS, batch_tokens=64)
    gradient = probe.gradient()
    for position, layer in enumerate(model.seam.layers):
        expert = int(np.abs(gradient[:, position]).sum(0).argmax())
        up, down = (probe.measure(Scale(ExpertId(layer.layer, expert), 1 + e)).margin for e in (1e-3, -1e-3))
        np.testing.assert_allclose(gradient[:, position, expert], (up - down) / 2e-3, rtol=0.05, atol=5e-3)


def test_a_masked_expert_has_no_gradient(model: LoadedModel, some_prompts: PromptSet) -> None:
    probe = Probe(model, some_prompts.prompts, OPENINGS, batch_tokens=64)
    expert = ExpertId(model.seam.layers[-1].layer, int(np.abs(probe.gradient()[:, -1]).sum(0).argmax()))
    assert np.abs(probe.gradient(mask(model.seam, [expert]))[:, -1, expert.expert]).max() == 0


def test_integrated_gradients_add_up_to_what_all_experts_together_do(tmp_path, some_prompts: PromptSet) -> None:
    # Only the last layer is sparse, so that scaling its experts' output leaves its own routing alone.
    model = load_model(str(save_tiny_model("qwen3_moe", tmp_path / "m", mlp_only_layers=[0, 1])))
    probe = Probe(model, some_prompts.prompts, OPENINGS, batch_tokens=64)
    without = probe.measure(mask_all(model))
    credit = probe.integrated_gradient(steps=64).sum((1, 2))
    np.testing.assert_allclose(credit, probe.base.margin - without.margin, rtol=0.02, atol=0.02)


def mask_all(model: LoadedModel) -> SeamListener:
    class Silence(SeamListener):
        def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor:
            return torch.zeros_like(weights)

    return Silence()


def test_kl_to_the_base_is_that_of_the_whole_first_token_distribution(tiny, some_prompts: PromptSet) -> None:
    model = tiny("mixtral")
    probe = Probe(model, some_prompts.prompts[:2], OPENINGS, batch_tokens=4096)
    experts = [ExpertId(0, 1), ExpertId(0, 2)]
    changed = probe.measure(mask(model.seam, experts))
    tokens = torch.tensor([encode(model, some_prompts.prompts[:1])[0].tokens])
    with torch.inference_mode():
        base = model.model(input_ids=tokens).logits[0, -1].double().log_softmax(-1)
        with model.seam.attach(mask(model.seam, experts)):
            masked = model.model(input_ids=tokens).logits[0, -1].double().log_softmax(-1)
    assert changed.kl[0] == pytest.approx(float((base.exp() * (base - masked)).sum()), rel=1e-3, abs=1e-6)


def test_openings_go_to_the_side_they_open_more_often() -> None:
    labels = ["refusal", "partial", "compliance", "compliance", "compliance", "degenerate"]
    found = find_openings([5, 6, 6, 6, 7, 9], labels)
    assert found == Openings((5,), (6, 7))


@pytest.mark.parametrize(
    ("labels", "reason"),
    [(["compliance"] * 3, "refuses none of the 3"), (["refusal"] * 3, "complies with none of the 3")],
)
def test_a_one_sided_model_has_no_margin(labels: list[str], reason: str) -> None:
    with pytest.raises(WithheldError, match=reason):
        find_openings([1, 2, 3], labels)
