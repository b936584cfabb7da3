"""Rung 2 of the ladder: is an expert among its layer's top tenth by the contrast in most half-samples of the topics?

Called by the audit, and by the report for the number of experts that would pass by chance.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.criteria import Evidence
from analysis.evidence.ladder import STABLE
from analysis.prompts.prompt_set import PromptSet
from analysis.statistics import FEWEST_CLUSTERS, false_selection_bound, stability_selection

RESAMPLES = 100
SHARE = 0.1
DIRECTIONS = (1, -1)


def contrast_stability(evidence: Evidence) -> npt.NDArray[np.float64] | None:
    """Share [layers, experts] of half-samples in which an expert is in its layer's top tenth, in its own direction.

    Whole topics are drawn, since pairs of one topic say much the same; pairs where there are too few topics. None for
    fewer than two pairs.
    """
    pairs = evidence.pairs
    if len(pairs) < 2:
        return None
    contrast = evidence.frequency[pairs.harmful] - evidence.frequency[pairs.benign]
    clusters = pairs.topics if len(set(pairs.topics)) >= FEWEST_CLUSTERS else None
    shares = [
        stability_selection(
            sign * contrast, _top(contrast.shape[2]), samples=RESAMPLES, seed=evidence.seed, clusters=clusters
        )
        for sign in DIRECTIONS
    ]
    found: npt.NDArray[np.float64] = np.maximum(*shares)
    return found


def stability_section(stability: npt.NDArray[np.float64] | None, discovery: PromptSet) -> dict[str, Any] | None:
    """How the shares were found, and the bound of Meinshausen and Bühlmann (2010) on how many experts are expected to
    reach the threshold by chance: for each direction, the square of how many one half-sample selects, over
    (2 · threshold − 1) times the experts.
    """
    if stability is None:
        return None
    layers, experts = stability.shape
    selected = _top(experts) * layers
    bound = len(DIRECTIONS) * false_selection_bound(selected, layers * experts, STABLE)
    topics = len({pair.topic or pair.pair_id for pair in discovery.pairs})
    return {
        "threshold": STABLE,
        "resamples": RESAMPLES,
        "unit": "topic" if topics >= FEWEST_CLUSTERS else "pair",
        "selected": selected,
        "passed": int((stability >= STABLE).sum()),
        "expected_false": min(bound, float(layers * experts)),
    }


def _top(experts: int) -> int:
    return max(1, int(SHARE * experts))
