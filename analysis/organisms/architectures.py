"""The shapes of the organisms: five families of mixture-of-experts decoder at about two million parameters.

Called by the trainer. Every shape has four layers of sixteen experts, two of them selected per token, and differs
in what its family differs in: Qwen3-MoE renormalises the selected weights and normalises queries and keys per head,
OLMoE keeps the raw softmax weights, Mixtral renormalises and has no such norms, Qwen2-MoE has a gated shared expert
beside the routed ones, DeepSeek-V3 scores by sigmoid within groups, with a shared expert and latent attention.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from analysis.errors import InputError

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
    "deepseek_v3": {
        "n_routed_experts": EXPERTS,
        "n_group": 4,
        "topk_group": 2,
        "first_k_dense_replace": 0,
        "moe_intermediate_size": EXPERT_WIDTH,
        "q_lora_rank": None,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 16,
        "v_head_dim": 32,
    },
    "mixtral": {"num_local_experts": EXPERTS},
    "olmoe": {"num_experts": EXPERTS},
    "qwen2_moe": {
        "num_experts": EXPERTS,
        "moe_intermediate_size": EXPERT_WIDTH,
        "shared_expert_intermediate_size": EXPERT_WIDTH,
    },
    "qwen3_moe": {
        "num_experts": EXPERTS,
        "moe_intermediate_size": EXPERT_WIDTH,
        "head_dim": HIDDEN // 4,
        "norm_topk_prob": True,
    },
}


FAMILIES = tuple(_OWN)


def build_model(family: str, tokenizer: Tokenizer, seed: int) -> Model:
    """A freshly initialised model in float32; the same weights for the same family and seed.

    Raises InputError for a family that organisms are not built in.
    """
    if family not in _OWN:
        raise InputError(f"organisms cannot be built as '{family}': expected one of {', '.join(FAMILIES)}")
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
    model.set_experts_implementation("grouped_mm")
    return model


def blocks(model: Model) -> Iterator[Any]:
    """The mixture-of-experts blocks in layer order; each has a router `gate` and its `experts`."""
    return (layer.mlp for layer in model.model.layers)
