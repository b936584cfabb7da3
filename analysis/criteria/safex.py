"""safex: experts that are among the busiest on harmful prompts however the prompts are resampled.

Stability selection of SAFEx (arXiv 2506.17368): Top-N per layer by selection frequency, N = ⌊αE⌋. **Stability mode**
scores Π, the share of S resamples in which an expert is in it; **strict mode** keeps those that are in it in all. The
paper does not give S and α; S = 100 and α = 0.1 are ours. So is the unit of resampling: whole topics (single prompts
below five topics), since prompts of one topic are routed alike, and an expert that one large topic keeps busy would
count as stable if prompts were drawn. Window: all prompt tokens.

It does not tell safety experts from experts that are always busy. Jailbreak prompts do in part, where the set has them.
With Top = {Π ≥ 0.8} of each group: HCDG = Top(regular) ∩ Top(jailbreak), which SAFEx reads as detecting harmful
content, and HRCG = Top(regular) without Top(jailbreak), which it reads as controlling the response. The threshold, and
that an HRCG expert's control margin m = f(regular) − f(jailbreak) must have an interval over topics above zero, are
ours.
"""

import numpy as np

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence, Rows, Scores
from analysis.errors import WithheldError
from analysis.statistics import FEWEST_CLUSTERS, difference_of_means, stability_selection

INFO = CriterionInfo(
    name="safex",
    summary="Share of resamples in which an expert is among the busiest tenth of its layer on harmful prompts.",
    window="prompt",
    unit="share",
    source="SAFEx, arXiv 2506.17368; S, α, topics as units, threshold and margin interval ours",
)
ALPHA = 0.1
RESAMPLES = 100
THRESHOLD = 0.8
FEWEST = 2


def safex(evidence: Evidence) -> Criterion:
    """Score Π [layers, experts]; f on harmful prompts and `strict` beside it, and where there are jailbreaks Π on them,
    HCDG, HRCG (1 for a member) and the control margin with its interval.
    """
    regular, jailbreak = evidence.harmful_rows, evidence.jailbreak_rows
    if len(regular) < FEWEST:
        raise WithheldError(f"safex needs at least 2 harmful prompts in the discovery half, found {len(regular)}")
    stability = _stability(evidence, regular)
    columns = {"frequency": evidence.frequency[regular].mean(0, dtype="float64"), "strict": _mark(stability == 1)}
    if len(jailbreak) < FEWEST or len(jailbreak) + len(regular) < FEWEST_CLUSTERS:
        why = (
            f"HCDG, HRCG and the control margin need at least {FEWEST} jailbreaks (group 'jailbreak') and, with the "
            f"harmful prompts, {FEWEST_CLUSTERS} prompts: the discovery half has {len(jailbreak)} and {len(regular)}"
        )
        return Criterion(stability, columns, {"hcdg": why})
    return Criterion(stability, columns | _groups(evidence, stability))


def _groups(evidence: Evidence, stability: Scores) -> dict[str, Scores]:
    regular, jailbreak = evidence.harmful_rows, evidence.jailbreak_rows
    shape = evidence.frequency.shape[1:]
    margin = difference_of_means(
        evidence.frequency[regular].reshape(len(regular), -1),
        evidence.frequency[jailbreak].reshape(len(jailbreak), -1),
        *_joint_clusters(evidence, regular, jailbreak),
    )
    wrapped = _stability(evidence, jailbreak)
    top, top_wrapped = stability >= THRESHOLD, wrapped >= THRESHOLD
    low = margin.low.reshape(shape)
    return {
        "stability_jailbreak": wrapped,
        "hcdg": _mark(top & top_wrapped),
        "hrcg": _mark(top & ~top_wrapped & (low > 0)),
        "margin": margin.estimate.reshape(shape),
        "margin_low": low,
        "margin_high": margin.high.reshape(shape),
    }


def _stability(evidence: Evidence, rows: Rows) -> Scores:
    frequency = evidence.frequency[rows]
    return stability_selection(
        frequency,
        max(1, int(ALPHA * frequency.shape[2])),
        samples=RESAMPLES,
        seed=evidence.seed,
        method="bootstrap",
        clusters=evidence.clusters(rows),
    )


def _joint_clusters(evidence: Evidence, left: Rows, right: Rows) -> tuple[list[str], list[str]]:
    """Topics of both groups, or every prompt for itself where there are too few."""
    both = evidence.clusters(np.concatenate([left, right])) or [str(row) for row in (*left, *right)]
    return both[: len(left)], both[len(left) :]


def _mark(members: np.ndarray) -> Scores:
    return members.astype(np.float64)
