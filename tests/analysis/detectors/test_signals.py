"""Captured signals against a model asked directly, one prompt at a time and without padding."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from analysis.conformance.subject import subject
from analysis.conformance.tiny import tiny_model
from analysis.detectors import signals as signals_module
from analysis.detectors.signals import Signals, capture_signals, probed_positions
from analysis.errors import CaptureError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.encoding import encode
from analysis.shards import MemoryShards


@pytest.fixture
def captured(model: LoadedModel, some_prompts: PromptSet) -> Signals:
    return capture_signals(model, some_prompts)


class Asked:
    """What every router of a model was handed and scored last, by hooks of this test's own."""

    def __init__(self, model: LoadedModel) -> None:
        self.seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.handles = [
            layer.router.register_forward_hook(partial(self._keep, layer.position)) for layer in model.seam.layers
        ]

    def _keep(self, position: int, _module: torch.nn.Module, args: tuple[torch.Tensor, ...], output: object) -> None:
        scored = output[0] if isinstance(output, tuple) else output
        self.seen[position] = (args[0].reshape(-1, 32)[-1], scored.reshape(-1, 8)[-1])


@torch.inference_mode()
def test_logits_and_layer_inputs_are_those_of_the_last_token(
    model: LoadedModel, some_prompts: PromptSet, captured: Signals
) -> None:
    asked = Asked(model)
    try:
        for one in encode(model, some_prompts.prompts):
            model.model(input_ids=torch.tensor([one.tokens]))
            for position, (states, logits) in asked.seen.items():
                np.testing.assert_allclose(captured.inputs[one.row, position], states, atol=2e-5)
                np.testing.assert_allclose(captured.logits[one.row, position], logits, atol=2e-5)
            assert captured.tokens[one.row] == len(one.tokens)
            assert len(asked.seen) == len(captured.layers)
    finally:
        for handle in asked.handles:
            handle.remove()


def test_loads_are_shares(captured: Signals, model: LoadedModel) -> None:
    assert captured.layers == model.description.moe_layers
    np.testing.assert_allclose(captured.load.sum(-1), 1, atol=1e-6)
    counts = captured.load * captured.tokens[:, None, None] * model.description.top_k
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)
    assert captured.certificate is not None
    assert captured.certificate.passed


def test_where_a_router_is_a_plain_product_its_logits_follow_from_its_input(
    tiny: Callable[[str], LoadedModel], some_prompts: PromptSet
) -> None:
    model = tiny("mixtral")
    found = capture_signals(model, some_prompts)
    for layer in model.seam.layers:
        weight = layer.router.get_parameter("weight").detach().numpy()
        expected = found.inputs[:, layer.position] @ weight.T
        np.testing.assert_allclose(found.logits[:, layer.position], expected, atol=1e-5)


@pytest.mark.parametrize(
    "family", ["dbrx", "deepseek_v4", "gemma4_text", "jetmoe", "llama4_text", "longcat_flash", "zaya"]
)
def test_families_with_routers_of_their_own_give_the_same_signals(family: str) -> None:
    one = subject(tiny_model(family), family)
    found = capture_signals(one.loaded, one.prompts)
    np.testing.assert_allclose(np.nansum(found.load, axis=-1), 1, atol=1e-5)
    for place, count in enumerate(found.experts):
        assert np.isfinite(found.logits[:, place, :count]).all()
        assert np.isnan(found.load[:, place, count:]).all()
    assert np.isfinite(found.inputs).all()
    if family == "gemma4_text":  # its router returns probabilities
        np.testing.assert_allclose(np.exp(found.logits).sum(-1), 1, atol=1e-5)


def test_a_part_keeps_rows_together(captured: Signals) -> None:
    part = captured.take([4, 1])
    assert [p.id for p in part.prompts] == ["p4", "p1"]
    for name in ("load", "logits", "inputs", "tokens"):
        np.testing.assert_array_equal(getattr(part, name), getattr(captured, name)[[4, 1]])


def test_a_second_capture_finds_its_shards(tiny: Callable[[str], LoadedModel], some_prompts: PromptSet) -> None:
    model, store = tiny("olmoe"), MemoryShards()
    first = capture_signals(model, some_prompts, shards=store)
    stages: list[str] = []
    forward = model.model.forward
    model.model.forward = None  # type: ignore[assignment]
    try:
        again = capture_signals(model, some_prompts, shards=store, progress=lambda stage, *_: stages.append(stage))
    finally:
        model.model.forward = forward
    np.testing.assert_array_equal(first.logits, again.logits)
    assert {"capture", "boundary"} <= set(stages)


def test_a_model_that_does_not_repeat_itself_is_refused(
    tiny: Callable[[str], LoadedModel], some_prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = signals_module._BoundaryKeeper.fetch

    def shifted(self: signals_module._BoundaryKeeper) -> dict[str, np.ndarray]:
        found = counts(self)
        return {**found, "selected": np.roll(found["selected"], 1, axis=-1)}

    monkeypatch.setattr(signals_module._BoundaryKeeper, "fetch", shifted)
    with pytest.raises(CaptureError, match="does not repeat itself"):
        capture_signals(tiny("mixtral"), some_prompts)


def test_probed_layers_are_spread_and_end_with_the_last() -> None:
    assert probed_positions(3) == (0, 1, 2)
    assert probed_positions(8) == tuple(range(8))
    assert probed_positions(48) == (5, 11, 17, 23, 29, 35, 41, 47)
    assert len(set(probed_positions(9))) == 8
    assert probed_positions(27)[-1] == 26
