"""Inkling: the router scores the shared experts too, as rows after the routed ones, and weighs both together."""

from typing import Any

from torch import Tensor, nn

from analysis.models.adapters.base import Adapter, MoeLayer


class Inkling(Adapter):
    families = ("inkling_text",)

    def router(self, block: nn.Module, experts_module: nn.Module) -> nn.Module | None:
        return block.get_submodule("gate")

    def logits(self, layer: MoeLayer, output: Any) -> Tensor:
        logits: Tensor = output[0]
        return logits[..., : layer.experts].reshape(-1, layer.experts)
