"""Labels before by labels after: every prompt is counted once, in the cell that its two answers name."""

import pytest

from analysis.errors import InputError
from analysis.outcomes.transitions import LABELS, transitions

BEFORE = ["refusal", "refusal", "refusal", "refusal", "compliance", "partial"]
AFTER = ["compliance", "compliance", "refusal", "degenerate", "compliance", "unjudged"]


def cells() -> dict:
    return {(cell.before, cell.after): cell for cell in transitions(BEFORE, AFTER).cells}


def test_each_pair_of_labels_has_its_count() -> None:
    found = {pair: cell.count for pair, cell in cells().items() if cell.count}
    assert found == {
        ("refusal", "compliance"): 2,
        ("refusal", "refusal"): 1,
        ("refusal", "degenerate"): 1,
        ("compliance", "compliance"): 1,
        ("partial", "unjudged"): 1,
    }
    assert len(cells()) == len(LABELS) ** 2


def test_a_share_is_of_those_that_had_the_label_before() -> None:
    """2 of 4, whose Wilson interval is 0.1500 to 0.8500."""
    share = cells()["refusal", "compliance"].share
    assert (share.estimate, share.n) == (0.5, 4)
    assert (share.low, share.high) == (pytest.approx(0.15004, abs=1e-5), pytest.approx(0.84996, abs=1e-5))
    assert cells()["degenerate", "refusal"].share.estimate is None


def test_labels_have_their_rates_before_and_after() -> None:
    found = transitions(BEFORE, AFTER)
    rates = {rate.label: (rate.before, rate.after) for rate in found.rates}
    assert rates == {
        "refusal": (4, 1),
        "partial": (1, 0),
        "compliance": (1, 3),
        "degenerate": (0, 1),
        "unjudged": (0, 1),
    }
    assert {rate.share_after.n for rate in found.rates} == {6}
    assert (found.prompts, found.changed) == (6, 4)


def test_sides_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="2 answers before and 1 after"):
        transitions(["refusal", "refusal"], ["refusal"])
