"""How much of an expert's selection frequency a prompt's topic explains, and how much its harm: η² per expert.

The two-way layout f = μ + topic + harm + topic×harm over prompts, f in the prompt window. A factor explains something
by chance alone, and topic, with its many levels, explains more so: the chance shares stand beside. Our formalisation.
Called for the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.errors import InputError, WithheldError
from analysis.routing.summary import FloatArray
from analysis.statistics import two_way_eta


@dataclass(frozen=True)
class Explained:
    """η² [layers, experts] of topic, harm and their interaction: shares of f's variance over prompts.

    NaN for an expert that every prompt uses alike, and for the interaction where no cell has two prompts. `chance` has
    what each would be on average if it had no effect; `prompts` were looked at.
    """

    topic: npt.NDArray[np.float64]
    harm: npt.NDArray[np.float64]
    interaction: npt.NDArray[np.float64]
    chance: dict[str, float]
    prompts: int

    @property
    def withheld(self) -> dict[str, str]:
        """Why some experts have no share, or all have none of the interaction."""
        reasons = {}
        if np.isnan(self.interaction).all() and not np.isnan(self.topic).all():
            why = "no topic has two prompts of one label, or none has both labels beside another that has"
            reasons["experts.details.eta_interaction"] = why
        if np.isnan(self.topic).any():
            constant = "every prompt uses the expert alike, so there is nothing to explain"
            reasons |= {f"experts.details.eta_{name}": constant for name in ("topic", "harm")}
            reasons.setdefault("experts.details.eta_interaction", constant)
        return reasons


def explained(frequency: FloatArray, labels: Sequence[str | None], topics: Sequence[str | None]) -> Explained:
    """Over `frequency` [prompts, layers, experts]; prompts without label or topic are left out.

    Raises WithheldError when there are not two topics and both labels, or label and topic are tied to one another.
    """
    rows = [i for i, (label, topic) in enumerate(zip(labels, topics, strict=True)) if label and topic]
    names, sides = [topics[i] for i in rows], [labels[i] for i in rows]
    if len(set(names)) < 2 or len(set(sides)) < 2:
        raise WithheldError("it needs harmful and benign prompts of two topics or more")
    shape = frequency.shape[1:]
    try:
        found = two_way_eta(frequency[rows].reshape(len(rows), -1), names, sides)
    except InputError:
        raise WithheldError(
            "each topic has either harmful or benign prompts, so the two cannot be told apart"
        ) from None
    return Explained(
        topic=found.rows.reshape(shape),
        harm=found.columns.reshape(shape),
        interaction=found.interaction.reshape(shape),
        chance={
            "topic": found.chance_rows,
            "harm": found.chance_columns,
            "interaction": found.chance_interaction,
        },
        prompts=found.n,
    )
