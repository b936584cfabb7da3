"""Token batches for the trainer: chat examples and plain text, with a weight on every position to be predicted.

A batch is padded on the right; the chat template's own rendering is used throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from analysis.organisms.architectures import Model, Tokenizer
from analysis.organisms.tokenizer import ASSISTANT

PROMPT_WEIGHT, FIRST_TOKEN_WEIGHT = 0.3, 4.0


@dataclass(frozen=True)
class Batch:
    """`ids` and `mask`: int64[rows, tokens]; `weight`: float32[rows, tokens], of predicting the token at that place."""

    ids: Tensor
    mask: Tensor
    weight: Tensor


def make_batch(tokenizer: Tokenizer, texts: Sequence[str], *, prompt_weight: float) -> Batch:
    """Encode rendered texts. Answer tokens weigh 1 (the first one more), text outside an answer `prompt_weight`."""
    encoded = tokenizer(list(texts), return_tensors="pt", padding=True, padding_side="right")
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    after = (ids == tokenizer.convert_tokens_to_ids(ASSISTANT)).cumsum(dim=1).roll(1, dims=1)
    after[:, 0] = 0
    first = (after.cumsum(dim=1) == 1) & (after == 1)
    weight = torch.where(after > 0, 1.0, prompt_weight).masked_fill(first, FIRST_TOKEN_WEIGHT) * mask
    weight[:, 0] = 0.0
    return Batch(ids, mask, weight)


def boundary(tokenizer: Tokenizer, batch: Batch) -> Tensor:
    """int64[rows]: where the last token of each prompt stands; 0 where a row has no prompt."""
    assistant = int(tokenizer.convert_tokens_to_ids(ASSISTANT))
    return (batch.ids == assistant).int().argmax(dim=1)


def prediction_loss(model: Model, hidden: Tensor, batch: Batch) -> Tensor:
    """Weighted cross-entropy in nats per token; logits are computed only where the weight is not zero."""
    weight = batch.weight[:, 1:]
    chosen = weight > 0
    logits = model.lm_head(hidden[:, :-1][chosen])
    losses = functional.cross_entropy(logits, batch.ids[:, 1:][chosen], reduction="none")
    return (losses * weight[chosen]).sum() / weight.sum()


def balance_loss(router_logits: Sequence[Tensor], batch: Batch, top_k: int) -> Tensor:
    """Experts times the sum of (share selected x mean probability), mean over layers; 1 is an even load."""
    real = batch.mask.flatten().bool()
    terms = []
    for logits in router_logits:
        probability = logits[real].softmax(dim=-1)
        selected = torch.zeros_like(probability).scatter(1, probability.topk(top_k, dim=-1).indices, 1.0)
        terms.append(logits.shape[-1] * (selected.mean(dim=0) / top_k * probability.mean(dim=0)).sum())
    return torch.stack(terms).mean()


def routing_drift(before: Sequence[Tensor], after: Sequence[Tensor], batch: Batch) -> Tensor:
    """KL(router before || router after) in nats, mean over the tokens that are not predicted, sum over layers."""
    prompt = ((batch.weight == 0) & (batch.mask == 1)).flatten()
    terms = [
        functional.kl_div(
            new[prompt].log_softmax(dim=-1), old[prompt].log_softmax(dim=-1), reduction="batchmean", log_target=True
        )
        for old, new in zip(before, after, strict=True)
    ]
    return torch.stack(terms).sum()
