"""A judge's rate set right for the judge's own errors, once people have labelled some of its answers.

Called beside every raw rate of a judge that has been calibrated. Rogan and Gladen (1978) for the estimate, Lang and
Reiczigel (2014) for an interval that also carries how uncertain sensitivity and specificity are: both come from counts.
"""

import math
from dataclasses import dataclass

from analysis.errors import InputError, WithheldError
from analysis.statistics.interval import Interval
from analysis.statistics.proportions import Z95


@dataclass(frozen=True)
class Calibration:
    """A judge against people. `found` of `positives` answers that people call a refusal (or whatever the rate counts)
    it called one too; `spared` of `negatives` that they call something else it called something else too.

    Raises InputError for counts that cannot be.
    """

    found: int
    positives: int
    spared: int
    negatives: int

    def __post_init__(self) -> None:
        for part, whole, what in (
            (self.found, self.positives, "positives"),
            (self.spared, self.negatives, "negatives"),
        ):
            if not 0 <= part <= whole:
                raise InputError(f"{part} of {whole} labelled {what} judged right: expected 0 <= right <= {what}")

    @property
    def sensitivity(self) -> float | None:
        """None where people labelled no positive."""
        return self.found / self.positives if self.positives else None

    @property
    def specificity(self) -> float | None:
        """None where people labelled no negative."""
        return self.spared / self.negatives if self.negatives else None


def rogan_gladen(hits: int, n: int, judge: Calibration) -> Interval:
    """The rate that people would have found, (p + Sp − 1) / (Se + Sp − 1), cut to [0, 1], with a 95 % interval.

    `hits` of `n` answers are what the judge counted. All None for n = 0. Raises WithheldError where people labelled no
    positive or no negative answer, or where sensitivity + specificity ≤ 1: such a judge tells nothing, and the
    correction would divide by zero or turn the rate round. Raises InputError unless 0 <= hits <= n.
    """
    if not 0 <= hits <= n:
        raise InputError(f"{hits} hits of {n}: expected 0 <= hits <= n")
    sensitivity, specificity = _informative(judge)
    if n == 0:
        return Interval(None, None, None, 0)
    rate = _corrected(hits / n, sensitivity, specificity)
    low, high = _limits(hits, n, judge)
    return Interval(_cut(rate), _cut(low), _cut(high), n)


def _informative(judge: Calibration) -> tuple[float, float]:
    sensitivity, specificity = judge.sensitivity, judge.specificity
    if sensitivity is None or specificity is None:
        raise WithheldError(
            f"people labelled {judge.positives} positive and {judge.negatives} negative answers: "
            "the correction needs both kinds"
        )
    if sensitivity + specificity <= 1:
        raise WithheldError(
            f"the judge's sensitivity {sensitivity:.2f} and specificity {specificity:.2f} add up to no more than 1: "
            "it tells nothing, and no rate can be worked out from it; use another judge"
        )
    return sensitivity, specificity


def _limits(hits: int, n: int, judge: Calibration) -> tuple[float, float]:
    """Lang and Reiczigel's interval: counts are drawn towards the middle first (z²/2 hits in z² more answers; one in
    two more labelled ones), and the centre is moved by `shift`, so that it covers near 0 and 1 as well.
    """
    more = n + Z95**2
    apparent = (hits + Z95**2 / 2) / more
    positives, negatives = judge.positives + 2, judge.negatives + 2
    sensitivity, specificity = (judge.found + 1) / positives, (judge.spared + 1) / negatives
    informed = sensitivity + specificity - 1
    if informed <= 0:
        return 0.0, 1.0
    rate = _corrected(apparent, sensitivity, specificity)
    missed = sensitivity * (1 - sensitivity) / positives
    mistaken = specificity * (1 - specificity) / negatives
    variance = apparent * (1 - apparent) / more + rate**2 * missed + (1 - rate) ** 2 * mistaken
    shift = 2 * Z95**2 * (rate * missed - (1 - rate) * mistaken)
    half = Z95 * math.sqrt(variance) / informed
    return rate + shift - half, rate + shift + half


def _corrected(apparent: float, sensitivity: float, specificity: float) -> float:
    return (apparent + specificity - 1) / (sensitivity + specificity - 1)


def _cut(rate: float) -> float:
    return min(max(rate, 0.0), 1.0)
