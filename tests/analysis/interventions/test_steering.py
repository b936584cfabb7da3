"""Forced on is chosen by every token, forced off by none, and the router's own rule makes the weights."""

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.conformance.check import _subject
from analysis.errors import InputError
from analysis.interventions import steer_soft
from analysis.models import ExpertId, LoadedModel, MoeLayer, SeamListener


class Routing(SeamListener):
    def __init__(self) -> None:
        self.logits: dict[int, Tensor] = {}
        self.index: dict[int, Tensor] = {}
        self.weights: dict[int, Tensor] = {}

    def on_router(self, layer: MoeLayer, logits: Tensor, choice: Tensor | None) -> None:
        self.logits[layer.layer] = logits

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> None:
        self.index[layer.layer], self.weights[layer.layer] = index, weights


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(4, 250, (3, 11), generator=torch.Generator().manual_seed(0))


def run(model: LoadedModel, ids: Tensor, *listeners: SeamListener) -> tuple[Routing, Tensor]:
    seen = Routing()
    with torch.inference_mode(), model.seam.attach(*listeners, seen):
        logits = model.model(input_ids=ids).logits
    return seen, logits


def rarest_and_busiest(seen: Routing, layer: int) -> tuple[ExpertId, ExpertId]:
    counts = seen.index[layer].flatten().bincount(minlength=8)
    return ExpertId(layer, int(counts.argmin())), ExpertId(layer, int(counts.argmax()))


def test_every_token_chooses_what_is_on_and_none_what_is_off(model: LoadedModel, ids: Tensor) -> None:
    base, _ = run(model, ids)
    pairs = [rarest_and_busiest(base, layer.layer) for layer in model.seam.layers]
    assert any(not (base.index[on.layer] == on.expert).any(-1).all() for on, _ in pairs)
    assert any((base.index[off.layer] == off.expert).any() for _, off in pairs)
    steered, logits = run(model, ids, steer_soft(model.seam, [on for on, _ in pairs], [off for _, off in pairs]))
    for on, off in pairs:
        assert (steered.index[on.layer] == on.expert).any(-1).all()
        assert not (steered.index[off.layer] == off.expert).any()
        assert all(len(set(row.tolist())) == model.description.top_k for row in steered.index[on.layer])
    assert torch.isfinite(logits).all()


def test_as_many_as_a_token_chooses_can_be_on(model: LoadedModel, ids: Tensor) -> None:
    layer, k = model.seam.layers[0].layer, model.description.top_k
    steered, _ = run(model, ids, steer_soft(model.seam, on=[ExpertId(layer, e) for e in range(k)]))
    assert (steered.index[layer].sort(-1).values == torch.arange(k)).all()


def test_softmax_weights_follow_the_published_formula(tiny, ids: Tensor) -> None:
    """Mixtral: softmax over all, the k largest, renormalised; on log-softmax with max + ε and min − ε."""
    model = tiny("mixtral")
    layer = model.seam.layers[0].layer
    base, _ = run(model, ids)
    on, off = rarest_and_busiest(base, layer)
    steered, _ = run(model, ids, steer_soft(model.seam, [on], [off]))
    for token, z in enumerate(base.logits[layer].double().numpy()):
        s = z - np.log(np.exp(z).sum())
        top, bottom = s.max() + 0.01, s.min() - 0.01
        s[on.expert], s[off.expert] = top, bottom
        chosen = sorted(range(8), key=lambda e: -s[e])[:2]
        weights = {e: np.exp(s[e]) / sum(np.exp(s[c]) for c in chosen) for e in chosen}
        got = dict(zip(steered.index[layer][token].tolist(), steered.weights[layer][token].tolist(), strict=True))
        assert got == pytest.approx(weights, abs=1e-6)


def test_sigmoid_weights_come_from_the_steered_scores_and_not_from_the_bias(tiny, ids: Tensor) -> None:
    model = tiny("deepseek_v3")
    layer = model.seam.layers[0].layer
    base, _ = run(model, ids)
    on, _ = rarest_and_busiest(base, layer)
    steered, _ = run(model, ids, steer_soft(model.seam, [on]))
    scale = model.seam.layers[0].router.routed_scaling_factor
    for token, z in enumerate(base.logits[layer].double().numpy()):
        z[on.expert] = z.max() + 0.01
        scores = 1 / (1 + np.exp(-z))
        chosen = steered.index[layer][token].tolist()
        expected = [scale * scores[e] / sum(scores[c] for c in chosen) for e in chosen]
        assert steered.weights[layer][token].tolist() == pytest.approx(expected, abs=1e-5)


def test_low_precision_cannot_undo_a_force(tmp_path_factory, tiny, ids: Tensor) -> None:
    """In bfloat16 ε vanishes beside a logit of 4; the order of choice obeys all the same."""
    model = tiny("qwen3_moe")
    layer = model.seam.layers[0].layer

    class Coarse(SeamListener):
        def on_scores(self, layer: MoeLayer, hidden: Tensor, scores: Tensor) -> Tensor:
            return scores.round()

    steer = steer_soft(model.seam, [ExpertId(layer, 0)], [ExpertId(layer, 1)])
    steered, _ = run(model, ids, steer, Coarse())
    assert (steered.index[layer] == 0).any(-1).all()
    assert not (steered.index[layer] == 1).any()


def test_a_force_on_the_answer_leaves_the_prompt_alone(model: LoadedModel, ids: Tensor) -> None:
    _, base = run(model, ids)
    _, steered = run(model, ids, steer_soft(model.seam, [ExpertId(model.seam.layers[0].layer, 0)], window="decode"))
    assert torch.equal(base, steered)


def test_nothing_of_it_stays_behind(model: LoadedModel, ids: Tensor) -> None:
    _, before = run(model, ids)
    run(model, ids, steer_soft(model.seam, [ExpertId(model.seam.layers[0].layer, 0)]))
    _, after = run(model, ids)
    assert torch.equal(before, after)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.model.modules())


def test_what_cannot_be_forced_is_refused_by_name(model: LoadedModel) -> None:
    layer, k = model.seam.layers[0].layer, model.description.top_k
    with pytest.raises(InputError, match=f"{k + 1} experts of layer {layer} are forced on, and a token chooses {k}"):
        steer_soft(model.seam, on=[ExpertId(layer, e) for e in range(k + 1)])
    with pytest.raises(InputError, match=f"leaves fewer than the {k} that every token needs"):
        steer_soft(model.seam, off=[ExpertId(layer, e) for e in range(8 - k + 1)])
    with pytest.raises(InputError, match=f"L{layer}·E0 is to be forced on and off"):
        steer_soft(model.seam, [ExpertId(layer, 0)], [ExpertId(layer, 0)])
    with pytest.raises(InputError, match="epsilon is 0"):
        steer_soft(model.seam, [ExpertId(layer, 0)], epsilon=0)
    with pytest.raises(InputError, match="unknown window 'answer'"):
        steer_soft(model.seam, [ExpertId(layer, 0)], window="answer")  # type: ignore[arg-type]


def test_a_layer_that_chooses_by_token_cannot_be_steered() -> None:
    seam = _subject("deepseek_v4").loaded.seam
    fixed = next(layer.layer for layer in seam.layers if not layer.reroutable)
    with pytest.raises(InputError, match=f"layer {fixed} chooses experts by token, not by score"):
        steer_soft(seam, [ExpertId(fixed, 0)])


def test_a_router_that_scores_in_an_unknown_way_is_refused_by_name(tiny, ids: Tensor, monkeypatch) -> None:
    model = tiny("mixtral")
    router = model.seam.layers[0].router

    def forward(hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = torch.einsum("td,ed->te", hidden.reshape(-1, hidden.shape[-1]), router.weight)
        values, index = logits.softmax(-1).topk(2, dim=-1)
        return logits, values / values.sum(-1, keepdim=True), index

    monkeypatch.setattr(router, "forward", forward)
    with pytest.raises(InputError, match=r"layer 0: \w+ computes its scores in a way that cannot be changed"):
        run(model, ids, steer_soft(model.seam, [ExpertId(0, 0)]))
