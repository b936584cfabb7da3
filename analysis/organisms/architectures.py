"""The shapes of the organisms: three families of mixture-of-experts decoder at about two million parameters.

Called by the trainer. Every shape has four layers of sixteen experts, two of them selected per token, and differs
in what its family differs in: Qwen3-MoE renormalises the selected weights and normalises queries and keys per head,
OLMoE keeps the raw softmax weights, Mixtral renormalises and has no such norms.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from transformers import AutoConfig, AutoModelForCausalLM

LAYERS, EXPERTS, TOP_K, HIDDEN, EXPERT_WIDTH = 4, 16, 2, 128, 64

# transformers ships no types for most of what is called on these.
Model: TypeAlias = Any
Tokenizer: TypeAlias = Any

_SHARED = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "num_experts_per_tok": TOP_K,
    "intermediate_size": EXPERT_WIDTH,
    "max_position_embeddings": 256,
    "initializer_range": 0.04,
    "tie_word_embeddings": True,
}
_OWN: dict[str, dict[str, object]] = {
    "mixtral": {"num_local_experts": EXPERTS},
    "olmoe": {"num_experts": EXPERTS},
    "qwen3_moe": {
        "num_experts": EXPERTS,
        "moe_intermediate_size": EXPERT_WIDTH,
        "head_dim": HIDDEN // 4,
        "norm_topk_prob": True,
    },
}


def build_model(family: str, tokenizer: Tokenizer, seed: int) -> Model:
    """A freshly initialised model in float32; the same weights for the same family and seed."""
    config = AutoConfig.for_model(
        family,
        **_SHARED,
        **_OWN[family],
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    load: Any = AutoModelForCausalLM
    model = load.from_config(config, dtype=torch.float32)
    model.set_experts_implementation("eager")
    return model


def blocks(model: Model) -> Iterator[Any]:
    """The mixture-of-experts blocks in layer order; each has a router `gate` and its `experts`."""
    return (layer.mlp for layer in model.model.layers)
