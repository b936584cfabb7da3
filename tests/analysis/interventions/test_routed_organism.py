"""Where refusal sits in a router, another prompt's route carries it; where it sits in attention, no route does."""

import pytest
import torch

from analysis.interventions import patch_routing, record_run
from analysis.models import LoadedModel, load_model
from analysis.organisms.language import is_refusal
from analysis.prompts import load_prompts
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import batches, encode
from analysis.routing.trace import generate


def refused(model: LoadedModel, asked: list[Prompt], donors: list[Prompt]) -> float:
    """Share of `asked` that is refused when each is routed in layer 2, to its boundary token, as its donor is."""
    batch = next(batches(model, encode(model, asked), batch_tokens=100_000))
    patch = patch_routing(model, record_run(model, donors), asked, layers=[2])
    with torch.no_grad(), model.seam.attach(patch):
        out = generate(model, batch, 6)
    answers = model.tokenizer.batch_decode(out, skip_special_tokens=True)
    return sum(map(is_refusal, answers)) / len(asked)


@pytest.mark.parametrize(("name", "follows"), [("routed", True), ("attention", False)])
def test_refusal_follows_the_route_where_it_sits_in_the_router(name: str, follows: bool) -> None:
    model = load_model(f"organism:{name}", device="cpu")
    pairs = load_prompts("builtin:organism", organism=name).pairs[::4]
    harmful, benign = [pair.harmful for pair in pairs], [pair.benign for pair in pairs]
    assert refused(model, harmful, harmful) == 1
    assert refused(model, benign, benign) == 0
    assert refused(model, harmful, benign) == (0 if follows else 1)
    assert refused(model, benign, harmful) == (1 if follows else 0)
