"""How strongly an organism's routing follows the topic and how strongly the harm, for `truth.json`.

Jensen-Shannon divergence (base 2) between the mean router probabilities of two prompts, over all prompt tokens,
mean over layers. Called by `truth.py`; the audit has its own implementation, with intervals.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.organisms.architectures import EXPERTS, LAYERS, Model, blocks
from analysis.organisms.language import Request

Array = NDArray[np.float64]


def routing_contrast(model: Model, encoded: dict[str, torch.Tensor], requests: tuple[Request, ...]) -> dict[str, float]:
    """`topic` and `within_topic`: all benign-benign pairs of two topics or of one; `safety`: the matched pairs.

    `requests` alternate: a harmful one, then its benign twin.
    """
    probability = _mean_probability(model, encoded)
    harmful, benign = probability[0::2], probability[1::2]
    topics = np.array([request.topic.name for request in requests[1::2]])
    first, second = np.triu_indices(len(benign), k=1)
    between = divergence(benign[first], benign[second])
    same = topics[first] == topics[second]
    means = {
        "topic": between[~same].mean(),
        "within_topic": between[same].mean(),
        "safety": divergence(harmful, benign).mean(),
    }
    return {name: round(float(value), 6) for name, value in means.items()}


def divergence(p: Array, q: Array) -> Array:
    """float64[pairs] in 0..1 from float64[pairs, layers, experts]: H((p+q)/2) - (H(p)+H(q))/2, mean over layers."""
    return np.asarray((_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2).mean(axis=-1))


def _entropy(p: Array) -> Array:
    return np.asarray(-(p * np.log2(np.maximum(p, 1e-300))).sum(axis=-1))


@torch.no_grad()
def _mean_probability(model: Model, encoded: dict[str, torch.Tensor]) -> Array:
    """float64[prompts, layers, experts]: router probability over all experts, mean over a prompt's tokens."""
    seen: list[torch.Tensor] = []

    def read(module: torch.nn.Module, args: Any, output: tuple[torch.Tensor, ...]) -> None:
        seen.append(output[0].double().softmax(dim=-1))

    handles = [block.gate.register_forward_hook(read) for block in blocks(model)]
    try:
        model.model(**encoded, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    mask = encoded["attention_mask"].double()
    layers = torch.stack(seen).reshape(LAYERS, *mask.shape, EXPERTS)
    return np.asarray(torch.einsum("lpte,pt->ple", layers, mask / mask.sum(dim=1, keepdim=True)))
