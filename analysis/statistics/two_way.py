"""How much of a quantity's spread two crossed factors explain: η² of a two-way layout, cells of any size.

Called for every expert's selection frequency, with topic and harm as factors. Sums of squares are of type II: each main
effect is what its factor adds to the other one, the interaction what the cells add to both. So the result does not
depend on the order of the factors, needs no full table, and equals every other type where cells are of one size.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.errors import InputError
from analysis.statistics.arrays import divide, matrix, row_clusters

_ROUNDING = 1e-12
"""Spread below this share of the values' own size is rounding, and nothing explains it."""


@dataclass(frozen=True)
class TwoWay:
    """Shares of the total sum of squares, one for each column; NaN where a column does not vary.

    `interaction` is NaN everywhere when no cell has a second value, because it could not be told from noise.
    `chance_…` are the shares expected of a factor without any effect: its degrees of freedom over those of the total.
    """

    rows: Float[np.ndarray, " columns"]
    columns: Float[np.ndarray, " columns"]
    interaction: Float[np.ndarray, " columns"]
    chance_rows: float
    chance_columns: float
    chance_interaction: float
    n: int


def two_way_eta(
    values: Float[np.ndarray, "n m"], row_labels: Sequence[Hashable], column_labels: Sequence[Hashable]
) -> TwoWay:
    """η² of each column of `values` in the layout rows + columns + rows×columns, without missing values.

    Raises InputError when labels do not fit the values, or when one factor's levels are all the same or tell all of the
    other's, so that the two cannot be told apart.
    """
    array = matrix(values, "values").astype(np.float64)
    if np.isnan(array).any():
        raise InputError("values have NaN: a two-way layout needs a number in each place; leave those rows out")
    first, second = (_indicators(len(array), labels) for labels in (row_labels, column_labels))
    cells = _indicators(len(array), list(zip(row_labels, column_labels, strict=True)))
    spaces = [_space(np.hstack(part)) for part in ([first], [second], [first, second], [cells])]
    ranks = [space.shape[1] for space in spaces]
    if ranks[2] == max(ranks[:2]):
        raise InputError(
            f"the two factors cannot be told apart: {len(first.T)} and {len(second.T)} levels span {ranks[2]} "
            "dimensions; each needs two levels, and some level of one has to meet two of the other"
        )
    scale = (array**2).sum(0)
    centred = array - array.mean(0)
    total = (centred**2).sum(0)
    total = np.where(total > _ROUNDING * scale, total, 0.0)
    by_first, by_second, additive, full = (((space.T @ centred) ** 2).sum(0) for space in spaces)
    freedom = len(array) - 1
    crossed = divide((full - additive).clip(0), total)
    if ranks[3] in (ranks[2], len(array)):
        crossed = np.full_like(crossed, np.nan)
    return TwoWay(
        rows=divide((additive - by_second).clip(0), total),
        columns=divide((additive - by_first).clip(0), total),
        interaction=crossed,
        chance_rows=(ranks[2] - ranks[1]) / freedom,
        chance_columns=(ranks[2] - ranks[0]) / freedom,
        chance_interaction=(ranks[3] - ranks[2]) / freedom,
        n=len(array),
    )


def _indicators(rows: int, labels: Sequence[Hashable]) -> Float[np.ndarray, "n levels"]:
    return row_clusters(rows, labels).members.T


def _space(design: Float[np.ndarray, "n levels"]) -> Float[np.ndarray, "n rank"]:
    """An orthonormal basis of what the design can fit; the mean is always among it."""
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis: Float[np.ndarray, "n rank"] = left[:, sizes > sizes.max(initial=0.0) * len(design) * np.finfo(float).eps]
    return basis
