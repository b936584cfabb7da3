"""Zaya: its router may choose to skip, and then names expert 0 with weight 0. A skip is not a selection of expert 0.

It is counted as one more expert, the last, that has no weights; so every token still has its k selections.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from analysis.models.adapters.base import Adapter, Change, MoeLayer


class Zaya(Adapter):
    families = ("zaya",)
    note = "skipping is counted as one more expert, the last"
    bias_on_probabilities = True

    def router(self, block: nn.Module, experts_module: nn.Module) -> nn.Module | None:
        return block.get_submodule("gate")

    def experts(self, experts_module: nn.Module, router: nn.Module) -> object:
        return getattr(router, "num_router_classes", None)

    def watch(self, layer: MoeLayer, change: Change) -> Iterator[Any]:
        return super().watch(layer, lambda index, weights: change(_with_skips(layer, index, weights), weights))

    def choice(self, layer: MoeLayer, output: Any) -> Tensor | None:
        return _with_skips(layer, output[2], output[1])


def _with_skips(layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor:
    return torch.where(weights == 0, layer.experts - 1, index)
