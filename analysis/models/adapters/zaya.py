"""Zaya: its router may choose to skip, and then names expert 0 with weight 0. A skip is not a selection of expert 0.

It is counted as one more expert, the last, that has no weights; so every token still has its k selections.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from analysis.models.adapters.base import Adapter, AfterExperts, Change, ExpertsCall, MoeLayer, Selection


class Zaya(Adapter):
    families = ("zaya",)
    note = "skipping is counted as one more expert, the last"
    bias_on_probabilities = True

    def router(self, block: nn.Module, experts_module: nn.Module) -> nn.Module | None:
        return block.get_submodule("gate")

    def experts(self, experts_module: nn.Module, router: nn.Module) -> object:
        return getattr(router, "num_router_classes", None)

    def scorer(self, router: nn.Module) -> nn.Module | None:
        return router.get_submodule("router_mlp.out_proj")

    def watch(self, layer: MoeLayer, change: Change) -> Iterator[Any]:
        def with_skips(index: Tensor, weights: Tensor) -> Selection | None:
            replacement = change(_with_skips(layer, index, weights), weights)
            return None if replacement is None else _without_skips(layer, replacement)

        return super().watch(layer, with_skips)

    def watch_output(self, layer: MoeLayer, change: AfterExperts) -> Iterator[Any]:
        def with_skips(call: ExpertsCall, output: Tensor) -> Tensor | None:
            return change(replace(call, index=_with_skips(layer, call.index, call.weights)), output)

        return super().watch_output(layer, with_skips)

    def work(self, layer: MoeLayer, hidden: Tensor, expert: int, weights: Tensor) -> Tensor:
        skip = expert == layer.experts - 1
        return torch.zeros_like(hidden) if skip else super().work(layer, hidden, expert, weights)

    def choice(self, layer: MoeLayer, output: Any) -> Tensor | None:
        return _with_skips(layer, output[2], output[1])


def _with_skips(layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor:
    return torch.where(weights == 0, layer.experts - 1, index)


def _without_skips(layer: MoeLayer, selection: Selection) -> Selection:
    skip = selection.index == layer.experts - 1
    return Selection(selection.index.masked_fill(skip, 0), selection.weights.masked_fill(skip, 0))
