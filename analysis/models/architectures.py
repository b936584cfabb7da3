"""Where a transformers model calls its experts, found by how they are called and never by what a class is named.

In transformers 5 a sparse block ends in `experts(hidden_states, top_k_index, top_k_weights)`. A module whose forward
takes those arguments (or gpt-oss' names for them) is an expert call. Everything else is refused by name, not guessed.
"""

import inspect
import re
from dataclasses import dataclass

from torch import nn

from analysis.errors import ModelError, NotMixtureOfExpertsError, UnsupportedArchitectureError

CALL_SIGNATURES: tuple[tuple[str, str], ...] = (
    ("top_k_index", "top_k_weights"),
    ("router_indices", "routing_weights"),
)
VERIFIED_FAMILIES = ("deepseek_v3", "gpt_oss", "mixtral", "olmoe", "qwen3_moe")
_SUPPORTED = "Mixture-of-Experts causal language models such as Qwen3-MoE, Mixtral, OLMoE, DeepSeek-V3 and gpt-oss"
_LAYER_INDEX = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)(?:\.|$)")


@dataclass(frozen=True)
class MoeLayer:
    """One sparse block. `layer` is the decoder layer's index; `position` its place among the MoE layers."""

    layer: int
    position: int
    path: str
    experts_module: nn.Module
    router: nn.Module
    experts: int
    top_k: int
    index_argument: str
    weights_argument: str
    sigmoid_scores: bool


def find_moe_layers(model: nn.Module) -> tuple[MoeLayer, ...]:
    """Every expert call of `model` in layer order.

    Raises NotMixtureOfExpertsError for a dense model or an encoder, UnsupportedArchitectureError for experts that are
    called in a way the seam does not know.
    """
    name = type(model).__name__
    _refuse_encoders(model, name)
    found = [
        (path, module, call) for path, module in model.named_modules() if (call := _expert_call(module)) is not None
    ]
    unknown = _unknown_expert_calls(model, {path for path, _, _ in found})
    if unknown:
        raise UnsupportedArchitectureError(
            f"{name} calls its experts in a way that cannot be traced ({unknown}): expected forward("
            f"hidden_states, top_k_index, top_k_weights); supported are {_SUPPORTED}"
        )
    if not found:
        raise NotMixtureOfExpertsError(f"{name} is a dense model, it has no expert layers: supported are {_SUPPORTED}")
    return tuple(_describe(model, path, module, call, position) for position, (path, module, call) in enumerate(found))


def _refuse_encoders(model: nn.Module, name: str) -> None:
    config = getattr(model, "config", None)
    if getattr(config, "is_encoder_decoder", False) or not getattr(model, "can_generate", lambda: False)():
        raise NotMixtureOfExpertsError(f"{name} does not generate text as a causal decoder: supported are {_SUPPORTED}")


def _expert_call(module: nn.Module) -> tuple[str, str] | None:
    parameters = inspect.signature(type(module).forward).parameters
    return next((call for call in CALL_SIGNATURES if all(argument in parameters for argument in call)), None)


def _unknown_expert_calls(model: nn.Module, known: set[str]) -> str:
    """Class and arguments of modules that look like routed experts but are not called like any we know."""
    for path, module in model.named_modules():
        kind = type(module).__name__
        if (
            path in known
            or not re.search(r"(Experts|MoE|Moe|ParallelExperts)$", kind)
            or any(k.startswith(path + ".") for k in known)
        ):
            continue
        arguments = ", ".join(list(inspect.signature(type(module).forward).parameters)[1:])
        return f"{kind}({arguments})"
    return ""


def _describe(model: nn.Module, path: str, module: nn.Module, call: tuple[str, str], position: int) -> MoeLayer:
    match = _LAYER_INDEX.search(path)
    if match is None:
        raise UnsupportedArchitectureError(
            f"experts at '{path}' belong to no numbered decoder layer: expected a path like 'model.layers.3.experts'"
        )
    block = model.get_submodule(path.rpartition(".")[0])
    router = _router_beside(block, module, path)
    experts, top_k = (
        getattr(module, "num_experts", None),
        getattr(router, "top_k", None) or getattr(model.config, "num_experts_per_tok", None),
    )
    if not isinstance(experts, int) or not isinstance(top_k, int):
        raise ModelError(
            f"experts at '{path}' do not say how many they are and how many are selected (num_experts, top_k)"
        )
    sigmoid = hasattr(router, "e_score_correction_bias") or getattr(model.config, "scoring_func", "") == "sigmoid"
    return MoeLayer(int(match.group(1)), position, path, module, router, experts, top_k, *call, sigmoid_scores=sigmoid)


def _router_beside(block: nn.Module, experts: nn.Module, path: str) -> nn.Module:
    """The one sibling whose weight has a row per expert."""
    count = getattr(experts, "num_experts", None)
    for child in block.children():
        weight = getattr(child, "weight", None)
        if child is not experts and weight is not None and weight.ndim == 2 and weight.shape[0] == count:
            return child
    raise UnsupportedArchitectureError(f"no router with one row per expert stands beside the experts at '{path}'")
