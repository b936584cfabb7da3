"""Routers that listen to a memory mix its logits with their own as the formula says."""

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.interventions import remember, routing_memory
from analysis.models import LoadedModel, MoeLayer, SeamListener
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.encoding import encode


class Scores(SeamListener):
    """What the routers were given, and what they scored."""

    def __init__(self) -> None:
        self.hidden: dict[int, Tensor] = {}
        self.scores: dict[int, Tensor] = {}

    def on_scores(self, layer: MoeLayer, hidden: Tensor, scores: Tensor) -> None:
        self.hidden[layer.layer], self.scores[layer.layer] = hidden, scores


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(4, 250, (2, 7), generator=torch.Generator().manual_seed(5))


def run(model: LoadedModel, ids: Tensor, *listeners: SeamListener) -> Tensor:
    with torch.no_grad(), model.seam.attach(*listeners):
        return model.model(input_ids=ids).logits


def test_it_mixes_as_the_formula_says(tiny, some_prompts: PromptSet, ids: Tensor) -> None:
    model = tiny("qwen3_moe")
    own, mixed = Scores(), Scores()
    memory = remember(model, some_prompts.prompts)
    run(model, ids, own)
    run(model, ids, routing_memory(model.seam, memory, neighbours=3), mixed)
    layer = model.seam.layers[0].layer  # the first, whose inputs are the same in both runs
    keys, logits = memory.keys[layer].double().numpy(), memory.logits[layer].double().numpy()
    for token, (state, z) in enumerate(zip(own.hidden[layer].double().numpy(), own.scores[layer], strict=True)):
        cosines = [float(key @ state / np.linalg.norm(key) / np.linalg.norm(state)) for key in keys]
        nearest = sorted(range(len(cosines)), key=lambda i: -cosines[i])[:3]
        share = max(0.0, sum(cosines[i] for i in nearest) / 3)
        expected = share * sum(logits[i] for i in nearest) / 3 + (1 - share) * z.double().numpy()
        assert mixed.scores[layer][token].tolist() == pytest.approx(expected, abs=1e-5)
        assert share > 0


def test_it_holds_every_token_and_no_padding(model: LoadedModel, some_prompts: PromptSet) -> None:
    tokens = sum(len(one.tokens) for one in encode(model, some_prompts.prompts))
    memory = remember(model, some_prompts.prompts)
    assert len(memory) == tokens
    assert all(len(logits) == tokens for logits in memory.logits.values())


def test_what_was_remembered_is_scored_as_it_was(model: LoadedModel, some_prompts: PromptSet) -> None:
    memory = remember(model, some_prompts.prompts)
    ids = torch.tensor([encode(model, some_prompts.prompts)[4].tokens])
    torch.testing.assert_close(
        run(model, ids, routing_memory(model.seam, memory, neighbours=1)), run(model, ids), rtol=1e-3, atol=1e-3
    )


def test_a_memory_that_does_not_fit_is_refused(tiny, some_prompts: PromptSet) -> None:
    memory = remember(tiny("mixtral"), some_prompts.prompts)
    with pytest.raises(InputError, match=r"the memory knows layers \[0, 1, 2\], and this model routes in \[0, 2\]"):
        routing_memory(tiny("qwen3_moe").seam, memory)
    with pytest.raises(InputError, match=f"0 neighbours of {len(memory)} entries"):
        routing_memory(tiny("mixtral").seam, memory, neighbours=0)
    with pytest.raises(InputError, match="needs at least one prompt"):
        remember(tiny("mixtral"), [])
