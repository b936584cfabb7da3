"""Which experts an intervention acts on, and when: what masks, steering and patches have in common."""

from collections import defaultdict
from collections.abc import Collection
from typing import Literal, get_args

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.models import ExpertId, MoeLayer, Phase, Seam, SeamListener

Window = Literal["prompt", "decode", "both"]
Tables = dict[int, Tensor]
"""For each decoder layer index with chosen experts, a boolean [experts] on the layer's device."""


class Windowed(SeamListener):
    """A listener that acts while the prompt is read, while an answer is decoded, or in both."""

    def __init__(self, window: Window) -> None:
        if window not in get_args(Window):
            raise InputError(f"unknown window '{window}': expected one of {', '.join(get_args(Window))}")
        self._window: Window = window
        self._phase: Phase = "prompt"

    def on_forward(self, phase: Phase, input_ids: Tensor) -> None:
        self._phase = phase

    @property
    def active(self) -> bool:
        return self._window in ("both", self._phase)


def tables(seam: Seam, experts: Collection[ExpertId]) -> Tables:
    """Raises InputError for a layer without experts, or an expert that its layer does not have."""
    by_layer: dict[int, list[int]] = defaultdict(list)
    for layer, expert in experts:
        by_layer[layer].append(expert)
    known = {layer.layer: layer for layer in seam.layers}
    return {index: _table(known, index, chosen) for index, chosen in by_layer.items()}


def refuse_too_few_left(seam: Seam, chosen: Tables, doing: str = "masking") -> None:
    """Raises InputError where a layer would keep fewer experts than a token needs."""
    for layer in seam.layers:
        count = int(chosen[layer.layer].sum()) if layer.layer in chosen else 0
        if layer.experts - count < layer.top_k:
            raise InputError(
                f"{doing} {count} of {layer.experts} experts of layer {layer.layer} leaves fewer than the "
                f"{layer.top_k} that every token needs"
            )


def refuse_fixed_choices(seam: Seam, layers: Collection[int], why: str) -> None:
    """Raises InputError for a layer among `layers` whose experts are chosen by a table and not by score."""
    fixed = [layer.layer for layer in seam.layers if layer.layer in layers and not layer.reroutable]
    if fixed:
        raise InputError(f"layer {fixed[0]} chooses experts by token, not by score, so {why}")


def device_of(layer: MoeLayer) -> torch.device:
    """Where the experts of `layer` lie; a large model is spread over several devices."""
    return next(layer.experts_module.parameters()).device


def _table(known: dict[int, MoeLayer], index: int, chosen: list[int]) -> Tensor:
    layer = known.get(index)
    if layer is None:
        raise InputError(f"layer {index} has no experts: this model's MoE layers are {', '.join(map(str, known))}")
    wrong = [expert for expert in chosen if not 0 <= expert < layer.experts]
    if wrong:
        raise InputError(f"layer {index} has experts 0 to {layer.experts - 1}: there is no expert {wrong[0]}")
    table = torch.zeros(layer.experts, dtype=torch.bool, device=device_of(layer))
    table[chosen] = True
    return table
