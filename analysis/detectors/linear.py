"""Logistic regression on standardised columns, with or without Platt scaling: what the linear detectors are fitted by.

scikit-learn fits; the result is kept as arrays. Nothing is tuned: C = 1 on standardised columns throughout (ours; the
papers give none).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from analysis.detectors.base import Labels, Values
from analysis.detectors.folds import grouped_folds

C = 1.0
_INNER_FOLDS = 5
_ITERATIONS = 5_000


@dataclass(frozen=True)
class LinearScorer:
    """P(harmful) = σ(slope · (w·(x − mean)/scale + intercept) + shift); slope 1 and shift 0 without Platt scaling."""

    kind: ClassVar[str] = "linear"

    mean: Float[np.ndarray, " columns"]
    scale: Float[np.ndarray, " columns"]
    weights: Float[np.ndarray, " columns"]
    intercept: float
    slope: float = 1.0
    shift: float = 0.0

    def margin(self, values: Values) -> Float[np.ndarray, " prompts"]:
        """The log-odds before calibration."""
        margins: Float[np.ndarray, " prompts"] = (values - self.mean) / self.scale @ self.weights + self.intercept
        return margins

    def probability(self, values: Values) -> Float[np.ndarray, " prompts"]:
        likely: Float[np.ndarray, " prompts"] = expit(self.slope * self.margin(values) + self.shift)
        return likely

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "scale": self.scale, "weights": self.weights}

    def numbers(self) -> dict[str, Any]:
        return {"intercept": self.intercept, "slope": self.slope, "shift": self.shift}


def fit_logistic(values: Values, harmful: Labels, units: Sequence[str]) -> LinearScorer:
    """L2 logistic regression in which harmful and benign weigh the same, however many there are of each."""
    return _read(_pipeline("balanced").fit(values, harmful))


def fit_platt(values: Values, harmful: Labels, units: Sequence[str]) -> LinearScorer:
    """L2 logistic regression, then Platt scaling on its own out-of-fold margins (5 folds, units kept together).

    Without enough units for inner folds that hold both labels, the margins stay as they are.
    """
    folds = grouped_folds(harmful, units, _INNER_FOLDS, seed=0)
    if not folds:
        return _read(_pipeline(None).fit(values, harmful))
    splits = [(fold.train, fold.test) for fold in folds]
    fitted = CalibratedClassifierCV(_pipeline(None), method="sigmoid", cv=splits, ensemble=False).fit(values, harmful)
    (calibrated,) = fitted.calibrated_classifiers_
    (platt,) = calibrated.calibrators
    return _read(calibrated.estimator, slope=-float(platt.a_), shift=-float(platt.b_))


def _pipeline(class_weight: Literal["balanced"] | None) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight=class_weight, max_iter=_ITERATIONS))


def _read(fitted: Pipeline, slope: float = 1.0, shift: float = 0.0) -> LinearScorer:
    scaler, regression = fitted.named_steps["standardscaler"], fitted.named_steps["logisticregression"]
    return LinearScorer(scaler.mean_, scaler.scale_, regression.coef_[0], float(regression.intercept_[0]), slope, shift)
