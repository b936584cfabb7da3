"""What belongs to one heatmap of a run: its margins, its cells as rows, the order by effect. Pure functions over a
routing table, the report's layers and its experts; `Results` calls them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from analysis.errors import WithheldError
from analysis.routing.picture import Order, effective_experts, layer_total, moved_share, order_by_value
from analysis.routing.table import RoutingTable, favoured_label
from backend.services.expert_table import ExpertTable
from backend.services.records import CellRow, Heatmap, Margins

__all__ = ["CellTable", "Order", "favours", "margins", "order_by_effect"]


@dataclass(frozen=True)
class CellTable:
    """A heatmap's cells as columns: `layer`, `expert`, `value` and `flagged`, layer by layer."""

    columns: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def of(cls, heatmap: Heatmap, layers: npt.NDArray[Any], experts: npt.NDArray[Any]) -> "CellTable":
        """`layers` and `experts` are the places of the flagged ones."""
        flagged = np.zeros(heatmap.values.shape, dtype=np.bool_)
        flagged[np.searchsorted(np.array(heatmap.layers), layers), experts] = True
        across, down = np.meshgrid(np.array(heatmap.experts), np.array(heatmap.layers))
        return cls(
            {
                "layer": down.ravel(),
                "expert": across.ravel(),
                "value": heatmap.values.ravel(),
                "flagged": flagged.ravel(),
            }
        )

    def __len__(self) -> int:
        return len(self.columns["layer"])

    @cached_property
    def names(self) -> list[str]:
        places = zip(self.columns["layer"].tolist(), self.columns["expert"].tolist(), strict=True)
        return [f"L{layer}·E{expert}" for layer, expert in places]

    def row(self, index: int) -> CellRow:
        value = float(self.columns["value"][index])
        return CellRow(
            int(self.columns["layer"][index]),
            int(self.columns["expert"][index]),
            None if math.isnan(value) else value,
            bool(self.columns["flagged"][index]),
        )


def favours(quantity: str, group: str, minus: str | None) -> Literal["harmful", "benign"] | None:
    """The label that positive cells speak for, see `Heatmap`."""
    if quantity == "difference":
        return "harmful"
    return favoured_label(group, minus) if minus else None


def margins(
    table: RoutingTable, heatmap: Heatmap, per_layer: Sequence[Mapping[str, Any]], order: Order | None
) -> Margins:
    """Means over layers in the order shown, and numbers for each layer."""
    cells = heatmap.values if order is None else np.take_along_axis(heatmap.values, order.astype(np.intp), axis=1)
    seen = ~np.isnan(cells)
    load = np.where(seen, cells, 0).sum(0, dtype=np.float64) / np.maximum(seen.sum(0), 1)
    signed = heatmap.minus is not None or heatmap.quantity == "difference"
    total = layer_total(table, heatmap.quantity)
    spread = moved_share(heatmap.values, total) if signed else effective_experts(heatmap.values)
    return Margins(load, [row.get("entropy") for row in per_layer], [_number(value) for value in spread])


def order_by_effect(table: RoutingTable, experts: ExpertTable) -> Order:
    """Each layer's experts, the largest effect on refusal first. Raises WithheldError for a run without effects."""
    columns = experts.columns
    if not np.isfinite(columns["effect"]).any():
        raise WithheldError("no expert of this run has an effect: there is nothing to order by")
    effects = np.full((len(table.layers), table.experts), np.nan)
    effects[np.searchsorted(np.array(table.layers), columns["layer"]), columns["expert"]] = columns["effect"]
    return order_by_value(effects)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
