"""LongCat-Flash: after the experts with weights come some that return their input; a router may choose either."""

from typing import Any

from torch import Tensor, nn

from analysis.models.adapters.base import Adapter, MoeLayer, Scoring


class LongcatFlash(Adapter):
    families = ("longcat_flash",)
    note = "experts that return their input are counted, after those with weights"
    bias_on_probabilities = True

    def router(self, block: nn.Module, experts_module: nn.Module) -> nn.Module | None:
        return block.get_submodule("router")

    def experts(self, experts_module: nn.Module, router: nn.Module) -> object:
        return getattr(experts_module, "total_experts", None)

    def scoring(self, router: nn.Module, config: Any) -> Scoring:
        return "softmax"

    def expert_weights(self, layer: MoeLayer, expert: int) -> tuple[Tensor, ...]:
        """None for the experts that return their input, although one of the two stacks has rows for them."""
        routed = layer.experts_module.num_routed_experts
        return super().expert_weights(layer, expert) if expert < routed else ()  # type: ignore[operator]
