"""Integrated gradients of the refusal margin on one half's harmful prompts, computed once and kept.

The search scores every expert by them (criterion `integrated`), and growth nominates its pool by them.
"""

from analysis.evidence.bench import Bench, ExpertSet, FloatArray
from analysis.interventions import mask
from analysis.shards import Shard, ShardStore


def integrated_credit(bench: Bench, start: ExpertSet, shards: ShardStore) -> FloatArray:
    """Credit in nats [harmful prompts, MoE layers, experts] with `start` ablated.

    Costs `INTEGRATION_STEPS` forward and backward passes over the harmful prompts, less than ablating 16 experts one
    by one on both sides does. Without `start` the criterion and growth share the shard.
    """
    key = "integrated-start" if start else "integrated"
    shard = shards.once(
        key, lambda: Shard({"credit": bench.harmful.integrated_gradient(mask(bench.model.seam, start))})
    )
    return shard.arrays["credit"]
