"""router_logits: the routers' raw scores at the boundary token, by class-balanced L2 logistic regression.

"Reading, Not Manipulating" (2026) reads the final prompt token's router logits of all layers, standardised, in this
way; it chose its threshold on validation data, and ours is left at even odds. Its authors find a probe of hidden states
as good, and few chosen experts no better than random ones, which is why both stand beside it as baselines.
"""

from analysis.detectors.base import Detector, DetectorInfo, Features, per_expert
from analysis.detectors.linear import fit_logistic
from analysis.detectors.signals import Signals

INFO = DetectorInfo(
    name="router_logits",
    summary="What every router scores at the last token before the answer, by balanced logistic regression.",
    window="boundary",
    source="Reading, Not Manipulating (2026); C = 1 and the threshold ours",
)


def features(signals: Signals) -> Features:
    """One column for each expert of each layer."""
    return per_expert(signals.logits, signals, "logit")


DETECTOR = Detector(INFO, features, fit_logistic)
