"""Data sets whose truth is known, for `benchmarks.coverage` and the tests: prompts in topics that resemble one another.

Each generator draws `sets` data sets at once over the same topics, as [rows, sets], and gives the truth beside them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Shape = Literal["normal", "skewed", "long-tailed", "rate", "change", "rare change"]
SHAPES: tuple[Shape, ...] = ("normal", "skewed", "long-tailed", "rate", "change")
RATE, GAINED = 0.8, 0.05
LOST = {"change": 0.3, "rare change": 0.05}


@dataclass(frozen=True)
class Layout:
    """Topics of unequal size, and the share of the variance that lies between them."""

    topics: tuple[int, ...]
    icc: float

    @classmethod
    def of(cls, topics: int, icc: float, smallest: int = 5, largest: int = 20) -> "Layout":
        """Sizes spread evenly from the smallest to the largest."""
        return cls(tuple(int(size) for size in np.linspace(smallest, largest, topics).round()), icc)

    @property
    def labels(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.topics)), self.topics)


def draw(shape: Shape, layout: Layout, sets: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Values [rows, sets] and the mean they are drawn from.

    normal, skewed (exponential) and long-tailed (log-normal, σ = 0.8) have mean 0 and variance 1, shared between topic
    and prompt by the ICC; rate is 0 or 1 with chance 0.8; change is −1 for three in ten and +1 for one in twenty of the
    others, as when answers are given again; rare change is −1 for one in twenty only.
    """
    if shape == "rate" or shape in LOST:
        return _answers(shape, layout, sets, rng)
    rows = layout.labels
    between = _standard(shape, rng, (len(layout.topics), sets))
    within = _standard(shape, rng, (len(rows), sets))
    return np.sqrt(layout.icc) * between[rows] + np.sqrt(1 - layout.icc) * within, 0.0


def rates(rate: float, layout: Layout, sets: int, rng: np.random.Generator) -> np.ndarray:
    """Hits [rows, sets] whose chance varies over topics with a beta distribution of mean `rate`."""
    shape = (len(layout.topics), sets)
    if layout.icc == 0:
        chance = np.full(shape, rate)
    else:
        spread = 1 / layout.icc - 1
        chance = rng.beta(rate * spread, (1 - rate) * spread, size=shape)
    rows = layout.labels
    hits: np.ndarray = rng.random((len(rows), sets)) < chance[rows]
    return hits


def distances(layout: Layout, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances of prompts of different topics, and the topics of either end; their mean is 2·(1 + spread²).

    Prompts are points on a line: a topic's place (sd `spread`) plus their own (sd 1).
    """
    rows = layout.labels
    places = spread * rng.normal(size=len(layout.topics))[rows] + rng.normal(size=len(rows))
    left, right = np.triu_indices(len(rows), 1)
    apart = rows[left] != rows[right]
    left, right = left[apart], right[apart]
    return (places[left] - places[right]) ** 2, rows[left], rows[right]


def _answers(shape: Shape, layout: Layout, sets: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    if shape == "rate":
        return rates(RATE, layout, sets, rng).astype(float), RATE
    lost = rates(LOST[shape], layout, sets, rng)
    gained = ~lost & (rng.random(lost.shape) < GAINED)
    return gained.astype(float) - lost, (1 - LOST[shape]) * GAINED - LOST[shape]


def _standard(shape: Shape, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    if shape == "normal":
        return rng.normal(size=size)
    if shape == "skewed":
        return rng.exponential(size=size) - 1
    sigma = 0.8
    mean, sd = np.exp(sigma**2 / 2), np.sqrt(np.exp(sigma**2) - 1) * np.exp(sigma**2 / 2)
    values: np.ndarray = (np.exp(sigma * rng.normal(size=size)) - mean) / sd
    return values
