"""Where a transformers model calls its experts, found by how they are called and never by what a class is named.

In transformers 5 a sparse block ends in `experts(hidden_states, top_k_index, top_k_weights)`. A module whose forward
takes those arguments is an expert call; families that call theirs otherwise have an adapter of their own. Everything
else is refused by name, not guessed.
"""

import inspect
import re
from dataclasses import replace
from typing import Any

from torch import nn

from analysis.errors import ModelError, NotMixtureOfExpertsError, UnsupportedArchitectureError
from analysis.models.adapters import Adapter, MoeLayer, adapter_for

_SUPPORTED = "Mixture-of-Experts causal language models such as Qwen3-MoE, Mixtral, OLMoE, DeepSeek-V3 and gpt-oss"
_LAYER_INDEX = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)(?:\.|$)")
_NOT_CAUSAL = {"diffusion_gemma": "it writes whole blocks by diffusion"}
_EXPERT_LIKE = re.compile(r"(Experts|MoE|Moe)$")


def find_moe_layers(model: nn.Module) -> tuple[MoeLayer, ...]:
    """Every expert call of the text decoder of `model` in layer order.

    Raises NotMixtureOfExpertsError for a dense model or an encoder, UnsupportedArchitectureError for experts that are
    called in a way the seam does not know.
    """
    name = type(model).__name__
    _refuse_encoders(model, name)
    config = text_config(model)
    adapter = adapter_for(config)
    prefix, decoder = _text_decoder(model)
    found = list(adapter.expert_calls(decoder))
    unknown = _unknown_expert_calls(decoder, {path for path, _ in found}) if type(adapter) is Adapter else ""
    if unknown:
        raise UnsupportedArchitectureError(
            f"{name} calls its experts in a way that cannot be traced ({unknown}): expected forward("
            f"hidden_states, top_k_index, top_k_weights); supported are {_SUPPORTED}"
        )
    if not found:
        raise NotMixtureOfExpertsError(f"{name} is a dense model, it has no expert layers: supported are {_SUPPORTED}")
    opened = [_open(adapter, decoder, config, path, module, i) for i, (path, module) in enumerate(found)]
    _refuse_shared_layers(opened, name)
    return tuple(_under(prefix, layer) for layer in opened)


def text_config(model: Any) -> Any:
    """The configuration of the part of `model` that reads and writes text."""
    return model.config.get_text_config(decoder=True)


def decoder_layers(model: nn.Module, layer: MoeLayer) -> nn.ModuleList:
    """The stack of decoder layers that `layer` belongs to; a configuration may count them otherwise."""
    match = _LAYER_INDEX.search(layer.path)
    stack = model.get_submodule(layer.path[: match.start(1) - 1]) if match else None
    if not isinstance(stack, nn.ModuleList):
        raise UnsupportedArchitectureError(f"experts at '{layer.path}' belong to no stack of decoder layers")
    return stack


def _refuse_encoders(model: nn.Module, name: str) -> None:
    config = getattr(model, "config", None)
    reason = _NOT_CAUSAL.get(getattr(config, "model_type", ""), "")
    if getattr(config, "is_encoder_decoder", False):
        reason = "an encoder reads the prompt"
    if reason or not getattr(model, "can_generate", lambda: False)():
        because = f" ({reason})" if reason else ""
        raise NotMixtureOfExpertsError(
            f"{name} does not generate text as a causal decoder{because}: supported are {_SUPPORTED}"
        )


def _text_decoder(model: nn.Module) -> tuple[str, nn.Module]:
    """The part that text goes through, with its path: an image tower may have experts that text never meets."""
    decoder = getattr(model, "get_decoder", lambda: model)()
    path = next((path for path, module in model.named_modules() if module is decoder), None)
    return ("", model) if not path else (f"{path}.", decoder)


def _unknown_expert_calls(model: nn.Module, known: set[str]) -> str:
    """Class and arguments of modules that look like routed experts but are not called like any we know."""
    for path, module in model.named_modules():
        kind, attribute = type(module).__name__, path.rpartition(".")[2]
        around = any(k.startswith(path + ".") for k in known)
        if path in known or around or not _EXPERT_LIKE.search(kind) or attribute.startswith("shared"):
            continue
        arguments = ", ".join(list(inspect.signature(type(module).forward).parameters)[1:])
        return f"{kind}({arguments})"
    return ""


def _open(adapter: Adapter, decoder: nn.Module, config: Any, path: str, module: nn.Module, position: int) -> MoeLayer:
    match = _LAYER_INDEX.search(path)
    if match is None:
        raise UnsupportedArchitectureError(
            f"experts at '{path}' belong to no numbered decoder layer: expected a path like 'model.layers.3.experts'"
        )
    block = decoder.get_submodule(path.rpartition(".")[0])
    router = adapter.router(block, module)
    if router is None:
        raise UnsupportedArchitectureError(f"no router with one row per expert stands beside the experts at '{path}'")
    experts, top_k = adapter.experts(module, router), adapter.top_k(block, router, config)
    if not isinstance(experts, int) or not isinstance(top_k, int):
        raise ModelError(
            f"experts at '{path}' do not say how many they are and how many are selected (num_experts, top_k)"
        )
    return MoeLayer(
        layer=int(match.group(1)),
        position=position,
        path=path,
        experts_module=module,
        router=router,
        block=block,
        experts=experts,
        top_k=top_k,
        scoring=adapter.scoring(router, config),
        adapter=adapter,
        reroutable=adapter.reroutable(router),
    )


def _refuse_shared_layers(layers: list[MoeLayer], name: str) -> None:
    """An expert is addressed by its layer, so a layer with two sets of experts would make an address ambiguous."""
    seen: set[int] = set()
    for layer in layers:
        if layer.layer in seen:
            raise UnsupportedArchitectureError(
                f"{name} has two sets of experts in layer {layer.layer} (the second at '{layer.path}'): expected one"
            )
        seen.add(layer.layer)


def _under(prefix: str, layer: MoeLayer) -> MoeLayer:
    return replace(layer, path=prefix + layer.path)
