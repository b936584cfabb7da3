"""B − A for every layer and expert, out of two routing tables. Services draw it as a heatmap."""

import numpy as np
import numpy.typing as npt

from analysis.errors import InputError, WithheldError
from analysis.routing.table import RoutingTable

QUANTITIES = ("frequency", "probability", "lift")
"""What can be subtracted. A difference of harmful and benign is one already."""


def difference_cells(
    a: RoutingTable, b: RoutingTable, quantity: str = "frequency", group: str = "all", window: str = "prompt"
) -> npt.NDArray[np.float32]:
    """B − A of one quantity [layers, experts], NaN where one of the two observed nothing.

    Raises InputError for a name that one of them does not know, WithheldError for tables of different shapes.
    """
    if quantity not in QUANTITIES:
        raise InputError(f"unknown quantity '{quantity}': expected one of {', '.join(QUANTITIES)}", field="quantity")
    shapes = [(one.layers, one.experts, one.top_k) for one in (a, b)]
    if shapes[0] != shapes[1]:
        raise WithheldError("the two models differ in MoE layers, experts or experts per token: cells have no twin")
    cells: npt.NDArray[np.float32] = b.cells(quantity, group, window) - a.cells(quantity, group, window)
    return cells


def common_groups(a: RoutingTable, b: RoutingTable) -> list[str]:
    """The groups of prompts that both tables have, in A's order."""
    return [group for group in a.groups if group in b.groups]
