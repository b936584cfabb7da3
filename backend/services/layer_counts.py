"""What an audit counted in one layer, stored apart from the other layers: a page shows one expert at a time, and the
selections of 600 prompts in 94 layers of 512 experts are 350 megabytes. `Results` reads it, `stored_result` writes it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.blob import pack, unpack
from analysis.result import PromptCounts
from analysis.routing.coactivation import Coactivation
from analysis.routing.table import RoutingTable


@dataclass(frozen=True)
class LayerCounts:
    """`counts` are the selections of the one layer, [prompts, windows, 1, experts]; `coactivation` is the layer's, None
    where the run has none."""

    counts: PromptCounts
    coactivation: Coactivation | None

    @classmethod
    def of(cls, layer: int, table: RoutingTable, counts: PromptCounts) -> "LayerCounts":
        """Cut `layer`, a model's index, out of the counts of all layers."""
        place = table.layers.index(layer)
        own = PromptCounts(counts.prompt_ids, counts.counts[:, :, place : place + 1], counts.tokens)
        pairs = table.coactivation
        alone = pairs and Coactivation((layer,), pairs.experts, pairs.pairs[:, place : place + 1], pairs.tokens)
        return cls(own, alone)

    def to_bytes(self) -> bytes:
        pairs = self.coactivation
        arrays: dict[str, npt.NDArray[Any]] = {"counts": _narrow(self.counts.counts), "tokens": self.counts.tokens}
        if pairs is not None:
            arrays |= {"pairs": _narrow(pairs.pairs), "pair_tokens": pairs.tokens}
        return pack(arrays, {"prompt_ids": self.counts.prompt_ids})

    @classmethod
    def from_bytes(cls, blob: bytes, layer: int) -> "LayerCounts":
        arrays, meta = unpack(blob)
        counts = PromptCounts(tuple(meta["prompt_ids"]), arrays["counts"], arrays["tokens"])
        experts = arrays["counts"].shape[-1]
        return cls(counts, Coactivation.from_arrays(arrays, (layer,), experts))


def _narrow(counts: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.unsignedinteger]:
    """In the smallest type that holds them."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
