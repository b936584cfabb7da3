"""JetMoE: experts called twice per block, with tokens already sorted by expert; the router's return says how.

The router returns where each (token, choice) went, the weights in that order, and how many each expert got. Its
attention is a mixture of experts as well; those select heads, not feed-forward work, and are not traced.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from analysis.models.adapters.base import Adapter, Change, MoeLayer


class JetMoe(Adapter):
    families = ("jetmoe",)
    note = "the experts inside attention are not traced"

    def expert_calls(self, decoder: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        return ((path, module) for path, module in decoder.named_modules() if path.endswith(".mlp"))

    def router(self, block: nn.Module, experts_module: nn.Module) -> nn.Module | None:
        return experts_module.get_submodule("router")

    def experts(self, experts_module: nn.Module, router: nn.Module) -> object:
        return getattr(router, "num_experts", None)

    def watch(self, layer: MoeLayer, change: Change) -> Iterator[Any]:
        def after_router(_module: nn.Module, _args: Any, output: Any) -> Any:
            places, tokens, gates, sizes, logits = output
            weights = torch.empty_like(gates).scatter(0, places, gates)
            replacement = change(self._index(layer, output), weights.view(-1, layer.top_k))
            return None if replacement is None else (places, tokens, replacement.flatten()[places], sizes, logits)

        yield layer.router.register_forward_hook(after_router)

    def logits(self, layer: MoeLayer, output: Any) -> Tensor:
        logits: Tensor = output[4]
        return logits

    def choice(self, layer: MoeLayer, output: Any) -> Tensor | None:
        return self._index(layer, output)

    def expert_weights(self, layer: MoeLayer, expert: int) -> tuple[Tensor, ...]:
        stacks = (layer.experts_module.get_parameter(f"{name}.weight") for name in ("input_linear", "output_linear"))
        return tuple(stack[expert] for stack in stacks)

    def _index(self, layer: MoeLayer, output: Any) -> Tensor:
        places, sizes = output[0], output[3]
        ids = torch.arange(layer.experts, device=places.device)
        in_order = ids.repeat_interleave(torch.tensor(sizes, device=places.device), output_size=len(places))
        return torch.empty_like(places).scatter(0, places, in_order).view(-1, layer.top_k)
