"""ablation: what refusal loses when one expert alone gives nothing.

The mean loss of refusal margin on harmful prompts under mask_zero. Used by replication studies; the definition here is
ours. Experts that were not ablated have no score.
"""

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError

INFO = CriterionInfo(
    name="ablation",
    summary="Loss of refusal margin on harmful prompts when this expert alone is zeroed.",
    window="prompt",
    unit="nats",
    source="ours, as used by replication studies",
)


def ablation(evidence: Evidence) -> Criterion:
    """Score [layers, experts] in nats."""
    if evidence.ablation is None:
        raise WithheldError("ablation needs a refusal margin, and this model has none on these prompts")
    return Criterion(evidence.ablation, {})
