"""Take experts out of a model for the length of a `with` block.

`mask_zero` keeps the routing and gives the expert's output weight 0, without renormalising: what is lost is that
expert's work and nothing else. `mask_reroute` makes the expert unselectable, so the next one steps in and the model's
own rule makes the weights (SAFEx, arXiv 2506.17368). Both act at the seam, in the prompt, while decoding, or in both.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Literal, get_args

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.models import ExpertId, MoeLayer, Phase, Seam, SeamListener

MaskMode = Literal["mask_zero", "mask_reroute"]
MaskWindow = Literal["prompt", "decode", "both"]


def mask(
    seam: Seam, experts: Collection[ExpertId], mode: MaskMode = "mask_zero", window: MaskWindow = "both"
) -> SeamListener:
    """The listener that masks `experts`.

    Raises InputError for an expert the model does not have, an unknown mode, or when fewer than top-k experts of a
    layer would be left.
    """
    if mode not in get_args(MaskMode):
        raise InputError(f"unknown mask mode '{mode}': expected one of {', '.join(get_args(MaskMode))}")
    tables = _tables(seam, experts)
    if mode == "mask_reroute":
        _refuse_fixed_choices(seam, tables)
    return _MaskZero(tables, window) if mode == "mask_zero" else _MaskReroute(tables, window)


def _refuse_fixed_choices(seam: Seam, tables: dict[int, Tensor]) -> None:
    fixed = [layer.layer for layer in seam.layers if layer.layer in tables and not layer.reroutable]
    if fixed:
        raise InputError(
            f"layer {fixed[0]} chooses experts by token, not by score, so no expert can be made unselectable there: "
            "use mask_zero"
        )


def _tables(seam: Seam, experts: Collection[ExpertId]) -> dict[int, Tensor]:
    """For each MoE layer with masked experts, a boolean [experts] on the layer's device."""
    by_layer: dict[int, list[int]] = defaultdict(list)
    for layer, expert in experts:
        by_layer[layer].append(expert)
    known = {layer.layer: layer for layer in seam.layers}
    return {index: _table(known, index, chosen) for index, chosen in by_layer.items()}


def _table(known: dict[int, MoeLayer], index: int, chosen: list[int]) -> Tensor:
    layer = known.get(index)
    if layer is None:
        raise InputError(f"layer {index} has no experts: this model's MoE layers are {', '.join(map(str, known))}")
    wrong = [expert for expert in chosen if not 0 <= expert < layer.experts]
    if wrong:
        raise InputError(f"layer {index} has experts 0 to {layer.experts - 1}: there is no expert {wrong[0]}")
    if layer.experts - len(set(chosen)) < layer.top_k:
        raise InputError(
            f"masking {len(set(chosen))} of {layer.experts} experts of layer {index} leaves fewer than the "
            f"{layer.top_k} that every token needs"
        )
    table = torch.zeros(layer.experts, dtype=torch.bool, device=next(layer.experts_module.parameters()).device)
    table[chosen] = True
    return table


class _Mask(SeamListener):
    def __init__(self, tables: dict[int, Tensor], window: MaskWindow) -> None:
        self._tables, self._window = tables, window
        self._phase: Phase = "prompt"

    def on_forward(self, phase: Phase, input_ids: Tensor) -> None:
        self._phase = phase

    def _table(self, layer: MoeLayer) -> Tensor | None:
        return self._tables.get(layer.layer) if self._window in ("both", self._phase) else None


class _MaskZero(_Mask):
    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor | None:
        table = self._table(layer)
        return None if table is None else weights.masked_fill(table[index], 0)


class _MaskReroute(_Mask):
    def excluded(self, layer: MoeLayer, phase: Phase) -> Tensor | None:
        return self._table(layer)
