"""What stands beside a detector in its table: what else gives harm away, and what any other readout would.

Each is evaluated on the same folds as the detector. A detector that does not beat them has found nothing about routing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int
from sklearn.feature_extraction.text import HashingVectorizer

from analysis.detectors.base import Column, Detector, Features, Fit, Labels, Scorer, Values
from analysis.detectors.linear import LinearScorer, fit_logistic
from analysis.detectors.signals import Signals

DRAWS = 10
SHARE = 4
"""The baselines that read few experts keep one in so many of each layer."""
_WORD_FEATURES = 4_096


@dataclass(frozen=True)
class Contestant:
    """One row of the table. `draws` are the features of each random draw, a single one where nothing is random."""

    name: str
    summary: str
    draws: tuple[Features, ...]
    fit: Fit


def baselines(
    detector: Detector, features: Features, signals: Signals, *, seed: int, draws: int = DRAWS
) -> list[Contestant]:
    """Few experts, by weight where there are any and at random; random features; layer inputs; words; length."""
    layers = expert_columns(features)
    generators = [np.random.default_rng([seed, draw]) for draw in range(draws)]
    few = [
        Contestant(
            "random_experts",
            f"The same detector reading 1 expert in {SHARE} of each layer, drawn at random: mean of {draws} draws.",
            tuple(features.keep(_drawn(layers, generator)) for generator in generators),
            detector.fit,
        )
    ]
    if detector.linear:
        chosen = (
            f"The same detector reading the 1 expert in {SHARE} of each layer that weighs most in its training prompts."
        )
        few.insert(0, Contestant("selected_experts", chosen, (features,), _SelectedFit(detector.fit, layers)))
    return few + _other_readouts(signals, generators)


def _other_readouts(signals: Signals, generators: Sequence[np.random.Generator]) -> list[Contestant]:
    directions = tuple(_random_features(signals, generator) for generator in generators)
    random_features = (
        "As many random directions of each kept layer's input as it has experts, what routers that had learnt nothing "
        f"would score: mean of {len(generators)} draws."
    )
    inputs = "The states that the routers are handed at the boundary token."
    return [
        Contestant("random_features", random_features, directions, fit_logistic),
        Contestant("layer_inputs", inputs, (_layer_inputs(signals),), fit_logistic),
        Contestant("words", "The words of the prompt, counted.", (_words(signals),), fit_logistic),
        Contestant("prompt_length", "The logarithm of the number of tokens.", (_length(signals),), fit_logistic),
    ]


def expert_columns(features: Features) -> list[dict[int, list[int]]]:
    """For each layer, the places of every expert's columns; what belongs to a layer as a whole is in none."""
    layers: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, column in enumerate(features.columns):
        if column.layer is not None and column.expert is not None:
            layers[column.layer][column.expert].append(place)
    return [dict(experts) for experts in layers.values()]


def _few(experts: int) -> int:
    return max(1, experts // SHARE)


def _drawn(layers: list[dict[int, list[int]]], generator: np.random.Generator) -> Int[np.ndarray, " columns"]:
    kept: list[int] = []
    for experts in layers:
        for expert in generator.choice(sorted(experts), size=_few(len(experts)), replace=False):
            kept += experts[int(expert)]
    return np.array(sorted(kept), dtype=np.intp)


@dataclass(frozen=True)
class _SelectedFit:
    """Fits once on everything, keeps the heaviest experts of each layer, and fits again on their columns."""

    fit: Fit
    layers: list[dict[int, list[int]]]

    def __call__(self, values: Values, harmful: Labels, units: Sequence[str]) -> Scorer:
        whole = self.fit(values, harmful, units)
        assert isinstance(whole, LinearScorer)
        kept: list[int] = []
        for experts in self.layers:
            size = {expert: np.abs(whole.weights[places]).sum() for expert, places in experts.items()}
            for expert in sorted(experts, key=lambda e: (-size[e], e))[: _few(len(experts))]:
                kept += experts[expert]
        columns = np.array(sorted(kept), dtype=np.intp)
        return _Restricted(columns, self.fit(values[:, columns], harmful, units))


@dataclass(frozen=True)
class _Restricted:
    """A scorer of some columns, handed all of them. Lives for one fold and is never written down."""

    kind: ClassVar[str] = "restricted"

    columns: Int[np.ndarray, " columns"]
    inner: Scorer

    def probability(self, values: Values) -> Float[np.ndarray, " prompts"]:
        return self.inner.probability(values[:, self.columns])

    def arrays(self) -> dict[str, np.ndarray]:
        return {"columns": self.columns, **self.inner.arrays()}

    def numbers(self) -> dict[str, Any]:
        return self.inner.numbers()


def _random_features(signals: Signals, generator: np.random.Generator) -> Features:
    hidden = signals.inputs.shape[2]
    counts = [signals.experts[signals.layers.index(layer)] for layer in signals.probed]
    parts = [
        signals.inputs[:, place].astype(np.float64) @ generator.standard_normal((hidden, count)) / np.sqrt(hidden)
        for place, count in enumerate(counts)
    ]
    columns = [
        Column("random", layer) for layer, count in zip(signals.probed, counts, strict=True) for _ in range(count)
    ]
    return Features(np.concatenate(parts, axis=1), tuple(columns))


def _layer_inputs(signals: Signals) -> Features:
    columns = tuple(Column("input", layer) for layer in signals.probed for _ in range(signals.inputs.shape[2]))
    return Features(signals.inputs.reshape(len(signals), -1).astype(np.float64), columns)


def _words(signals: Signals) -> Features:
    """Word counts, hashed: nothing is learnt from the prompts, so nothing leaks between folds."""
    hashing = HashingVectorizer(n_features=_WORD_FEATURES, alternate_sign=False, norm=None)
    counts = hashing.transform([prompt.text for prompt in signals.prompts])
    used = np.flatnonzero(counts.getnnz(axis=0))
    return Features(counts[:, used].toarray(), tuple(Column("word") for _ in used))


def _length(signals: Signals) -> Features:
    return Features(np.log(signals.tokens[:, None].astype(np.float64)), (Column("length"),))
