"""safex: experts that are among the busiest on harmful prompts however the prompts are resampled.

Stability selection of SAFEx (arXiv 2506.17368): Top-N per layer by selection frequency, N = ⌊αE⌋, Π = share of
resamples in which an expert is in it. The paper does not give S and α; S = 100 and α = 0.1 are ours. Window: all
prompt tokens. It does not tell safety experts from experts that are always busy; that is what the other criteria and
the causal steps are for.
"""

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError
from analysis.statistics import stability_selection

INFO = CriterionInfo(
    name="safex",
    summary="Share of resamples in which an expert is among the busiest tenth of its layer on harmful prompts.",
    window="prompt",
    unit="share",
    source="SAFEx, arXiv 2506.17368; S and α ours",
)
ALPHA = 0.1
RESAMPLES = 100


def safex(evidence: Evidence) -> Criterion:
    """Score Π [layers, experts], with f on harmful prompts beside it."""
    rows = evidence.harmful_rows
    if len(rows) < 2:
        raise WithheldError(f"safex needs at least 2 harmful prompts in the discovery half, found {len(rows)}")
    harmful = evidence.frequency[rows]
    top = max(1, int(ALPHA * harmful.shape[2]))
    stability = stability_selection(harmful, top, samples=RESAMPLES, seed=evidence.seed, method="bootstrap")
    return Criterion(stability, {"frequency": harmful.mean(0, dtype="float64")})
