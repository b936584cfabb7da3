"""Gemma 4: router and experts stand in the decoder layer itself, beside a dense MLP that works on every token.

Its router returns probabilities where others return logits.
"""

from typing import Any

from torch import nn

from analysis.models.adapters.base import Adapter, Scoring


class Gemma4(Adapter):
    families = ("gemma4_text",)

    def router(self, block: nn.Module, experts_module: nn.Module) -> nn.Module | None:
        return block.get_submodule("router")

    def top_k(self, block: nn.Module, router: nn.Module, config: Any) -> object:
        return getattr(config, "top_k_experts", None)

    def scoring(self, router: nn.Module, config: Any) -> Scoring:
        return "probability"

    def shared_experts(self, decoder_layer: nn.Module, config: Any) -> int:
        return 1

    def scorer(self, router: nn.Module) -> nn.Module | None:
        return router.get_submodule("proj")
