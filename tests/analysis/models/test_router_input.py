"""What routers are handed, in the families that call theirs in a way of their own."""

import pytest
import torch
from torch import Tensor

from analysis.conformance.subject import subject
from analysis.conformance.tiny import tiny_model
from analysis.models import MoeLayer, SeamListener

# One of each kind: flat and unflattened states, a bias or token ids beside them, an inner router, states of its own.
FAMILIES = ("dbrx", "deepseek_v3", "deepseek_v4", "gemma4_text", "jetmoe", "lfm2_moe", "llama4_text", "mixtral", "zaya")


class Watcher(SeamListener):
    def __init__(self) -> None:
        self.states: dict[int, Tensor] = {}
        self.logits: dict[int, Tensor] = {}

    def on_router_input(self, layer: MoeLayer, states: Tensor) -> None:
        assert layer.position not in self.states
        self.states[layer.position] = states

    def on_router(self, layer: MoeLayer, logits: Tensor, choice: Tensor | None) -> None:
        assert layer.position in self.states  # the input is told before the scores
        self.logits[layer.position] = logits


@pytest.mark.parametrize("family", FAMILIES)
def test_every_token_has_a_row_and_plain_routers_score_exactly_those_rows(family: str) -> None:
    one, watcher = subject(tiny_model(family), family), Watcher()
    with one.loaded.seam.attach(watcher), torch.no_grad():
        one.run()
    hidden = one.loaded.model.config.get_text_config().hidden_size
    assert sorted(watcher.states) == [layer.position for layer in one.loaded.seam.layers]
    for layer in one.loaded.seam.layers:
        states = watcher.states[layer.position]
        assert states.shape == (one.batch.tokens, hidden)
        weight = getattr(layer.router, "weight", None)
        if isinstance(weight, Tensor) and weight.shape == (layer.experts, hidden):
            torch.testing.assert_close(watcher.logits[layer.position].float(), states.float() @ weight.float().T)
