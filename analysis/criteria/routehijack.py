"""routehijack: selected more on harmful prompts than on their benign twins, and not used for everything.

Δ − f(general)², as RouteHijack (arXiv 2605.02946) scores experts in its tool: the square takes points from
general-purpose experts. There Δ compares safe with harmful answers; here it is the Δ of matched prompts, and the
general text is the set's benign prompts, which is ours. Signed: an expert used less on harmful prompts ranks last.
Window: all prompt tokens.
"""

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError

INFO = CriterionInfo(
    name="routehijack",
    summary="How much more an expert is selected on harmful prompts than on their benign twins, less general use.",
    window="prompt",
    unit="share",
    source="RouteHijack, arXiv 2605.02946 (its tool); prompts in place of answers is ours",
    shown=False,
)


def routehijack(evidence: Evidence) -> Criterion:
    """Score in shares [layers, experts], with f on general text beside it."""
    pairs, benign = evidence.pairs, evidence.benign_rows
    if len(pairs) < 2:
        raise WithheldError(f"routehijack needs at least 2 matched pairs in the discovery half, found {len(pairs)}")
    frequency = evidence.frequency.astype("float64")
    delta = (frequency[pairs.harmful] - frequency[pairs.benign]).mean(0)
    general = frequency[benign].mean(0)
    return Criterion(delta - general**2, {"general": general})
