"""One tiny model with its words and prompts, as the checks need it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from analysis.conformance.configurations import SIZES
from analysis.models import LoadedModel
from analysis.models.description import describe
from analysis.models.loading import Source
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import Batch, batches, encode

PAD, END = 0, 1
_LENGTHS = (3, 9, 5, 12, 7)


@dataclass(frozen=True)
class Subject:
    """`prompts` have different lengths, so that every batch is padded."""

    loaded: LoadedModel
    prompts: PromptSet

    @cached_property
    def batch(self) -> Batch:
        """All prompts, padded to one width."""
        return next(batches(self.loaded, encode(self.loaded, self.prompts.prompts), batch_tokens=10_000))

    def run(self) -> Tensor:
        """Logits [batch, tokens, vocabulary] of `batch`, in whatever state the model is."""
        logits: Tensor = self.loaded.model(
            input_ids=self.batch.input_ids, attention_mask=self.batch.attention_mask, use_cache=False
        ).logits
        return logits


def subject(model: PreTrainedModel, model_type: str) -> Subject:
    """Raises the ModelError family for a model that the seam refuses."""
    ref = f"conformance:{model_type}"
    description = describe(model, ref=ref, revision=None, has_chat_template=False)
    loaded = LoadedModel(model, _tokenizer(), description, Source(ref, ref, None, local=True))
    return Subject(loaded, _prompts())


def forward(one: Subject) -> Callable[[], Tensor]:
    """`run` without gradients; not in inference mode, whose tensors a family may keep and could not be tuned with."""

    def run() -> Tensor:
        with torch.no_grad():
            return one.run()

    return run


def _tokenizer() -> PreTrainedTokenizerFast:
    """One id for each word `w2`, `w3`, …; no merges, no template."""
    vocabulary = {"<pad>": PAD, "<end>": END, **{f"w{i}": i for i in range(2, SIZES["vocab_size"])}}
    raw = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<end>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    build: Any = PreTrainedTokenizerFast
    words: PreTrainedTokenizerFast = build(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<end>", padding_side="left"
    )
    return words


def _prompts() -> PromptSet:
    generator = torch.Generator().manual_seed(7)
    drawn = (torch.randint(2, SIZES["vocab_size"], (length,), generator=generator).tolist() for length in _LENGTHS)
    texts = (" ".join(f"w{i}" for i in ids) for ids in drawn)
    return PromptSet("conformance", tuple(Prompt(f"p{i}", text) for i, text in enumerate(texts)))
