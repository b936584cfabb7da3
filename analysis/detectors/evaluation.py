"""A detector and its baselines on two kinds of folds: pairs kept together, and whole topics left out.

Everything is fitted on the training side of a fold alone, scaling and calibration included; nothing is tuned. Called by
`detection`, which turns the tables into detector.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float

from analysis.detectors.base import Detector, Features, Fit, Labels
from analysis.detectors.baselines import DRAWS, Contestant, baselines
from analysis.detectors.folds import Fold, category_folds, clusters_of, grouped_folds, units_of
from analysis.detectors.metrics import (
    FEWEST_BENIGN,
    Draws,
    Resampling,
    Weights,
    auroc,
    brier,
    calibration_error,
    resampling,
    threshold_at_fpr,
    tpr_at_fpr,
)
from analysis.detectors.signals import Signals
from analysis.routing.trace import Progress, silent
from analysis.statistics import Interval, cluster_bootstrap

FOLDS = 5
SCHEMES = ("kfold", "leave_category_out")
Probabilities = Float[np.ndarray, " prompts"]


class Measure(Protocol):
    def __call__(self, scores: Probabilities, harmful: Labels, weights: Weights) -> Draws: ...


@dataclass(frozen=True)
class Row:
    """One contestant on one kind of folds, as intervals. `auroc_sd` is the spread over random draws."""

    name: str
    summary: str
    columns: int
    draws: int
    auroc: Interval
    auroc_sd: float | None
    tpr_at_1_fpr: Interval
    calibration_error: Interval
    brier: Interval
    within_category: Interval
    behind_detector: Interval | None
    """The detector's AUROC less this one's, resampled together; None in the detector's own row."""


@dataclass(frozen=True)
class Category:
    """One left-out topic: how well the detector, trained on others, tells its harmful from its benign prompts."""

    topic: str
    harmful: int
    benign: int
    auroc: Interval


@dataclass(frozen=True)
class Table:
    """One kind of folds. `probability` [prompts] is the detector's out of fold, NaN for prompts in no fold."""

    scheme: str
    folds: int
    harmful: int
    benign: int
    rows: tuple[Row, ...]
    categories: tuple[Category, ...]
    probability: Probabilities
    threshold_at_1_fpr: float | None
    withheld: dict[str, str] = field(default_factory=dict)

    @property
    def detector(self) -> Row:
        return self.rows[0]


def evaluate(
    detector: Detector,
    signals: Signals,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    compare: bool = True,
    progress: Progress = silent,
) -> tuple[list[Table], dict[str, str]]:
    """The tables that the prompts can carry, and the reasons for those that they cannot. Every prompt has a label.

    `draws` is how often the baselines that are random are drawn; without `compare` there are no baselines.
    """
    harmful = labels_of(signals)
    features = detector.features(signals)
    contestants = [Contestant(detector.info.name, detector.info.summary, (features,), detector.fit)]
    if compare:
        contestants += baselines(detector, features, signals, seed=seed, draws=draws)
    schemes = {
        "kfold": grouped_folds(harmful, units_of(signals.prompts), FOLDS, seed=seed),
        "leave_category_out": category_folds(signals.prompts, harmful),
    }
    reasons = {
        "kfold": "needs at least two harmful and two benign prompts or pairs to train on some and test on others",
        "leave_category_out": "needs at least two topics, and both labels among the topics that are not left out",
    }
    found = [_table(name, folds, contestants, signals, seed, progress) for name, folds in schemes.items() if folds]
    return found, {name: reasons[name] for name, folds in schemes.items() if not folds}


def labels_of(signals: Signals) -> Labels:
    """True for harmful."""
    return np.array([prompt.label == "harmful" for prompt in signals.prompts], dtype=bool)


def out_of_fold(
    features: Features, fit: Fit, harmful: Labels, units: Sequence[str], folds: Sequence[Fold]
) -> Probabilities:
    """The probability that each prompt gets from a fit that has not seen it; NaN for prompts in no test fold."""
    found = np.full(len(harmful), np.nan)
    for fold in folds:
        scorer = fit(features.values[fold.train], harmful[fold.train], [units[i] for i in fold.train])
        found[fold.test] = scorer.probability(features.values[fold.test])
    return found


def _table(
    scheme: str,
    folds: Sequence[Fold],
    contestants: Sequence[Contestant],
    signals: Signals,
    seed: int,
    progress: Progress,
) -> Table:
    harmful, units = labels_of(signals), units_of(signals.prompts)
    scored: list[list[Probabilities]] = []
    for number, one in enumerate(contestants):
        progress(f"evaluation {scheme}", number, len(contestants))
        scored.append([out_of_fold(features, one.fit, harmful, units, folds) for features in one.draws])
    progress(f"evaluation {scheme}", len(contestants), len(contestants))
    tested = np.flatnonzero(~np.isnan(scored[0][0]))
    panel = _Panel(signals.take(tested), seed)
    probability = scored[0][0]
    rows = tuple(
        panel.row(one, [p[tested] for p in draws], None if i == 0 else probability[tested])
        for i, (one, draws) in enumerate(zip(contestants, scored, strict=True))
    )
    return Table(
        scheme=scheme,
        folds=len(folds),
        harmful=int(harmful[tested].sum()),
        benign=int((~harmful[tested]).sum()),
        rows=rows,
        categories=panel.categories(probability[tested]) if scheme == "leave_category_out" else (),
        probability=probability,
        threshold_at_1_fpr=threshold_at_fpr(probability[tested], harmful[tested]) if panel.enough_benign else None,
        withheld=_withheld(panel, scheme, folds, signals, rows),
    )


class _Panel:
    """The prompts of all test folds with one set of draws for every measure and contestant."""

    def __init__(self, signals: Signals, seed: int) -> None:
        self.signals, self.seed = signals, seed
        self.harmful = labels_of(signals)
        self.draws = resampling(clusters_of(signals.prompts), seed=seed)
        self.topics = [prompt.topic or "" for prompt in signals.prompts]

    @property
    def enough_benign(self) -> bool:
        return int((~self.harmful).sum()) >= FEWEST_BENIGN

    def row(self, one: Contestant, scores: Sequence[Probabilities], detector: Probabilities | None) -> Row:
        """Means over the random draws; `detector` are the scores to compare with."""
        areas = [self._draws(auroc, each) for each in scores]
        area = np.mean(areas, axis=0)
        nothing = Interval(None, None, None, self.draws.clusters)
        return Row(
            name=one.name,
            summary=one.summary,
            columns=one.draws[0].values.shape[1],
            draws=len(scores),
            auroc=self.draws.interval(area),
            auroc_sd=float(np.std([each[0] for each in areas], ddof=1)) if len(scores) > 1 else None,
            tpr_at_1_fpr=self._interval(tpr_at_fpr, scores) if self.enough_benign else nothing,
            calibration_error=self._interval(calibration_error, scores, centred=True),
            brier=self._interval(brier, scores),
            within_category=self._within(scores),
            behind_detector=None if detector is None else self.draws.interval(self._draws(auroc, detector) - area),
        )

    def categories(self, scores: Probabilities) -> tuple[Category, ...]:
        """Each topic alone, its pairs drawn again."""
        return tuple(self._category(topic, scores) for topic in sorted(set(self.topics) - {""}))

    def _category(self, topic: str, scores: Probabilities) -> Category:
        rows = self._rows(topic)
        inside = self.harmful[rows]
        units = units_of([self.signals.prompts[i] for i in rows])
        drawn: Resampling = resampling(units, seed=self.seed)
        area = drawn.interval(auroc(scores[rows], inside, drawn.weights))
        return Category(topic, int(inside.sum()), int((~inside).sum()), area)

    def _within(self, scores: Sequence[Probabilities]) -> Interval:
        """Mean over topics of the AUROC inside the topic, which no difference between topics can raise."""
        rows = [self._rows(topic) for topic in sorted(set(self.topics) - {""})]
        both = [one for one in rows if self.harmful[one].any() and not self.harmful[one].all()]
        inside = [
            float(np.mean([auroc(each[one], self.harmful[one], np.ones((1, len(one))))[0] for each in scores]))
            for one in both
        ]
        if not inside:
            return Interval(None, None, None, 0)
        return cluster_bootstrap(np.array(inside), None, seed=self.seed, bounds=(0, 1))

    def _rows(self, topic: str) -> list[int]:
        return [i for i, each in enumerate(self.topics) if each == topic]

    def _draws(self, measure: Measure, scores: Probabilities) -> Draws:
        return measure(scores, self.harmful, self.draws.weights)

    def _interval(self, measure: Measure, scores: Sequence[Probabilities], *, centred: bool = False) -> Interval:
        return self.draws.interval(np.mean([self._draws(measure, each) for each in scores], axis=0), centred=centred)


def _withheld(
    panel: _Panel, scheme: str, folds: Sequence[Fold], signals: Signals, rows: Sequence[Row]
) -> dict[str, str]:
    found: dict[str, str] = {}
    if not panel.enough_benign:
        benign = int((~panel.harmful).sum())
        found["tpr_at_1_fpr"] = f"needs at least {FEWEST_BENIGN} benign prompts, found {benign}"
    if rows[0].within_category.estimate is None:
        found["within_category"] = "no topic has both harmful and benign prompts"
    missing = len(signals) - len(panel.signals)
    if missing:
        found["scores"] = f"{missing} prompts have no topic, or one without which a label is missing in training"
    topics = sum(len(fold.categories) for fold in folds)
    if scheme == "leave_category_out" and topics > len(folds):
        found["single_categories"] = f"{topics} topics are left out in {len(folds)} groups"
    return found
