"""A short form of `benchmarks.coverage`: fixed seeds, few data sets, and bounds four Monte-Carlo errors wide."""

import numpy as np
import pytest

from benchmarks import coverage
from benchmarks._simulated import Layout, distances, draw, rates

SETS = 400


def within(row: coverage.Row) -> bool:
    slack = 4 * np.sqrt(0.95 * 0.05 / row.sets)
    return 0.95 - slack <= row.value <= min(1.0, 0.95 + slack)


@pytest.mark.parametrize(("topics", "icc"), [(5, 0.1), (6, 0.3), (12, 0.1)])
def test_intervals_of_means_and_paired_differences_cover(topics: int, icc: float) -> None:
    rows = list(coverage.means(topics, icc, SETS, np.random.default_rng(topics)))
    assert {row.kind for row in rows} == {"mean", "paired difference"}
    assert [row for row in rows if not within(row)] == []


def test_intervals_of_distances_between_topics_and_of_the_topic_ratio_cover() -> None:
    rows = list(coverage.ratios(12, 0.1, 120, np.random.default_rng(1)))
    assert [row for row in rows if not within(row)] == []


def test_rates_cover_over_topics() -> None:
    rows = list(coverage.proportions(12, 0.1, SETS, np.random.default_rng(2)))
    assert [row for row in rows if not within(row)] == []


def test_nothing_is_found_where_nothing_is() -> None:
    rows = list(coverage.false_discoveries(6, 0.3, 60, np.random.default_rng(3)))
    # at the allowed rate 3 of 60 data sets hold a false discovery, and more than 8 with a chance of 0.4 %
    assert [row for row in rows if row.value > 8 / 60] == []


def test_the_data_have_the_truth_and_the_clustering_they_claim() -> None:
    rng = np.random.default_rng(4)
    layout = Layout.of(200, 0.3, 10, 10)
    for shape in ("normal", "skewed", "rate", "change"):
        values, truth = draw(shape, layout, 40, rng)
        assert values.mean() == pytest.approx(truth, abs=0.04)
        if shape in ("normal", "rate"):
            topic_means = values.reshape(200, 10, 40).mean(axis=1)
            # variance of a mean of 10 at ICC 0.3 is (1 + 9 x 0.3) / 10 of a single value's
            assert topic_means.var() / values.var() == pytest.approx(0.37, abs=0.03)
    assert rates(0.2, Layout.of(200, 0.0), 20, rng).mean() == pytest.approx(0.2, abs=0.01)
    found, left, right = distances(Layout.of(60, 0.1), 0.5, rng)
    assert (left != right).all()
    assert found.mean() == pytest.approx(2 * (1 + 0.25), rel=0.2)


def test_a_row_says_whether_it_keeps_to_what_is_claimed() -> None:
    hits = np.array([True] * 80 + [False] * 20)
    row = coverage.coverage("mean", "normal", 6, 0.1, hits)
    assert (row.value, row.error) == pytest.approx((0.8, 0.04))
    assert not row.kept
    assert "outside 93–97 %" in coverage.line(row)
