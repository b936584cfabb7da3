"""A token trace as people look at it: one number a token, a profile over layers, and who worked on each token."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.routing.token_trace import Routed, TokenTrace
from backend.services.records import TracedPrompt

Expert = tuple[int, int]
MOST_CHOICES = 40


@dataclass(frozen=True)
class TokenView:
    """`values` [tokens] is NaN where nothing was routed; `profile` [layers] is their mean over routed tokens, layer by
    layer. `tops` are the experts of each token in the layer that is looked at, or over all layers.
    """

    values: npt.NDArray[np.float32]
    profile: npt.NDArray[np.float32]
    tops: list[list[Routed]]


def mass_view(trace: TokenTrace, experts: Collection[Expert], layer: int | None) -> TokenView:
    """How much of the applied weight goes to a set of experts, in one layer or over all of them."""
    by_layer = trace.mass_by_layer(experts)
    return TokenView(trace.mass(experts, layer), _means(by_layer, trace), trace.tops(layer))


def expert_view(trace: TokenTrace, expert: Expert, flagged: Collection[Expert], layer: int | None) -> TokenView:
    """The weight that one expert is applied with. The profile has, for every other layer, the expert that one gets to
    when the layer is changed: `stand_ins`.
    """
    ways = {**stand_ins(trace, flagged), expert[0]: expert[1]}
    weights = np.stack([trace.weight_of(*way) for way in ways.items()])
    return TokenView(trace.weight_of(*expert), _means(weights, trace), trace.tops(layer))


def stand_ins(trace: TokenTrace, flagged: Collection[Expert]) -> dict[int, int]:
    """For every layer the expert to look at: its flagged one, otherwise that with the largest share of its weight."""
    first = _preference(trace, flagged).argmax(1)
    return dict(zip(trace.layers, first.tolist(), strict=True))


def expert_choices(
    trace: TokenTrace, flagged: Collection[Expert], layer: int | None, most: int = MOST_CHOICES
) -> list[Expert]:
    """The experts worth a look on this prompt, of one layer or of all: flagged ones first, then by share of weight."""
    places = np.arange(len(trace.layers)) if layer is None else np.array([trace.place(layer)])
    order = np.argsort(-_preference(trace, flagged)[places].ravel(), kind="stable")[:most]
    return [(trace.layers[places[cell // trace.experts]], cell % trace.experts) for cell in order.tolist()]


def _preference(trace: TokenTrace, flagged: Collection[Expert]) -> npt.NDArray[np.float32]:
    """The share of its layer's weight that each expert got [layers, experts], at most 1; 2 more for a flagged one."""
    preference = trace.load()
    for layer, expert in flagged:
        preference[trace.place(layer), expert] += 2
    return preference


def _means(values: npt.NDArray[np.float32], trace: TokenTrace) -> npt.NDArray[np.float32]:
    """Means over the routed tokens of [layers, tokens]."""
    means: npt.NDArray[np.float32] = values[:, trace.routed].mean(1)
    return means


def partner(prompts: Sequence[TracedPrompt], prompt_id: str) -> str | None:
    """The matched prompt of the other label, where there is one."""
    asked = next(one for one in prompts if one.prompt_id == prompt_id)
    pair = [one for one in prompts if one.pair_id is not None and one.pair_id == asked.pair_id]
    return next((one.prompt_id for one in pair if one.label != asked.label), None)
