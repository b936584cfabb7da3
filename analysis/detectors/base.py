"""What a detector is made of: features of prompts, a way to fit them, and a scorer that needs no training library.

Each detector has a file of its own beside this one and an entry in the registry of the package. `evaluation` fits them
again and again on parts of the prompts, `trained` keeps the last fit in a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from jaxtyping import Bool, Float

from analysis.detectors.signals import Signals

Labels = Bool[np.ndarray, " prompts"]
Values = Float[np.ndarray, "prompts columns"]


@dataclass(frozen=True)
class DetectorInfo:
    """What a user reads beside a detector's numbers. `window` says which tokens it looks at."""

    name: str
    summary: str
    window: str
    source: str


@dataclass(frozen=True)
class Column:
    """One feature. `layer` and `expert` are None where it belongs to none; `kind` names the quantity."""

    kind: str
    layer: int | None = None
    expert: int | None = None


@dataclass(frozen=True)
class Features:
    """`values` [prompts, columns], one `Column` each."""

    values: Values
    columns: tuple[Column, ...]

    def keep(self, columns: np.ndarray) -> "Features":
        """These columns alone; `columns` are their places."""
        return Features(self.values[:, columns], tuple(self.columns[i] for i in columns))


class Scorer(Protocol):
    """A fitted detector. It is made of arrays and plain numbers, so that it can be written down without pickle."""

    kind: ClassVar[str]

    def probability(self, values: Values) -> Float[np.ndarray, " prompts"]:
        """How likely each prompt is to be harmful, in [0, 1]."""
        ...

    def arrays(self) -> dict[str, np.ndarray]: ...

    def numbers(self) -> dict[str, Any]: ...


class Fit(Protocol):
    """Trains on `values` with True for harmful. Prompts of one unit are never parted inside (for calibration)."""

    def __call__(self, values: Values, harmful: Labels, units: Sequence[str]) -> Scorer: ...


@dataclass(frozen=True)
class Detector:
    """`features` turns signals into columns; it looks at each prompt alone, so nothing leaks between folds.

    A `linear` detector has a weight for each column.
    """

    info: DetectorInfo
    features: Callable[[Signals], Features]
    fit: Fit
    linear: bool = True


def per_expert(values: Float[np.ndarray, "prompts layers experts"], signals: Signals, kind: str) -> Features:
    """A column for every expert that there is, by layer, then expert."""
    cells = [(place, expert) for place, count in enumerate(signals.experts) for expert in range(count)]
    places, experts = (np.array(axis, dtype=np.intp) for axis in zip(*cells, strict=True))
    columns = tuple(Column(kind, signals.layers[place], expert) for place, expert in cells)
    return Features(values[:, places, experts].astype(np.float64), columns)


def joined(*parts: Features) -> Features:
    """The columns of several, one after the other."""
    return Features(
        np.concatenate([part.values for part in parts], axis=1), tuple(c for part in parts for c in part.columns)
    )
