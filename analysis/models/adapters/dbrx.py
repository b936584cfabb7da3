"""DBRX: the router returns logits alone, the block selects, and all experts lie stacked in one tall matrix."""

from typing import Any

from torch import Tensor, nn

from analysis.models.adapters.base import Adapter, MoeLayer


class Dbrx(Adapter):
    families = ("dbrx",)

    def top_k(self, block: nn.Module, router: nn.Module, config: Any) -> object:
        return getattr(block, "top_k", None)

    def expert_weights(self, layer: MoeLayer, expert: int) -> tuple[Tensor, ...]:
        stacked = (tensor.chunk(layer.experts) for tensor in layer.experts_module.parameters())
        return tuple(chunks[expert] for chunks in stacked)
