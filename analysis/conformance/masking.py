"""Does masking an expert do what it says? Compared with the expert's weights set to zero, and with the router's own
next choice.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from analysis.conformance.mismatch import Mismatch
from analysis.conformance.subject import Subject, forward
from analysis.conformance.tracing import observe
from analysis.conformance.truth import RANKINGS, Choices, reader_for, returned_ids, silenced
from analysis.errors import InputError
from analysis.interventions import mask
from analysis.models import ExpertId, MoeLayer

_FAR = -1e9


def busiest(one: Subject, layer: MoeLayer) -> int:
    """The expert with weights that most tokens of `layer` chose."""
    counts = observe(one).index[layer.position].flatten().bincount(minlength=layer.experts)
    order = counts.argsort(descending=True).tolist()
    return next(int(expert) for expert in order if layer.adapter.expert_weights(layer, int(expert)))


def check_mask_zero(one: Subject) -> None:
    """Masked logits equal those of the model whose expert has zero weights. Raises Mismatch."""
    layer = one.loaded.seam.layers[0]
    expert, run = busiest(one, layer), forward(one)
    base = run()
    with one.loaded.seam.attach(mask(one.loaded.seam, [ExpertId(layer.layer, expert)], "mask_zero")):
        masked = run()
    with silenced(layer, expert):
        expected = run()
    if torch.equal(base, masked):
        raise Mismatch(f"mask_zero of expert {expert} in layer {layer.layer} changes nothing")
    scale = float(base.float().abs().max())
    off = float((masked.float() - expected.float()).abs().max()) / scale
    if not off <= 1e-5:
        raise Mismatch(f"mask_zero differs from zero weights by {off:.1e} of the largest logit")


def check_mask_reroute(one: Subject) -> None:
    """Every token's choice under the mask is the router's own choice without that expert. Raises Mismatch."""
    seam = one.loaded.seam
    _check_refusal(one)
    layer = next((layer for layer in seam.layers if layer.reroutable), None)
    if layer is None:
        return
    expert = busiest(one, layer)
    expected = _choice_without(one, layer, expert)
    with (
        Choices(seam.layers).attach() as choices,
        seam.attach(mask(seam, [ExpertId(layer.layer, expert)], "mask_reroute")),
    ):
        forward(one)()
    seen = np.sort(choices.calls[layer.position][0], axis=1)
    if (seen == expert).any():
        raise Mismatch(f"mask_reroute: expert {expert} in layer {layer.layer} was chosen all the same")
    if not np.array_equal(seen, np.sort(expected, axis=1)):
        wrong = int((seen != np.sort(expected, axis=1)).any(1).sum())
        raise Mismatch(f"mask_reroute: {wrong} of {len(seen)} tokens do not take the router's next choice")


def _check_refusal(one: Subject) -> None:
    for layer in one.loaded.seam.layers:
        if layer.reroutable:
            continue
        try:
            mask(one.loaded.seam, [ExpertId(layer.layer, 0)], "mask_reroute")
        except InputError:
            continue
        raise Mismatch(f"layer {layer.layer} chooses by token, yet mask_reroute was accepted")


def _choice_without(one: Subject, layer: MoeLayer, expert: int) -> npt.NDArray[np.int64]:
    """The router alone on the same input: with a correction bias of −10⁹ for the expert, or with one choice more."""
    call = _router_call(one, layer)
    bias = getattr(layer.router, "e_score_correction_bias", None)
    if bias is not None:
        kept = bias.data.clone()
        bias.data[expert] = _FAR
        try:
            return _choose(layer, call, layer.top_k)
        finally:
            bias.data.copy_(kept)
    ranking = RANKINGS.get(one.loaded.description.family)
    if ranking is not None:
        with torch.no_grad():
            order = ranking(layer.router, layer.router(*call[0], **call[1]))
        return _first_others(order.tolist(), expert, layer.top_k)
    more = _choose(layer, call, layer.top_k + 1)
    return _first_others(_in_order(more, _choose(layer, call, layer.top_k)), expert, layer.top_k)


def _first_others(order: list[list[int]], expert: int, k: int) -> npt.NDArray[np.int64]:
    return np.array([[e for e in row if e != expert][:k] for row in order], dtype=np.int64)


def _in_order(more: npt.NDArray[np.int64], fewer: npt.NDArray[np.int64]) -> list[list[int]]:
    """Each token's first k choices, then its next one."""
    return [
        [*first, *(e for e in row if e not in first)] for row, first in zip(more.tolist(), fewer.tolist(), strict=True)
    ]


def _router_call(one: Subject, layer: MoeLayer) -> tuple[tuple[Any, ...], dict[str, Any]]:
    kept: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    handle = layer.router.register_forward_pre_hook(
        lambda _m, args, kwargs: kept.append((args, kwargs)), with_kwargs=True
    )
    forward(one)()
    handle.remove()
    return kept[0]


def _choose(layer: MoeLayer, call: tuple[tuple[Any, ...], dict[str, Any]], k: int) -> npt.NDArray[np.int64]:
    """What the router chooses for that input when it takes `k` experts."""
    args, kwargs = call
    holders = [h for h in (layer.router, layer.block, getattr(layer.router, "config", None)) if h is not None]
    held = [(h, n) for h in holders for n in ("top_k", "top_k_experts") if getattr(h, n, None) == layer.top_k]
    for holder, name in held:
        setattr(holder, name, k)
    try:
        with torch.no_grad():
            output = layer.router(*args, **kwargs)
            if hasattr(layer.block, "route_tokens_to_experts"):
                return returned_ids(layer.router, layer.block.route_tokens_to_experts(output))  # type: ignore[operator]
            return reader_for(layer.adapter)(layer.router, output)
    finally:
        for holder, name in held:
            setattr(holder, name, layer.top_k)
