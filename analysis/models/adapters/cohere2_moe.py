"""Cohere2-MoE: the configuration names the router's score function in a field of its own."""

from typing import Any

from torch import nn

from analysis.models.adapters.base import Adapter, Scoring


class Cohere2Moe(Adapter):
    families = ("cohere2_moe",)

    def scoring(self, router: nn.Module, config: Any) -> Scoring:
        return "sigmoid" if config.expert_selection_fn == "sigmoid" else "softmax"
