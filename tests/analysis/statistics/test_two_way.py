"""η² of a two-way layout against numbers worked by hand, and against statsmodels where cells differ in size."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from analysis.errors import InputError
from analysis.statistics import two_way_eta


def reference(values: np.ndarray, topic: list[str], harm: list[str]) -> dict[str, float]:
    """Type II sums of squares from statsmodels' least squares, as shares of the total."""
    frame = pd.DataFrame({"f": values, "topic": topic, "harm": harm})
    table = anova_lm(ols("f ~ C(topic) * C(harm)", frame).fit(), typ=2)["sum_sq"]
    total = ((values - values.mean()) ** 2).sum()
    return {name: float(table[name]) / total for name in ("C(topic)", "C(harm)", "C(topic):C(harm)")}


def test_a_balanced_table_worked_by_hand() -> None:
    # topic means 2 and 6, harm means 3 and 5, cells 1, 3 | 5, 7: additive; ±1 inside each cell
    values = np.array([0, 2, 2, 4, 4, 6, 6, 8], dtype=float)[:, None]
    found = two_way_eta(values, list("aaaabbbb"), list("hhbbhhbb"))
    # total 48 = topic 8·2² = 32 + harm 8·1² = 8 + within 8·1² = 8
    assert found.rows[0] == pytest.approx(32 / 48)
    assert found.columns[0] == pytest.approx(8 / 48)
    assert found.interaction[0] == pytest.approx(0, abs=1e-12)
    assert (found.chance_rows, found.chance_columns, found.chance_interaction) == (1 / 7, 1 / 7, 1 / 7)
    assert found.n == 8


def test_the_interaction_worked_by_hand() -> None:
    # cells 0, 2 | 2, 0: no main effects; ±1 inside each cell, so 8 of 16 are the crossing
    values = np.array([-1, 1, 1, 3, 1, 3, -1, 1], dtype=float)[:, None]
    found = two_way_eta(values, list("aaaabbbb"), list("hhbbhhbb"))
    assert [found.rows[0], found.columns[0], found.interaction[0]] == pytest.approx([0, 0, 0.5])


@pytest.mark.parametrize("seed", range(4))
def test_cells_of_different_sizes_agree_with_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    topic = list(rng.choice(["a", "b", "c", "d"], 60))
    harm = ["h" if rng.random() < 0.3 + 0.1 * "abcd".index(one) else "b" for one in topic]
    values = rng.normal(size=(60, 3)) + np.array([["abcd".index(one)] for one in topic])
    values[:, 1] += [2.0 * (one == "h") for one in harm]
    found = two_way_eta(values, topic, harm)
    for column in range(3):
        expected = reference(values[:, column], topic, harm)
        got = [found.rows[column], found.columns[column], found.interaction[column]]
        np.testing.assert_allclose(got, list(expected.values()), atol=1e-6)


def test_an_empty_cell_leaves_the_main_effects() -> None:
    rng = np.random.default_rng(1)
    topic, harm = list("aaaabbbbcccc"), list("hhbbhhbbhhhh")
    values = rng.normal(size=(12, 1))
    frame = pd.DataFrame({"f": values[:, 0], "topic": topic, "harm": harm})

    def rest(formula: str) -> float:
        return float(ols(formula, frame).fit().ssr)

    found, total = two_way_eta(values, topic, harm), rest("f ~ 1")
    both = rest("f ~ C(topic) + C(harm)")
    assert found.rows[0] == pytest.approx((rest("f ~ C(harm)") - both) / total, abs=1e-6)
    assert found.columns[0] == pytest.approx((rest("f ~ C(topic)") - both) / total, abs=1e-6)


def test_what_does_not_vary_has_no_shares() -> None:
    values = np.column_stack([np.full(8, 0.1), np.arange(8.0)])
    found = two_way_eta(values, list("aaaabbbb"), list("hhbbhhbb"))
    assert np.isnan(found.rows).tolist() == [True, False]


def test_single_values_in_cells_give_no_interaction() -> None:
    found = two_way_eta(np.arange(4.0)[:, None], list("aabb"), list("hbhb"))
    assert np.isnan(found.interaction).all()
    assert found.rows[0] == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("topic", "harm"), [("aaaa", "hhbb"), ("aabb", "hhhh"), ("aabb", "hhbb")], ids=["one topic", "one label", "tied"]
)
def test_factors_that_cannot_be_told_apart_are_refused(topic: str, harm: str) -> None:
    with pytest.raises(InputError, match="cannot be told apart"):
        two_way_eta(np.arange(4.0)[:, None], list(topic), list(harm))


def test_missing_values_are_refused() -> None:
    with pytest.raises(InputError, match="leave those rows out"):
        two_way_eta(np.array([[1.0], [np.nan], [2.0], [3.0]]), list("aabb"), list("hbhb"))
