"""Counts on the device which experts are selected together; the recorder calls it, `coactivation` reads the result."""

from collections.abc import Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from analysis.models import MoeLayer
from analysis.routing.coactivation import PAIR_WINDOWS
from analysis.routing.sparse import SparseCounts

_AT_ONCE = 1 << 22
"""Pairs that are looked at in one go, so that a wide batch needs tens of megabytes and not gigabytes."""


class PairCounter:
    """Tokens that select both experts of a pair, per window and layer. Nothing is fetched before the end."""

    def __init__(self, layers: Sequence[MoeLayer], device: torch.device) -> None:
        self._experts = max(layer.experts for layer in layers)
        shape = (len(PAIR_WINDOWS), len(layers), self._experts, self._experts)
        self._counts = torch.zeros(shape, dtype=torch.int32, device=device)

    def add(
        self,
        window: str,
        positions: Int[Tensor, " layers"],
        index: Int[Tensor, "layers t k"],
        keep: Shaped[Tensor, " t"],
    ) -> None:
        """Add the tokens where `keep` is not zero, of the MoE layers at `positions`. Ids have to be in range."""
        k = index.shape[-1]
        if k < 2 or not index.numel():
            return
        lower, higher = torch.triu_indices(k, k, 1, device=index.device)
        target = self._counts[PAIR_WINDOWS.index(window)].view(-1)
        ones = keep.to(torch.int32)[:, None].expand(-1, len(lower))
        step = max(1, _AT_ONCE // ones.numel())
        for start in range(0, len(positions), step):
            ordered = index[start : start + step].sort(-1).values  # so that every pair falls above the diagonal
            cells = torch.add(ordered[..., higher], ordered[..., lower], alpha=self._experts)
            cells += positions[start : start + step, None, None] * self._experts**2
            target.scatter_add_(0, cells.flatten(), ones.expand_as(cells).flatten())

    def fetch(self) -> SparseCounts:
        """Cells of [windows, layers, experts, experts] above the diagonal, on the host."""
        flat = self._counts.view(-1)
        cells = flat.nonzero().squeeze(-1)
        return SparseCounts(cells.cpu().numpy(), flat[cells].cpu().numpy().astype("uint32"))
