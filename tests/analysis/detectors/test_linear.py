"""The fitted arrays against scikit-learn's own predictions and against a fit written with scipy alone."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from analysis.detectors.linear import fit_logistic, fit_platt


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """90 prompts, one in three harmful, a column that never changes."""
    rng = np.random.default_rng(5)
    harmful = np.arange(90) % 3 == 0
    values = rng.normal(size=(90, 7)) + 0.8 * harmful[:, None] * np.array([1, -1, 0.5, 0, 0, 0, 0])
    values[:, 6] = 3.0
    return values, harmful, [f"u{i // 2}" for i in range(90)]


def by_scipy(values: np.ndarray, harmful: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights and intercept that minimise ½|w|² + Σ weight · log loss on standardised columns."""
    sd = values.std(0)
    standard = (values - values.mean(0)) / np.where(sd > 0, sd, 1)
    sign = np.where(harmful, 1.0, -1.0)

    def loss(wb: np.ndarray) -> float:
        return 0.5 * wb[:-1] @ wb[:-1] - (weight * log_expit(sign * (standard @ wb[:-1] + wb[-1]))).sum()

    return minimize(loss, np.zeros(values.shape[1] + 1), method="BFGS", options={"gtol": 1e-8}).x


def test_balanced_regression_is_the_minimum_of_its_loss(data: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    values, harmful, units = data
    scorer = fit_logistic(values, harmful, units)
    expected = by_scipy(values, harmful, np.where(harmful, 90 / (2 * 30), 90 / (2 * 60)))
    np.testing.assert_allclose([*scorer.weights, scorer.intercept], expected, atol=2e-3)
    assert (scorer.slope, scorer.shift) == (1, 0)


def test_the_arrays_say_what_scikit_learn_says(data: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    values, harmful, units = data
    scaler = StandardScaler().fit(values)
    expected = LogisticRegression(class_weight="balanced").fit(scaler.transform(values), harmful)
    found = fit_logistic(values, harmful, units)
    np.testing.assert_allclose(
        found.probability(values), expected.predict_proba(scaler.transform(values))[:, 1], atol=1e-6
    )


def test_platt_scaling_fits_out_of_fold_margins(data: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    values, harmful, units = data
    margins = np.empty(90)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in splitter.split(values, harmful, units):
        scaler = StandardScaler().fit(values[train])
        inner = LogisticRegression().fit(scaler.transform(values[train]), harmful[train])
        margins[test] = inner.decision_function(scaler.transform(values[test]))
    # Platt's targets: not quite 1 and 0, by how many of each there are.
    target = np.where(harmful, (30 + 1) / (30 + 2), 1 / (60 + 2))

    def loss(ab: np.ndarray) -> float:
        said = ab[0] * margins + ab[1]
        return -(target * log_expit(said) + (1 - target) * log_expit(-said)).sum()

    expected = minimize(loss, np.array([1.0, 0.0]), method="BFGS", options={"gtol": 1e-9}).x
    scorer = fit_platt(values, harmful, units)
    np.testing.assert_allclose([scorer.slope, scorer.shift], expected, atol=1e-4)
    whole = LogisticRegression().fit(StandardScaler().fit_transform(values), harmful)
    np.testing.assert_allclose(scorer.weights, whole.coef_[0], atol=1e-6)
    margin = scorer.margin(values)
    np.testing.assert_allclose(scorer.probability(values), expit(scorer.slope * margin + scorer.shift), atol=1e-12)


def test_without_enough_units_margins_stay_as_they_are(data: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    values, harmful, _ = data
    scorer = fit_platt(values, harmful, ["all"] * 90)
    assert (scorer.slope, scorer.shift) == (1, 0)
