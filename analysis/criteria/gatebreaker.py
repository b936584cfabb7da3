"""gatebreaker: how busy an expert is on harmful prompts, and nothing else.

The mean of f over harmful prompts, as GateBreaker (arXiv 2512.21008) ranks experts in its code. A known weak baseline:
it is confounded with experts that are busy on every prompt, and stands here so that others can be held against it.
Window: all prompt tokens.
"""

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError

INFO = CriterionInfo(
    name="gatebreaker",
    summary="How often an expert is selected on harmful prompts. A weak baseline: always-busy experts come first.",
    window="prompt",
    unit="share",
    source="GateBreaker, arXiv 2512.21008 (its code)",
    shown=False,
)


def gatebreaker(evidence: Evidence) -> Criterion:
    """Score f [layers, experts] in [0, 1]."""
    rows = evidence.harmful_rows
    if not len(rows):
        raise WithheldError("gatebreaker needs harmful prompts in the discovery half, found none")
    return Criterion(evidence.frequency[rows].mean(0, dtype="float64"), {})
