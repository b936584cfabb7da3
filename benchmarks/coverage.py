"""Do 95 % intervals hold the truth 95 times in 100, and do corrected tests find too much? By simulation.

    python -m benchmarks.coverage [--sets 2000] [--seed 0] [--json]

Every kind of interval that a report gives, over topics of unequal size (5 to 20 prompts) with an intraclass
correlation up to 0.3; and the false-discovery rate of both tests that the audit corrects for many experts, where no
expert differs from any other. The Monte-Carlo error stands beside each figure. A short form runs in the tests.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

from analysis.evidence.causal import excess_p
from analysis.statistics import (
    Calibration,
    ClusterPairs,
    Interval,
    benjamini_hochberg,
    cluster_bootstrap,
    cluster_bootstrap_columns,
    clustered_rate,
    paired_test,
    ratio_of_means,
    rogan_gladen,
    wilson,
)
from benchmarks._simulated import SHAPES, Layout, Shape, distances, draw, rates

TOPICS = (5, 6, 12, 27)
ICCS = (0.0, 0.1, 0.3)
EXPERTS = 64
SOME = 100
"""Data sets that share their resamples; more would make their errors move together."""


@dataclass(frozen=True)
class Row:
    """One simulated setting: `value` is the coverage, or the false-discovery rate, of `sets` data sets, as a share."""

    kind: str
    data: str
    topics: int
    icc: float
    value: float
    error: float
    sets: int
    wanted: str

    @property
    def kept(self) -> bool:
        """Within what is claimed, give or take two Monte-Carlo errors."""
        low, high = (0.93, 0.97) if self.wanted == "93–97 %" else (0.0, 0.05)
        return low - 2 * self.error <= self.value <= high + 2 * self.error


def coverage(kind: str, data: str, topics: int, icc: float, hits: np.ndarray) -> Row:
    share = float(np.mean(hits))
    return Row(kind, data, topics, icc, share, float(np.sqrt(share * (1 - share) / len(hits))), len(hits), "93–97 %")


def holds(interval: Interval, truth: float) -> bool:
    """Whether the truth is inside; an interval without limits claims nothing and counts as a miss."""
    return interval.low is not None and interval.high is not None and interval.low <= truth <= interval.high


def means(
    topics: int, icc: float, sets: int, rng: np.random.Generator, shapes: Sequence[Shape] = SHAPES
) -> Iterator[Row]:
    """The mean of a quantity, and the paired difference of two rates ("change")."""
    layout = Layout.of(topics, icc)
    for shape in shapes:
        hits = []
        for start in range(0, sets, SOME):
            values, truth = draw(shape, layout, min(SOME, sets - start), rng)
            found = cluster_bootstrap_columns(values, layout.labels.tolist(), seed=int(rng.integers(2**31)))
            hits.append((found.low <= truth) & (truth <= found.high))
        kind = "paired difference" if "change" in shape else "mean"
        yield coverage(kind, shape, topics, icc, np.concatenate(hits))


def rare_changes(topics: int, icc: float, sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """A known limit: a change that hardly any topic shows."""
    return means(topics, icc, sets, rng, ("rare change",))


def ratios(topics: int, icc: float, sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """The topic ratio: a mean over matched pairs to a mean over prompts of different topics; and the latter alone."""
    layout = Layout.of(topics, icc)
    spread = float(np.sqrt(icc / (1 - icc)))
    truth = 2 * (1 + spread**2)
    between, ratio = [], []
    for _ in range(sets):
        values, left, right = distances(layout, spread, rng)
        pairs, seed = ClusterPairs(left.tolist(), right.tolist()), int(rng.integers(2**31))
        between.append(holds(cluster_bootstrap(values, pairs, seed=seed), truth))
        safety = 0.3 * np.exp(draw("normal", layout, 1, rng)[0][:, 0] - 0.5)
        found = ratio_of_means(safety, values, layout.labels.tolist(), pairs, seed=seed)
        ratio.append(holds(found, 0.3 / truth))
    yield coverage("mean between topics", "squared distances", topics, icc, np.array(between))
    yield coverage("topic ratio", "log-normal to distances", topics, icc, np.array(ratio))


def proportions(topics: int, icc: float, sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """Rates from 5 to 95 %, over topics."""
    layout = Layout.of(topics, icc)
    plain, clustered = [], []
    labels = layout.labels.tolist()
    for _ in range(sets):
        rate = rng.uniform(0.05, 0.95)
        hits = rates(rate, layout, 1, rng)[:, 0]
        plain.append(holds(wilson(int(hits.sum()), len(hits)), rate))
        clustered.append(holds(clustered_rate(hits, labels), rate))
    if icc == 0:
        yield coverage("Wilson", "rates 5–95 %", topics, icc, np.array(plain))
    yield coverage("Wilson over topics", "rates 5–95 %", topics, icc, np.array(clustered))


def corrected(sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """Rogan–Gladen with a judge that people calibrated on as few as 50 answers of each kind."""
    for labelled in (50, 200):
        hits = []
        for _ in range(sets):
            rate, sensitivity, specificity = rng.uniform(0.05, 0.95), rng.uniform(0.75, 0.98), rng.uniform(0.75, 0.98)
            judge = Calibration(
                int(rng.binomial(labelled, sensitivity)), labelled, int(rng.binomial(labelled, specificity)), labelled
            )
            apparent = rate * sensitivity + (1 - rate) * (1 - specificity)
            hits.append(holds(rogan_gladen(int(rng.binomial(300, apparent)), 300, judge), rate))
        yield coverage("Rogan–Gladen", f"{labelled} labels of each kind", 0, 0.0, np.array(hits))


def discoveries(kind: str, topics: int, icc: float, found: list[bool]) -> Row:
    """With nothing to find, every discovery is false: the rate is the share of data sets with any."""
    error = float(np.sqrt(0.05 * 0.95 / len(found)))
    return Row(kind, f"{EXPERTS} experts", topics, icc, float(np.mean(found)), error, len(found), "≤ 5 %")


def false_discoveries(topics: int, icc: float, sets: int, rng: np.random.Generator) -> Iterator[Row]:
    """q of the `raset` contrast and q of the causal test, no expert being different from any other.

    Contrasts have labels that were swapped at random, in single pairs or in whole topics. Causal: every expert costs
    some margin of its own (sd 0.3 of a prompt's), topic by topic and prompt by prompt, and stands in the null of every
    other.
    """
    layout = Layout.of(topics, icc)
    labels = layout.labels.tolist()
    found: dict[str, list[bool]] = {"swapped pairs": [], "swapped topics": [], "causal": []}
    for _ in range(sets):
        seed = int(rng.integers(2**31))
        contrast, _ = draw("skewed", layout, EXPERTS, rng)
        signs = rng.choice([-1.0, 1.0], size=len(labels))
        for name, swap in (("swapped pairs", signs), ("swapped topics", signs[layout.labels])):
            p_values = paired_test(contrast * swap[:, None], labels, most_flips=40 * EXPERTS, seed=seed)
            found[name].append(bool((benjamini_hochberg(p_values) <= 0.05).any()))
        losses = (0.3 * rng.normal(size=EXPERTS) + draw("normal", layout, EXPERTS, rng)[0]).T
        nulls = [np.delete(losses, expert, axis=0) for expert in range(EXPERTS)]
        found["causal"].append(bool((benjamini_hochberg(excess_p(losses, nulls, labels, seed)) <= 0.05).any()))
    for name, hits in found.items():
        yield discoveries(f"false discoveries, {name}", topics, icc, hits)


Setting = Callable[[int, float, int, np.random.Generator], Iterator[Row]]


def simulate(sets: int, seed: int) -> Iterator[Row]:
    """Every setting in turn. False discoveries are slower, and take a quarter of the data sets."""
    rng = np.random.default_rng(seed)
    kinds: tuple[tuple[Setting, int], ...] = (
        (means, sets),
        (ratios, sets),
        (proportions, sets),
        (false_discoveries, -(-sets // 4)),
    )
    for kind, count in kinds:
        for topics, icc in product(TOPICS, ICCS):
            yield from kind(topics, icc, count, rng)
    yield from corrected(sets, rng)
    for topics, icc in product(TOPICS, ICCS):
        yield from rare_changes(topics, icc, sets, rng)


def line(row: Row) -> str:
    topics = f"{row.topics:>6} {row.icc:>5.1f}" if row.topics else " " * 12
    value = f"{100 * row.value:>6.1f} ± {100 * row.error:.1f}"
    return f"{row.kind:<33} {row.data:<26} {topics} {value}  {'' if row.kept else 'outside ' + row.wanted}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    if not arguments.json:
        sys.stdout.write(f"{'quantity':<33} {'data':<26} topics   ICC      %\n")
    for row in simulate(arguments.sets, arguments.seed):
        rows.append(row)
        if not arguments.json:
            sys.stdout.write(line(row) + "\n")
            sys.stdout.flush()
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
