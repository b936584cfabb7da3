"""How many prompts an answer needs, and what a number of prompts can resolve, before anything is run.

Called by the new-run page, by `expertscope prompts power` and by the report's sentence on power. Half-widths are those
of the 95 % intervals that the report would give: Wilson's for a rate, a normal one for a paired difference. With topics
the prompts count for less: the design effect 1 + (m − 1)·ICC (Kish 1965) for m prompts a topic, and Student's t with as
many degrees of freedom as there are topics less one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from analysis.errors import InputError, WithheldError
from analysis.statistics.proportions import Z95
from analysis.statistics.studentised import FEWEST_CLUSTERS

MOST = 10_000_000
"""No more prompts than this are looked for."""


@dataclass(frozen=True)
class Topics:
    """`count` topics of equal size whose prompts resemble one another: `icc` is the share of the variance that lies
    between topics (intraclass correlation, 0 to 1).

    Raises InputError outside these ranges, WithheldError for fewer topics than an interval needs.
    """

    count: int
    icc: float

    def __post_init__(self) -> None:
        if not 0 <= self.icc <= 1:
            raise InputError(f"an intraclass correlation of {self.icc}: expected a share between 0 and 1", field="icc")
        if self.count < FEWEST_CLUSTERS:
            raise WithheldError(f"{self.count} topics: an interval over topics needs at least {FEWEST_CLUSTERS}")

    def effective(self, prompts: float) -> float:
        """As many independent prompts would resolve as much."""
        from scipy import stats  # over a second to import

        t = float(stats.t.ppf(0.975, self.count - 1))
        return prompts / design_effect(prompts / self.count, self.icc) * (Z95 / t) ** 2


def design_effect(per_topic: float, icc: float) -> float:
    """By how much clustering inflates the variance of a mean: 1 + (m − 1)·ICC, and 1 for up to one prompt a topic."""
    return 1 + max(per_topic - 1, 0.0) * icc


def rate_half_width(rate: float, prompts: int, topics: Topics | None = None) -> float:
    """Half the width of Wilson's 95 % interval around an observed `rate` of so many prompts, as a share.

    Raises InputError outside 0 <= rate <= 1 and for no prompt at all.
    """
    if not (0 <= rate <= 1 and prompts >= 1):
        raise InputError(f"rate {rate} of {prompts} prompts: expected a rate in [0, 1] and at least one prompt")
    n = topics.effective(prompts) if topics else float(prompts)
    return _wilson_half_width(rate, n)


def difference_half_width(changed: float, difference: float, prompts: int, topics: Topics | None = None) -> float:
    """Half the width of the 95 % interval of a paired difference of rates, as a share.

    `changed` is the share of prompts whose answer becomes another one, `difference` the resulting difference, at most
    as large: the variance of one prompt's change is changed − difference². Raises InputError for impossible shares.
    """
    _check_change(changed, difference)
    if prompts < 1:
        raise InputError(f"{prompts} prompts: expected at least one")
    n = topics.effective(prompts) if topics else float(prompts)
    return _change_half_width(changed, difference, n)


def prompts_for_rate(half_width: float, rate: float = 0.5, topics: Topics | None = None) -> int:
    """The fewest prompts whose interval around `rate` is no wider than ± `half_width`. 0.5 is the widest case.

    Raises InputError for a half-width outside (0, 0.5), WithheldError when these topics cannot give it however many
    prompts each has.
    """
    if not 0 <= rate <= 1:
        raise InputError(f"rate {rate}: expected a share between 0 and 1", field="rate")
    return _fewest(half_width, topics, lambda n: _wilson_half_width(rate, n))


def prompts_for_difference(
    half_width: float, changed: float, difference: float = 0.0, topics: Topics | None = None
) -> int:
    """The fewest prompts whose interval of a paired difference is no wider than ± `half_width`.

    See `difference_half_width`. Raises as `prompts_for_rate`.
    """
    _check_change(changed, difference)
    return _fewest(half_width, topics, lambda n: _change_half_width(changed, difference, n))


def topics_for_rate(half_width: float, per_topic: int, icc: float, rate: float = 0.5) -> int:
    """The fewest topics of `per_topic` prompts each whose interval around `rate` is no wider than ± `half_width`."""
    if not (0 <= rate <= 1 and per_topic >= 1):
        raise InputError(f"rate {rate}, {per_topic} prompts a topic: expected a share and at least one prompt")

    def width(count: int) -> float:
        return rate_half_width(rate, count * per_topic, Topics(count, icc))

    _check_half_width(half_width)
    return _first(lambda count: width(count) <= half_width, FEWEST_CLUSTERS)


def _fewest(half_width: float, topics: Topics | None, width: Callable[[float], float]) -> int:
    _check_half_width(half_width)

    def enough(prompts: int) -> bool:
        return width(topics.effective(prompts) if topics else prompts) <= half_width

    if not enough(MOST):
        whose = f"{topics.count} topics with an ICC of {topics.icc}" if topics else f"{MOST:,} prompts"
        more = "take more topics, or ask for less" if topics else "ask for less"
        raise WithheldError(f"{whose} cannot give ± {100 * half_width:.2g} points: {more}")
    return _first(enough, topics.count if topics else 1)


def _first(enough: Callable[[int], bool], start: int) -> int:
    """The smallest whole number from `start` on for which `enough` holds; it holds for all larger ones too."""
    low, high = start - 1, start
    while not enough(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _wilson_half_width(rate: float, n: float) -> float:
    return Z95 * math.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)


def _change_half_width(changed: float, difference: float, n: float) -> float:
    return Z95 * math.sqrt((changed - difference**2) / n)


def _check_half_width(half_width: float) -> None:
    if not 0 < half_width < 0.5:
        raise InputError(
            f"a half-width of {half_width}: expected a share between 0 and 0.5, such as 0.05 for ± 5 points",
            field="half_width",
        )


def _check_change(changed: float, difference: float) -> None:
    if not 0 <= abs(difference) <= changed <= 1:
        raise InputError(
            f"{changed} of the answers changed and the rate by {difference}: expected 0 <= |difference| <= changed <= 1"
        )
