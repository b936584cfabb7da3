"""integrated: an expert's share in the refusal margin, counted from a model whose experts give nothing.

Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) of the refusal margin M along expert weights: the mean
over harmful prompts of g·∂M/∂g, averaged over 8 steps of the way from no expert output to all of it. The use is ours.
The plain gradient looks only at the intact model, where M may have saturated: then it gives an expert nothing although
refusal ends without it, and experts that back one another up nothing at all. Over all experts the shares add up to what
experts contribute to M, up to the error of 8 steps. Cost: 8 forward and backward passes over the harmful prompts of the
discovery half, which the preset bounds. Window: all prompt tokens, behaviour at the first answer token.
"""

import numpy as np

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError

INFO = CriterionInfo(
    name="integrated",
    summary="An expert's share in the refusal margin on the way from no expert output to all of it.",
    window="prompt",
    unit="nats",
    source="ours; integrated gradients, Sundararajan et al. 2017, arXiv 1703.01365",
)


def integrated(evidence: Evidence) -> Criterion:
    """Score [layers, experts] in nats."""
    if evidence.integrated is None:
        raise WithheldError("integrated needs a refusal margin, and this model has none on these prompts")
    return Criterion(evidence.integrated.mean(0, dtype=np.float64), {})
