"""One number in two audits, and the difference between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.statistics import Interval, difference_of_intervals

Units = Literal["topics", "prompts"]
LEVEL = 0.05


@dataclass(frozen=True)
class Change:
    """`difference` is B − A. `paired`: the same prompts were answered in both, and each is held against itself.

    `over` are the units of the difference's interval. `only_a` and `only_b` count the prompts that were counted in one
    audit alone (answers that were refused there, say), and `mcnemar_p` is the exact test of the two; None where answers
    were not paired. `note` says in a sentence what a reader must know, such as why there is no pairing.
    """

    a: Interval
    b: Interval
    difference: Interval
    paired: bool = False
    over: Units | None = None
    mcnemar_p: float | None = None
    only_a: int | None = None
    only_b: int | None = None
    note: str = ""

    @property
    def shown(self) -> Literal["higher", "lower"] | None:
        """Where B lies, if the interval of the difference excludes 0; None if it does not, or there is none.

        Of paired answers the exact test has to say so too (p ≤ 0.05): where only a few answers changed, resampling
        topics makes too much of them.
        """
        low, high = self.difference.low, self.difference.high
        if low is None or high is None or (self.mcnemar_p or 0.0) > LEVEL:
            return None
        return "higher" if low > 0 else "lower" if high < 0 else None

    @property
    def at_most(self) -> float | None:
        """How far from 0 the difference may be, as its interval says."""
        low, high = self.difference.low, self.difference.high
        return None if low is None or high is None else max(abs(low), abs(high))


def apart(a: Interval, b: Interval, note: str = "", over: Units | None = None) -> Change:
    """Two independent estimates."""
    return Change(a, b, difference_of_intervals(b, a), over=over, note=note)


def read_interval(value: Mapping[str, Any] | None) -> Interval | None:
    """An interval of a report."""
    return None if value is None else Interval(value["estimate"], value["low"], value["high"], value["n"])
