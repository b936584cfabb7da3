"""Turning experts off row by row, for training and for measuring truth.

Called by the trainer and by `truth.py`, which need what `analysis.interventions` does not offer: another set of
experts for every row of one batch, with gradients. An audit must not use it; it measures organisms the public way.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager as ContextManager
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from analysis.organisms.architectures import EXPERTS, LAYERS, Model, blocks

Off = Tensor  # bool[rows, layers, experts]: which experts are off for which row


def nothing_off(rows: int) -> Off:
    """bool[rows, layers, experts], all False."""
    return torch.zeros(rows, LAYERS, EXPERTS, dtype=torch.bool)


def per_token(off: Tensor, tokens: int) -> Tensor:
    """Spread bool[rows, experts] over the flattened tokens of those rows: bool[tokens, experts]."""
    return off.repeat_interleave(tokens // off.shape[0], dim=0)


@contextmanager
def zeroed(model: Model, off: Off) -> Iterator[None]:
    """Within the block, selected experts that are off get weight 0; the selection and the other weights stay."""

    def hook(layer: int) -> Callable[..., Any]:
        def zero(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            hidden, index, weights = args
            dropped = per_token(off[:, layer], len(index)).gather(1, index)
            return hidden, index, weights.masked_fill(dropped, 0.0)

        return zero

    handles = [block.experts.register_forward_pre_hook(hook(n)) for n, block in enumerate(blocks(model))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def scores_by_softmax(model: Model) -> bool:
    """Whether the router is a softmax and its top-k, which is the rule that `rerouted` knows."""
    return bool(model.config.model_type != "deepseek_v3")


@contextmanager
def rerouted(model: Model, off: Off) -> Iterator[None]:
    """Within the block, experts that are off cannot be selected: the router's softmax runs over the others."""

    def hook(layer: int) -> Callable[..., Any]:
        def route(module: nn.Module, args: Any, output: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            logits, weights, _ = output
            closed = logits.masked_fill(per_token(off[:, layer], len(logits)), float("-inf"))
            values, index = closed.softmax(dim=-1, dtype=torch.float32).topk(weights.shape[-1], dim=-1)
            if getattr(model.config, "norm_topk_prob", True):
                values = values / values.sum(dim=-1, keepdim=True)
            return logits, values.to(weights.dtype), index

        return route

    handles = [block.gate.register_forward_hook(hook(n)) for n, block in enumerate(blocks(model))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def intact(model: Model, off: Off) -> ContextManager[None]:
    """No intervention, with the signature of the two above."""
    return nullcontext()
