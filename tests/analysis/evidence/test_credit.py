"""Integrated gradients are the dearest score, so they are computed once."""

import numpy as np

from analysis.evidence.bench import Bench
from analysis.evidence.credit import integrated_credit
from analysis.models import ExpertId
from analysis.outcomes.openings import Openings
from analysis.prompts.prompt_set import PromptSet
from analysis.shards import MemoryShards, Shard


class Counted(MemoryShards):
    """Remembers what was asked of it and what had to be computed."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: list[str] = []

    def once(self, key: str, compute) -> Shard:
        def counted() -> Shard:
            self.computed.append(key)
            return compute()

        return super().once(key, counted)


def test_criterion_and_growth_share_one_computation_where_nothing_is_ablated(tiny, some_prompts: PromptSet) -> None:
    bench = Bench(
        "few",
        tiny("mixtral"),
        some_prompts.prompts[:2],
        some_prompts.prompts[2:4],
        Openings((1,), (2,)),
        batch_tokens=4096,
    )
    store = Counted()
    first, again = integrated_credit(bench, (), store), integrated_credit(bench, (), store)
    np.testing.assert_array_equal(first, again)
    layer = bench.model.seam.layers[0]
    without = integrated_credit(bench, (ExpertId(layer.layer, 0),), store)
    assert store.computed == ["integrated", "integrated-start"]
    assert (without[:, layer.position, 0] == 0).all()
