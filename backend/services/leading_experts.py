"""The few experts that a picture of all criteria can show: those that any of them puts first, and those that matter.
`Results.leading_experts` calls it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from backend.services.expert_table import ExpertTable

BEST = 3
"""How many of each criterion's best are shown."""
MOST_FLAGGED = 24


@dataclass(frozen=True)
class LeadingExpert:
    """An expert and its rank by each of some criteria, None where it has no score; `rank` is the audit's own."""

    layer: int
    expert: int
    name: str
    flagged: bool
    selected: bool
    rank: int
    ranks: tuple[int | None, ...]


def leading_experts(
    table: ExpertTable, criteria: tuple[str, ...], selected: Collection[tuple[int, int]]
) -> list[LeadingExpert]:
    """The best flagged experts, the `selected` ones, and the BEST first of each of `criteria`, in the audit's order."""
    flagged = np.flatnonzero(table.columns["flagged"])[:MOST_FLAGGED]
    chosen = {index for place in selected if (index := table.index(*place)) is not None}
    best = [np.flatnonzero((ranks > 0) & (ranks <= BEST)) for ranks in (table.columns[f"rank_{c}"] for c in criteria)]
    shown = sorted({*chosen, *(int(i) for part in (flagged, *best) for i in part)})
    return [_leading(table, criteria, index, index in chosen) for index in shown]


def _leading(table: ExpertTable, criteria: tuple[str, ...], index: int, selected: bool) -> LeadingExpert:
    columns = table.columns
    ranks = tuple(int(columns[f"rank_{name}"][index]) or None for name in criteria)
    layer, expert, rank = (int(columns[name][index]) for name in ("layer", "expert", "rank"))
    return LeadingExpert(layer, expert, table.names[index], bool(columns["flagged"][index]), selected, rank, ranks)
