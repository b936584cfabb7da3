"""A short form of `benchmarks.detectors`: random labels, fixed seeds."""

import json

import pytest

from benchmarks import detectors


def test_random_labels_give_areas_around_one_half_and_intervals_that_mostly_hold_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    detectors.main(["--sets", "6", "--topics", "8", "--pairs", "6", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [(row["detector"], row["folds"]) for row in rows] == [
        (name, folds) for name in ("router_logits", "nearest") for folds in ("kfold", "leave_category_out")
    ]
    for row in rows:
        assert abs(row["mean"] - 0.5) < 0.1
        assert row["covered"] >= 0.5
        assert row["sets"] == 6
