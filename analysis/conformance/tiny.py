"""A tiny random model of any family, built in memory from its configuration class alone. Nothing is downloaded.

Most families need only the generic sizes below, each set where the configuration has a field of that name; the rest
have an entry in `configurations.py`. Used by the conformance checks, and not meant for anything that learns.
"""

import dataclasses
import random
import re
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from analysis.conformance.configurations import OVERRIDES, SIZES
from analysis.errors import NotMixtureOfExpertsError

_HASHED_EXPERTS = SIZES["n_routed_experts"]
_AUTO_CLASSES = (AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM, AutoModelForSeq2SeqLM)


def tiny_config(model_type: str) -> PreTrainedConfig:
    """The configuration class of `model_type` with every size made small."""
    config_class: Any = CONFIG_MAPPING[model_type]
    config: PreTrainedConfig = config_class(**_settings(config_class, OVERRIDES.get(model_type, {})))
    return config


def tiny_model(model_type: str, *, seed: int = 0) -> PreTrainedModel:
    """A random float32 model in evaluation mode that writes with eager experts.

    Raises NotMixtureOfExpertsError where transformers has no class of this type that generates text.
    """
    config = tiny_config(model_type)
    _seed(seed)
    model = _build(config)
    _spread(model, seed)
    generation: Any = model.generation_config
    if generation is not None:
        generation.eos_token_id, generation.pad_token_id, generation.bos_token_id = 1, 0, None
    model.requires_grad_(requires_grad=False).train(mode=False)
    return model


def to_bfloat16(model: PreTrainedModel) -> None:
    """Cast in place as loading a checkpoint does: what a family keeps in float32, and rotary tables, stay."""
    kept = [*(model._keep_in_fp32_modules_strict or ()), "inv_freq"]  # noqa: SLF001
    pattern = re.compile("|".join(rf"(^|\.){re.escape(name)}(\.|$)" for name in kept))
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and not pattern.search(name) and "inv_freq" not in name:
            tensor.data = tensor.data.to(torch.bfloat16)


def _build(config: PreTrainedConfig) -> PreTrainedModel:
    auto: Any
    for auto in _AUTO_CLASSES:
        if type(config) in auto._model_mapping:  # noqa: SLF001
            model: PreTrainedModel = auto.from_config(config, experts_implementation="eager")
            return model
    raise NotMixtureOfExpertsError(f"transformers has no class of '{config.model_type}' that generates text")


def _settings(config_class: Any, overrides: dict[str, Any]) -> dict[str, Any]:
    """The generic sizes that `config_class` knows, its own sub-configurations, then what its family needs."""
    names = {field.name for field in dataclasses.fields(config_class)}
    aliases = {alias: name for name, alias in config_class.attribute_map.items()}
    settings = {name: SIZES[name] for name in names if name in SIZES}
    settings |= {name: SIZES[aliases[name]] for name in names if name not in SIZES and aliases.get(name) in SIZES}
    settings |= {name: value for name, value in overrides.items() if not isinstance(value, dict)}
    for name, sub in config_class.sub_configs.items():
        kind = getattr(getattr(config_class, "sub_configs_defaults", {}).get(name), "model_type", None)
        sub_class = CONFIG_MAPPING[kind] if kind else sub
        settings[name] = _settings(sub_class, overrides.get(name, OVERRIDES.get(sub_class.model_type, {})))
        settings[name] |= {"model_type": kind} if kind else {}
    settings |= {k: v for k, v in overrides.items() if isinstance(v, dict) and k not in config_class.sub_configs}
    return settings


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _spread(model: PreTrainedModel, seed: int) -> None:
    """Random weights large enough that experts differ and every expert is chosen by some token."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("tid2eid"):
                rows = torch.rand(len(tensor), _HASHED_EXPERTS, generator=generator)
                tensor.copy_(rows.argsort(1)[:, : tensor.shape[1]])
            if not tensor.is_floating_point() or "inv_freq" in name:
                continue
            if tensor.ndim >= 2:
                tensor.normal_(0, 0.25, generator=generator)
            elif name.endswith("balancing_biases"):  # on probabilities that are nearly even; the last is the skip's
                tensor.uniform_(-0.01, 0.01, generator=generator)[-1] = 0.05
            elif "correction_bias" in name or name.endswith("expert_bias"):
                tensor.uniform_(-0.1, 0.1, generator=generator)
            elif name.endswith("bias"):
                tensor.normal_(0, 0.02, generator=generator)
