"""What a picture of routing shows beside its cells: a number for each layer, orders of the experts, one map per topic.

`backend.services.results` asks for these; they read a routing table and never a trace.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import entr

from analysis.errors import InputError, WithheldError
from analysis.routing.table import RoutingTable, topic_group
from analysis.routing.topics import topic_specialisation

Cells = npt.NDArray[np.float32]
Order = npt.NDArray[np.uint16]
LABELS = ("harmful", "benign")


@dataclass(frozen=True)
class TopicMaps:
    """`values` [topics, layers, columns]: in each column the largest of `block` neighbouring experts, by its distance
    from 0 where values are signed; NaN where nothing was observed. With a block of 1 a column is an expert.
    """

    topics: tuple[str, ...]
    block: int
    values: Cells

    def __repr__(self) -> str:
        return f"TopicMaps({len(self.topics)} topics, {self.block} experts a column, {self.values.shape[1]} layers)"


def effective_experts(cells: Cells) -> npt.NDArray[np.float64]:
    """How many experts of each layer [layers] do the work, if each did as much: e^H of its shares, H in nats. NaN for a
    layer without observations."""
    total = cells.sum(-1, keepdims=True, dtype=np.float64)
    shares = np.divide(cells, total, out=np.zeros(cells.shape), where=total > 0)
    found: npt.NDArray[np.float64] = np.where(total[:, 0] > 0, np.exp(entr(shares).sum(-1)), np.nan)
    return found


def moved_share(difference: Cells, total: float) -> npt.NDArray[np.float64]:
    """½ Σ |Δ| / `total` of each layer [layers]: the share of selections or of probability that goes to other experts;
    the total variation distance. `total` is what a layer's cells sum to: k, 1 or E."""
    found: npt.NDArray[np.float64] = np.abs(difference).sum(-1, dtype=np.float64) / (2 * total)
    return found


def layer_total(table: RoutingTable, quantity: str) -> float:
    """What the cells of one layer sum to: 1 for probabilities, E for lifts, k for selections."""
    return {"probability": 1.0, "lift": float(table.experts)}.get(quantity, float(table.top_k))


def order_by_topic(table: RoutingTable) -> Order:
    """Each layer's experts [layers, positions] by the topic with their largest lift, in the topics' order, those of one
    topic by that lift, largest first. Raises WithheldError below two topics.
    """
    lift = np.nan_to_num(topic_specialisation(table).lift, nan=-1.0)
    return np.lexsort((-lift.max(0), lift.argmax(0)), axis=-1).astype(np.uint16)


def order_by_value(values: npt.NDArray[np.floating]) -> Order:
    """Each layer's experts [layers, positions], largest value first, those without one last by index."""
    return np.argsort(-values, axis=-1, kind="stable").astype(np.uint16)


def topic_maps(
    table: RoutingTable,
    quantity: str,
    window: str,
    *,
    label: str | None = None,
    minus: str | None = None,
    most: int = 150_000,
) -> TopicMaps:
    """One map for each topic, of all its prompts or those with a `label`; neighbouring experts share a column as far as
    it takes to stay below `most` cells in all. Raises WithheldError without topics, InputError as `RoutingTable.cells`.
    """
    if not table.topics:
        raise WithheldError("the prompts name no topics: there is nothing to put side by side")
    if label not in (None, *LABELS):
        raise InputError(f"unknown label '{label}': expected one of {', '.join(LABELS)}", field="label")
    half = f"/{label}" if label and quantity != "difference" else ""
    groups = [topic_group(topic) + half for topic in table.topics]
    block = _block(len(groups) * len(table.layers) * table.experts, most)
    maps = [_strongest(table.cells(quantity, group, window, minus), block) for group in groups]
    return TopicMaps(table.topics, block, np.stack(maps))


def _block(cells: int, most: int) -> int:
    """The least power of two by which `cells` has to be divided."""
    return 1 << max(0, (-(-cells // most) - 1).bit_length())


def _strongest(cells: Cells, block: int) -> Cells:
    if block == 1:
        return cells
    layers, experts = cells.shape
    columns = -(-experts // block)
    padded = np.full((layers, columns * block), np.nan, dtype=np.float32)
    padded[:, :experts] = cells
    parts = padded.reshape(layers, columns, block)
    best = np.nan_to_num(np.abs(parts), nan=-1.0).argmax(-1)
    found: Cells = np.take_along_axis(parts, best[..., None], axis=-1)[..., 0]
    return found
