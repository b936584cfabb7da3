"""What a criterion is given and what it gives back."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from analysis.routing.summary import PairRows

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """The discovery half, as arrays. `frequency` [prompts, layers, experts] is f in the prompt window.

    `gradient_harmful` and `gradient_benign` [prompts, layers, experts] are g·∂M/∂g; `ablation` [layers, experts] is
    the mean loss of refusal margin on harmful prompts when the expert alone is zeroed (NaN where not ablated). The
    three are None when the model has no refusal margin.
    """

    frequency: npt.NDArray[np.float32]
    harmful_rows: npt.NDArray[np.intp]
    pairs: PairRows
    seed: int
    gradient_harmful: npt.NDArray[np.float32] | None = None
    gradient_benign: npt.NDArray[np.float32] | None = None
    ablation: Scores | None = None


@dataclass(frozen=True)
class Criterion:
    """`score` [layers, experts], higher = more suspect; `columns` are what else the criterion says of each expert."""

    score: Scores
    columns: dict[str, Scores]


class CriterionFunction(Protocol):
    """Raises WithheldError when the evidence cannot carry the criterion."""

    def __call__(self, evidence: Evidence) -> Criterion: ...


@dataclass(frozen=True)
class CriterionInfo:
    """What a user reads beside a score."""

    name: str
    summary: str
    window: str
    unit: str
    source: str
