"""Take experts out of a model for the length of a `with` block.

`mask_zero` keeps the routing and gives the expert's output weight 0, without renormalising: what is lost is that
expert's work and nothing else. `mask_reroute` makes the expert unselectable, so the next one steps in and the model's
own rule makes the weights (SAFEx, arXiv 2506.17368). Both act at the seam, in the prompt, while decoding, or in both.
`mask_mean`, which needs a calibration pass, is in `means`.
"""

from collections.abc import Collection
from typing import Literal, get_args

from torch import Tensor

from analysis.errors import InputError
from analysis.interventions.targets import (
    Tables,
    Window,
    Windowed,
    refuse_fixed_choices,
    refuse_too_few_left,
    tables,
)
from analysis.models import ExpertId, MoeLayer, Phase, Seam, SeamListener

MaskMode = Literal["mask_zero", "mask_reroute"]
MaskWindow = Window


def mask(
    seam: Seam, experts: Collection[ExpertId], mode: MaskMode = "mask_zero", window: Window = "both"
) -> SeamListener:
    """The listener that masks `experts`.

    Raises InputError for an expert the model does not have, an unknown mode, or when fewer than top-k experts of a
    layer would be left.
    """
    if mode not in get_args(MaskMode):
        raise InputError(f"unknown mask mode '{mode}': expected one of {', '.join(get_args(MaskMode))}")
    chosen = tables(seam, experts)
    refuse_too_few_left(seam, chosen)
    if mode == "mask_reroute":
        refuse_fixed_choices(seam, chosen, "no expert can be made unselectable there: use mask_zero")
    return _MaskZero(chosen, window) if mode == "mask_zero" else _MaskReroute(chosen, window)


class _Mask(Windowed):
    def __init__(self, chosen: Tables, window: Window) -> None:
        super().__init__(window)
        self._tables = chosen

    def _table(self, layer: MoeLayer) -> Tensor | None:
        return self._tables.get(layer.layer) if self.active else None


class _MaskZero(_Mask):
    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor | None:
        table = self._table(layer)
        return None if table is None else weights.masked_fill(table[index], 0)


class _MaskReroute(_Mask):
    def excluded(self, layer: MoeLayer, phase: Phase) -> Tensor | None:
        return self._table(layer)
