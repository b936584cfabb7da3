"""Make a router choose experts, or not choose them, by as little as it takes (SteerMoE, arXiv 2509.09660).

With s = log-softmax z, an expert forced on gets max s + ε and one forced off min s − ε; then the router's own rule
makes choice and weights. A softmax cannot tell log-softmax from z, so z itself is changed: for a sigmoid router the
shift by log-softmax would change every weight. Biases, group limits and low precision stand between score and choice in
some families, so the order in which experts are taken obeys as well (ours).
"""

from collections.abc import Collection

import torch
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
from analysis.models import ExpertId, MoeLayer, Seam, SeamListener

EPSILON = 0.01


def steer_soft(
    seam: Seam,
    on: Collection[ExpertId] = (),
    off: Collection[ExpertId] = (),
    window: Window = "both",
    *,
    epsilon: float = EPSILON,
) -> SeamListener:
    """The listener under which every token chooses the experts `on` and none chooses those `off`.

    `epsilon` is in the router's logits. Raises InputError for an expert the model does not have or that is both on and
    off, for more experts on than a token chooses, fewer left than it needs, or a layer that does not choose by score.
    """
    both = set(on) & set(off)
    if both:
        raise InputError(f"{ExpertId(*min(both))} is to be forced on and off: name it once")
    if not epsilon > 0:
        raise InputError(f"epsilon is {epsilon}: expected a number above 0")
    forced_on, forced_off = tables(seam, on), tables(seam, off)
    refuse_too_few_left(seam, forced_off, "forcing off")
    refuse_fixed_choices(seam, {*forced_on, *forced_off}, "no expert can be forced there: use mask_zero")
    for layer in seam.layers:
        count = int(forced_on[layer.layer].sum()) if layer.layer in forced_on else 0
        if count > layer.top_k:
            raise InputError(f"{count} experts of layer {layer.layer} are forced on, and a token chooses {layer.top_k}")
    return _Steer(forced_on, forced_off, window, epsilon)


class _Steer(Windowed):
    def __init__(self, on: Tables, off: Tables, window: Window, epsilon: float) -> None:
        super().__init__(window)
        self._on, self._off, self._epsilon = on, off, epsilon

    def on_scores(self, layer: MoeLayer, hidden: Tensor, scores: Tensor) -> Tensor | None:
        top, bottom = scores.amax(-1, keepdim=True) + self._epsilon, scores.amin(-1, keepdim=True) - self._epsilon
        return self._place(layer, scores, top, bottom)

    def on_ranking(self, layer: MoeLayer, ranking: Tensor) -> Tensor | None:
        # A router may have −∞ for groups that are out already; experts forced off come behind those.
        finite = ranking.clamp(min=torch.finfo(ranking.dtype).min)
        first, last = (torch.full_like(finite[:, :1], value) for value in (float("inf"), float("-inf")))
        return self._place(layer, finite, first, last)

    def _place(self, layer: MoeLayer, values: Tensor, top: Tensor, bottom: Tensor) -> Tensor | None:
        on, off = self._on.get(layer.layer), self._off.get(layer.layer)
        if not self.active or (on is None and off is None):
            return None
        values = values if on is None else torch.where(on, top, values)
        return values if off is None else torch.where(off, bottom, values)
