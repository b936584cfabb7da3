"""Prompts as padded token batches: chat template applied, sorted by length so that little is padding."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt


@dataclass(frozen=True)
class Encoded:
    """One prompt's token ids, template included. `row` is its place in the list that was encoded."""

    row: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Left-padded prompts on the model's device. `rows` says which prompts they are."""

    rows: tuple[int, ...]
    input_ids: Int[Tensor, "batch tokens"]
    attention_mask: Int[Tensor, "batch tokens"]

    @property
    def tokens(self) -> int:
        return int(self.input_ids.numel())


def encode(model: LoadedModel, prompts: Sequence[Prompt]) -> list[Encoded]:
    """Token ids of each prompt. Raises InputError for a prompt longer than the model's context."""
    texts = [_templated(model, prompt.text) for prompt in prompts]
    own_specials = model.tokenizer.chat_template is None
    encoded = [
        Encoded(row, tuple(model.tokenizer(text, add_special_tokens=own_specials).input_ids))
        for row, text in enumerate(texts)
    ]
    limit = int(getattr(model.model.config.get_text_config(), "max_position_embeddings", 0) or 2**31)
    for one, prompt in zip(encoded, prompts, strict=True):
        if not 0 < len(one.tokens) < limit:
            raise InputError(
                f"prompt '{prompt.id}' has {len(one.tokens)} tokens: this model takes 1 to {limit - 1}; shorten it",
                field="prompts",
            )
    return encoded


def _templated(model: LoadedModel, text: str) -> str:
    if model.tokenizer.chat_template is None:
        return text
    # Reasoning models answer directly where their template knows the switch; others ignore it.
    rendered = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    return str(rendered)


def chat_template_sha256(model: LoadedModel) -> str | None:
    template = model.tokenizer.chat_template
    return None if template is None else hashlib.sha256(str(template).encode()).hexdigest()


def batches(
    model: LoadedModel, encoded: Sequence[Encoded], *, batch_tokens: int, batch_prompts: int = 64
) -> Iterator[Batch]:
    """Left-padded batches of similar length with at most `batch_tokens` cells (one prompt always fits)."""
    for group in _groups(sorted(encoded, key=lambda e: (len(e.tokens), e.row)), batch_tokens, batch_prompts):
        yield _pad(model, group)


def _groups(ordered: Sequence[Encoded], batch_tokens: int, batch_prompts: int) -> Iterator[list[Encoded]]:
    group: list[Encoded] = []
    for one in ordered:
        if group and (len(group) == batch_prompts or (len(group) + 1) * len(one.tokens) > batch_tokens):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _pad(model: LoadedModel, group: Sequence[Encoded]) -> Batch:
    width, pad = max(len(one.tokens) for one in group), model.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(one.tokens)) + list(one.tokens) for one in group], device=model.device)
    lengths = torch.tensor([len(one.tokens) for one in group], device=model.device)
    mask = (torch.arange(width, device=model.device) >= width - lengths[:, None]).long()
    return Batch(tuple(one.row for one in group), ids, mask)
