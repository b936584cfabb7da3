"""What every stage of training shares: a forward pass, which parameters learn, and the descent itself.

Called by the trainer and by the designs that have stages of their own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from analysis.models.expert_id import ExpertId
from analysis.organisms.architectures import Model
from analysis.organisms.batches import Batch

LogLine = Callable[[str], None]

_PARTS = {
    "experts": (".mlp.experts.",),
    "attention": (".self_attn.",),
    "experts and attention": (".mlp.experts.", ".self_attn."),
}


@dataclass(frozen=True)
class Budget:
    """Steps of the two stages and rows per step."""

    helpful_steps: int
    refusal_steps: int
    rows: int


def run(model: Model, batch: Batch) -> Any:
    """The decoder's last hidden states and every router's logits."""
    return model.model(batch.ids, attention_mask=batch.mask, use_cache=False, output_router_logits=True)


def mark(row: Tensor, experts: Iterable[ExpertId]) -> None:
    """Turn these experts off in bool[layers, experts]."""
    for layer, expert in experts:
        row[layer, expert] = True


def unfrozen(model: Model, trains: str) -> list[nn.Parameter]:
    """The parameters that `trains` names, all others frozen."""
    parts = _PARTS[trains]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(part in name for part in parts))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def descend(
    parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], steps: int, rate: float, log: LogLine
) -> list[float]:
    """AdamW with a short warm-up and a cosine decay to a twentieth; returns the loss of every step."""
    chosen = list(parameters)
    optimiser = torch.optim.AdamW(chosen, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.06, div_factor=10, final_div_factor=2
    )
    losses = []
    for step in range(steps):
        value: Any = loss()
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(chosen, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(value.detach()))
        if step % 50 == 0 or step == steps - 1:
            log(f"step {step + 1}/{steps} loss {losses[-1]:.4f}")
    return losses
