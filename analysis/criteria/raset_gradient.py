"""raset_gradient: sensitivity of the behaviour itself to each expert's weight.

The mean over harmful prompts of g·∂M/∂g at the seam, M the refusal margin. One backward pass per batch. The contrast
with matched benign prompts is a second column only: it can hide an expert that also works on benign ones. Our
criterion. Window: all prompt tokens, behaviour at the first answer token.
"""

import numpy as np

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError

INFO = CriterionInfo(
    name="raset_gradient",
    summary="How strongly the refusal margin on harmful prompts depends on the weight the router gives to an expert.",
    window="prompt",
    unit="nats",
    source="ours",
)


def raset_gradient(evidence: Evidence) -> Criterion:
    """Score [layers, experts] in nats, with the benign contrast."""
    if evidence.gradient_harmful is None:
        raise WithheldError("raset_gradient needs a refusal margin, and this model has none on these prompts")
    score = evidence.gradient_harmful.mean(0, dtype=np.float64)
    benign = (
        np.nan
        if evidence.gradient_benign is None or not len(evidence.gradient_benign)
        else evidence.gradient_benign.mean(0, dtype=np.float64)
    )
    return Criterion(score, {"contrast": score - benign})
