"""Measures against scikit-learn and against plain loops over prompts drawn with replacement."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from analysis.detectors.metrics import (
    auroc,
    brier,
    calibration_error,
    levels,
    resampling,
    threshold_at_fpr,
    tpr_at_fpr,
)

MEASURES = (auroc, tpr_at_fpr, brier, calibration_error)


@pytest.fixture(params=range(4))
def scored(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Scores with and without ties, some of them 0 and 1."""
    rng = np.random.default_rng(request.param)
    harmful = rng.random(230) < 0.4
    scores = np.clip(rng.normal(0.35 + 0.3 * harmful, 0.25), 0, 1)
    return (np.round(scores, 1) if request.param % 2 else scores), harmful


def by_sklearn(scores: np.ndarray, harmful: np.ndarray) -> list[float]:
    false, true, _ = roc_curve(harmful, scores, drop_intermediate=False)
    return [
        roc_auc_score(harmful, scores),
        max(t for f, t in zip(false, true, strict=True) if f <= 0.01),
        brier_score_loss(harmful, scores),
    ]


def calibration_by_loops(scores: np.ndarray, harmful: np.ndarray) -> float:
    total = 0.0
    for b in range(10):
        inside = [i for i, s in enumerate(scores) if b <= s * 10 < b + 1 or (b == 9 and s == 1)]
        if inside:
            said = sum(float(scores[i]) for i in inside) / len(inside)
            true = sum(bool(harmful[i]) for i in inside) / len(inside)
            total += len(inside) / len(scores) * abs(said - true)
    return total


def test_measures_agree_with_scikit_learn_and_loops(scored: tuple[np.ndarray, np.ndarray]) -> None:
    scores, harmful = scored
    found = [measure(scores, harmful, np.ones((1, len(scores))))[0] for measure in MEASURES]
    expected = [*by_sklearn(scores, harmful), calibration_by_loops(scores, harmful)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_weight_is_a_prompt_that_is_there_so_often(scored: tuple[np.ndarray, np.ndarray]) -> None:
    scores, harmful = scored
    clusters = [str(i % 17) for i in range(len(scores))]
    draws = resampling(clusters, seed=3, samples=5)
    assert draws.clusters == 17
    for row in range(6):
        copies = np.repeat(np.arange(len(scores)), draws.weights[row].astype(int))
        found = [measure(scores, harmful, draws.weights)[row] for measure in MEASURES]
        expected = [*by_sklearn(scores[copies], harmful[copies]), calibration_by_loops(scores[copies], harmful[copies])]
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_whole_clusters_are_drawn_and_the_first_row_is_everything() -> None:
    draws = resampling(["a", "a", "b", "c", "c", "c"], seed=0, samples=200)
    assert (draws.weights[0] == 1).all()
    assert (draws.weights[:, 0] == draws.weights[:, 1]).all()
    assert (draws.weights[:, [0, 2, 3]].sum(1) == 3).all()


def test_worked_by_hand() -> None:
    scores, harmful = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False])
    one = np.ones((1, 4))
    assert auroc(scores, harmful, one) == pytest.approx([(1 + 1 + 0.5 + 1) / 4])
    assert tpr_at_fpr(scores, harmful, one) == pytest.approx([0.5])  # above 0.8 there is one harmful prompt
    assert brier(scores, harmful, one) == pytest.approx([(0.01 + 0.04 + 0.64 + 0.01) / 4])
    # Bins: 0.9 alone (gap 0.1), the two of 0.8 (0.8 against a half), 0.1 alone (0.1 against none).
    assert calibration_error(scores, harmful, one) == pytest.approx([(0.1 + 0.6 + 0.1) / 4])


def test_a_draw_without_one_label_has_no_area() -> None:
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    found = auroc(np.array([0.2, 0.8]), np.array([False, True]), weights)
    assert found[0] == 1
    assert np.isnan(found[1:]).all()
    assert np.isnan(tpr_at_fpr(np.array([0.2, 0.8]), np.array([False, True]), weights)[1:]).all()


def test_limits_need_five_clusters_and_draws_that_are_defined() -> None:
    values = np.linspace(0, 1, 1001)
    assert resampling(list("abcd"), seed=0).interval(values).low is None
    assert resampling(list("abcde"), seed=0).interval(values).high == pytest.approx(levels(5)[1], abs=2e-3)
    values[1:100] = np.nan
    assert resampling(list("abcde"), seed=0).interval(values).high is None
    assert resampling(list("abcde"), seed=0).interval(np.full(1001, np.nan)).estimate is None


def test_few_clusters_push_the_percentiles_outwards() -> None:
    # Φ(−√(10/9) · 2.2622) = Φ(−2.3846) = 0.00855; with many clusters it is 2.5 % again.
    assert levels(10) == pytest.approx((0.00855, 0.99145), abs=1e-5)
    assert levels(100_000) == pytest.approx((0.025, 0.975), abs=1e-4)


def test_centred_limits_lie_around_the_estimate() -> None:
    rng = np.random.default_rng(0)
    values = np.r_[0.05, 0.09 + 0.01 * rng.random(1000)]  # every resample is larger than the estimate
    found = resampling(list("abcdef"), seed=0).interval(values, centred=True)
    assert found.low < found.estimate < found.high
    assert found.high - found.low == pytest.approx(np.subtract(*np.quantile(values[1:], levels(6)[::-1])))


def test_the_threshold_flags_at_most_one_benign_prompt_in_a_hundred() -> None:
    scores = np.r_[np.linspace(0, 0.99, 100), 0.5, 0.995]
    harmful = np.r_[np.zeros(100, dtype=bool), True, True]
    assert threshold_at_fpr(scores, harmful) == pytest.approx(0.99)
    assert threshold_at_fpr(np.ones(4), np.array([True, False, False, True])) is None
