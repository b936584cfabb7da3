"""What a criterion is given and what it gives back."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from analysis.criteria.sequence_classifier import SequenceReading
from analysis.routing.forced import ForcedFrequency
from analysis.routing.summary import PairRows
from analysis.statistics import FEWEST_CLUSTERS

Rows = npt.NDArray[np.intp]
Scores = npt.NDArray[np.float64]


def _no_rows() -> Rows:
    return np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Evidence:
    """The discovery half, as arrays. `frequency` [prompts, layers, experts] is f in the prompt window.

    The rows are places in `frequency`, of the discovery half only; harmful and benign ones are regular prompts, and
    jailbreaks stand by themselves. `topics` has the cluster of every row of `frequency`.

    `gradient_harmful`, `gradient_benign` and `integrated` (harmful prompts) [prompts, layers, experts] are g·∂M/∂g, the
    last along the way from no expert output to all of it; `ablation` [layers, experts] is the mean loss of refusal
    margin on harmful prompts when the expert alone is zeroed (NaN where not ablated). The four are None when the model
    has no refusal margin. `sequence` is None when there are too few prompts to train on, `forced` (f over
    answers forced on the half's harmful prompts) when there are none.
    """

    frequency: npt.NDArray[np.float32]
    harmful_rows: Rows
    pairs: PairRows
    seed: int
    gradient_harmful: npt.NDArray[np.float32] | None = None
    gradient_benign: npt.NDArray[np.float32] | None = None
    ablation: Scores | None = None
    benign_rows: Rows = field(default_factory=_no_rows)
    jailbreak_rows: Rows = field(default_factory=_no_rows)
    topics: tuple[str, ...] = ()
    integrated: npt.NDArray[np.float32] | None = None
    sequence: SequenceReading | None = None
    forced: ForcedFrequency | None = None

    def clusters(self, rows: Rows) -> list[str] | None:
        """The topics of `rows`, or None, which lets every prompt stand for itself, where there are too few of them."""
        found = [self.topics[row] for row in rows] if self.topics else []
        return found if len(set(found)) >= FEWEST_CLUSTERS else None


@dataclass(frozen=True)
class Criterion:
    """`score` [layers, experts], higher = more suspect; `columns` are what else the criterion says of each expert.

    `withheld` gives the reason for columns that the evidence cannot carry, under the name of the first of them.
    """

    score: Scores
    columns: dict[str, Scores]
    withheld: dict[str, str] = field(default_factory=dict)


class CriterionFunction(Protocol):
    """Raises WithheldError when the evidence cannot carry the criterion."""

    def __call__(self, evidence: Evidence) -> Criterion: ...


@dataclass(frozen=True)
class CriterionInfo:
    """What a user reads beside a score. `shown` is False for criteria that tables leave out unless asked for all."""

    name: str
    summary: str
    window: str
    unit: str
    source: str
    shown: bool = True
