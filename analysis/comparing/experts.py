"""The experts of two audits of one architecture: which are flagged where, and how far rankings agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.comparing.change import read_interval
from analysis.statistics import Interval

Report = Mapping[str, Any]
Place = tuple[int, int]
TOP = 16
OVERALL = "rank"
_FEWEST = 3
"""Experts below which a rank correlation says nothing."""


@dataclass(frozen=True)
class FlaggedExpert:
    """An expert that is flagged in A, in both or in B, with its effect on the refusal margin in each, in nats."""

    layer: int
    expert: int
    where: Literal["a", "both", "b"]
    effect_a: Interval | None
    effect_b: Interval | None


@dataclass(frozen=True)
class FlaggedSets:
    """The flagged sets as (layer, expert) pairs. `jaccard` is |both| / |either|, None where neither flags any."""

    only_a: tuple[Place, ...]
    both: tuple[Place, ...]
    only_b: tuple[Place, ...]
    jaccard: float | None
    experts: tuple[FlaggedExpert, ...]


@dataclass(frozen=True)
class RankAgreement:
    """Spearman's ρ and Kendall's τ-b over the `n` experts that both ranked, and how many of the first `top` they share.

    None where one ranking has no order at all.
    """

    spearman: float | None
    kendall: float | None
    n: int
    top: int
    shared: int


def compare_flagged(a: Report, b: Report) -> FlaggedSets:
    left, right = ({(int(layer), int(expert)) for layer, expert in side["flagged"]["experts"]} for side in (a, b))
    parts: dict[Literal["a", "both", "b"], list[Place]] = {
        "a": sorted(left - right),
        "both": sorted(left & right),
        "b": sorted(right - left),
    }
    rows = [{(row["layer"], row["expert"]): row for row in side["experts"]} for side in (a, b)]

    def effect(side: int, place: Place) -> Interval | None:
        return read_interval((rows[side].get(place) or {}).get("effect"))

    experts = tuple(
        FlaggedExpert(*place, where, effect(0, place), effect(1, place))
        for where, places in parts.items()
        for place in places
    )
    either = len(left | right)
    jaccard = len(parts["both"]) / either if either else None
    return FlaggedSets(tuple(parts["a"]), tuple(parts["both"]), tuple(parts["b"]), jaccard, experts)


def compare_ranks(a: Report, b: Report) -> dict[str, RankAgreement]:
    """The audit's own ranking under "rank", then every criterion with which both scored experts."""
    names = [name for name in a["criteria"] if name in b["criteria"]]
    left, right = ({(row["layer"], row["expert"]): row for row in side["experts"]} for side in (a, b))
    places = [place for place in left if place in right]

    def scored(name: str) -> list[tuple[float, float]]:
        pairs = [(left[place]["scores"].get(name), right[place]["scores"].get(name)) for place in places]
        return [(one, other) for one, other in pairs if one is not None and other is not None]

    overall = [(-left[place]["rank"], -right[place]["rank"]) for place in places]
    found = {OVERALL: _agreement(overall)} if len(overall) >= _FEWEST else {}
    return found | {name: _agreement(pairs) for name in names if len(pairs := scored(name)) >= _FEWEST}


def _agreement(pairs: list[tuple[float, float]]) -> RankAgreement:
    """Of scores in which more is better."""
    from scipy import stats  # over a second to import

    left, right = zip(*pairs, strict=True)
    top = min(TOP, len(pairs) // 2)
    best = [{*sorted(range(len(side)), key=lambda at: (-side[at], at))[:top]} for side in (left, right)]
    shared = len(best[0] & best[1])
    if len({*left}) < 2 or len({*right}) < 2:  # scipy warns of a constant, and gives NaN
        return RankAgreement(None, None, len(pairs), top, shared)
    spearman, kendall = stats.spearmanr(left, right).statistic, stats.kendalltau(left, right).statistic
    return RankAgreement(float(spearman), float(kendall), len(pairs), top, shared)
