"""lobotomy: what a small classifier looks at when it tells harmful from benign prompts by routing alone.

Gradient × input of a sequence classifier over the selected experts of every token, summed over tokens, averaged over
harmful prompts, as in Large Language Lobotomy (arXiv 2602.08741). Every prompt is read by a classifier that was trained
without its topic (ours), and the balanced accuracy of these readings stands beside the score: near 0.5 the classifier
tells nothing apart, and the score means nothing. The label is the prompt's, not the model's behaviour. Window: all
prompt tokens, the last 128 of a long prompt, at most 100 prompts of either label.
"""

import numpy as np

from analysis.criteria.evidence import Criterion, CriterionInfo, Evidence
from analysis.errors import WithheldError

INFO = CriterionInfo(
    name="lobotomy",
    summary="How far an expert's selections speak for a harmful prompt, to a classifier that sees selections only.",
    window="prompt",
    unit="logit",
    source="Large Language Lobotomy, arXiv 2602.08741; held-out topics are ours",
    shown=False,
)
FEWEST = 8


def lobotomy(evidence: Evidence) -> Criterion:
    """Score [layers, experts] in units of the classifier's logit, with its held-out balanced accuracy in [0, 1]."""
    if evidence.sequence is None:
        raise WithheldError(_missing(len(evidence.harmful_rows), len(evidence.benign_rows)))
    reading = evidence.sequence
    score = reading.attribution[reading.harmful].mean(0, dtype=np.float64)
    return Criterion(score, {"held_out_accuracy": np.full(score.shape, reading.accuracy)})


def _missing(harmful: int, benign: int) -> str:
    if min(harmful, benign) < FEWEST:
        return (
            f"lobotomy needs {FEWEST} harmful and {FEWEST} benign prompts in the discovery half, "
            f"found {harmful} and {benign}"
        )
    return "lobotomy reads the prompts token by token, and a trace keeps counts"
