"""From a reference that a person types to a model that can be inspected.

A reference is a folder, a hub id with an optional `@revision`, or `organism:NAME`. Weights are safetensors only and
code from a hub is never run. Only a hub id can make a network request, and only through huggingface_hub.
"""

import hashlib
import os
import re
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING

from analysis.errors import InputError, ModelError, NotFoundError, NotMixtureOfExpertsError, UnsafeWeightsError
from analysis.models.description import ModelDescription, describe
from analysis.models.seam import Seam
from analysis.organisms.registry import organism_path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_ORGANISM = "organism:"


@dataclass(frozen=True)
class Source:
    """Where a reference leads. `location` is a folder or a hub id; `ref` is what the user typed."""

    ref: str
    location: str
    revision: str | None
    local: bool


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be traced, in evaluation mode, with frozen weights. `load_seconds` is what loading it took."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    description: ModelDescription
    source: Source
    load_seconds: float = 0.0

    @cached_property
    def seam(self) -> Seam:
        return Seam(self.model)

    def __repr__(self) -> str:
        is_a, dtype = self.description, str(self.dtype).removeprefix("torch.")
        experts = f"{len(is_a.moe_layers)} MoE layers × {is_a.experts} experts, top {is_a.top_k}"
        return f"LoadedModel({is_a.ref}: {is_a.family}, {experts}, {dtype} on {self.device})"

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype

    @cached_property
    def weights_sha256(self) -> str | None:
        """Digest over the names and contents of the weight files; None when they cannot be found on disk."""
        return _weights_digest(self.source)


def resolve(ref: str, revision: str | None = None) -> Source:
    """Say what a reference means without touching the network. Raises NotFoundError, InputError, UnsafeWeightsError."""
    if ref.startswith(_ORGANISM):
        return Source(ref, str(organism_path(ref.removeprefix(_ORGANISM))), None, local=True)
    folder = Path(os.path.expanduser(ref))
    # os.path says no to what is no path at all, where Path raises: such a text is a wrong reference.
    if os.path.isdir(folder):
        _check_folder(folder, ref)
        return Source(ref, str(folder), None, local=True)
    if os.path.exists(folder):
        raise InputError(
            f"model '{ref}' is a file: expected a folder with config.json and safetensors weights", field="model"
        )
    name, _, tail = ref.partition("@")
    if not _HUB_ID.fullmatch(name) or ref.startswith((".", "/", "~")):
        raise NotFoundError(
            f"model folder '{ref}' does not exist: give a folder, a hub id like 'owner/name@revision' or organism:NAME",
            field="model",
        )
    return Source(name, name, revision or tail or None, local=False)


def inspect_model(ref: str, *, revision: str | None = None) -> ModelDescription:
    """Describe the model behind `ref` from its configuration alone. Raises ModelError and NotFoundError."""
    source = resolve(ref, revision)
    description = describe(_skeleton(source), ref=source.ref, revision=source.revision, has_chat_template=False)
    # After the description, so that a dense model is called dense even where its tokenizer is missing.
    return replace(
        description,
        has_chat_template=bool(_tokenizer(source).chat_template),
        weights_bytes=_weights_bytes(source),
    )


def skeleton(ref: str, *, revision: str | None = None) -> PreTrainedModel:
    """The modules of the model behind `ref` without its weights, from its configuration alone."""
    return _skeleton(resolve(ref, revision))


def load_model(ref: str, *, revision: str | None = None, device: str = "auto") -> LoadedModel:
    """Load the model behind `ref`: bfloat16 on CUDA, float32 on the CPU. `device` is auto, cpu, cuda or cuda:N."""
    source, target = resolve(ref, revision), _device(device)
    start = time.perf_counter()
    description = inspect_model(ref, revision=revision)
    on_cuda = target.type == "cuda"
    try:
        model: Any = _auto_class(_config(source)).from_pretrained(
            source.location,
            revision=source.revision or "main",
            dtype=torch.bfloat16 if on_cuda else torch.float32,
            experts_implementation="grouped_mm" if on_cuda else "eager",
            use_safetensors=True,
            trust_remote_code=False,
            # Straight onto the GPU: a model that just fits there may not fit into the machine's own memory as well.
            device_map={"": target} if on_cuda else None,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as fault:
        raise ModelError(f"model '{source.ref}' cannot be loaded: {_first_line(fault)}", field="model") from fault
    model = model.eval().requires_grad_(requires_grad=False)
    return LoadedModel(model, _tokenizer(source), description, source, round(time.perf_counter() - start, 3))


def _skeleton(source: Source) -> PreTrainedModel:
    config = _config(source)
    with torch.device("meta"):
        return _build(source, config)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"unknown device '{name}': expected auto, cpu, cuda or cuda:N", field="device")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(
            f"device '{name}' was asked for but this machine has no CUDA device: use auto or cpu", field="device"
        )
    return torch.device(name)


def _check_folder(folder: Path, ref: str) -> None:
    if not (folder / "config.json").is_file():
        raise NotFoundError(
            f"folder '{ref}' has no config.json: expected a checkpoint saved with save_pretrained", field="model"
        )
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix in {".bin", ".pt", ".pth", ".ckpt"})
        found = f"only pickled weights ({pickled[0]})" if pickled else "no weights"
        raise UnsafeWeightsError(
            f"folder '{ref}' has {found}: expected *.safetensors; convert with save_pretrained", field="model"
        )


def _config(source: Source) -> Any:
    try:
        config = AutoConfig.from_pretrained(
            source.location, revision=source.revision or "main", trust_remote_code=False
        )
    except OSError as fault:
        raise NotFoundError(f"model '{source.ref}' cannot be read: {_first_line(fault)}", field="model") from fault
    except Exception as fault:
        raise ModelError(
            f"the configuration of model '{source.ref}' cannot be used: {_first_line(fault)}", field="model"
        ) from fault
    return config


def _auto_class(config: Any) -> Any:
    """The class that writes text from text: the multimodal one only for families that have no other."""
    causal = type(config) in AutoModelForCausalLM._model_mapping  # noqa: SLF001
    multimodal = not causal and type(config) in MODEL_FOR_MULTIMODAL_LM_MAPPING
    return AutoModelForMultimodalLM if multimodal else AutoModelForCausalLM


def _build(source: Source, config: Any) -> PreTrainedModel:
    try:
        skeleton: PreTrainedModel = _auto_class(config).from_config(config, trust_remote_code=False)
    except ValueError as fault:
        raise NotMixtureOfExpertsError(
            f"model '{source.ref}' ({config.model_type}) is not a causal language model that transformers can build: "
            "expected a Mixture-of-Experts decoder",
            field="model",
        ) from fault
    return skeleton


def _tokenizer(source: Source) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.location, revision=source.revision or "main", trust_remote_code=False, padding_side="left"
        )
    except Exception as fault:
        raise ModelError(
            f"model '{source.ref}' has no tokenizer that can be loaded: {_first_line(fault)}", field="model"
        ) from fault
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def _weight_files(source: Source) -> list[Path]:
    """The weight files that are on this machine, by name."""
    folder = Path(source.location)
    if not source.local:
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(source.location, "config.json", revision=source.revision or "main")
        if not isinstance(config, str):
            return []
        folder = Path(config).parent
    return sorted(folder.glob("*.safetensors"))


def _weights_bytes(source: Source) -> int | None:
    files = _weight_files(source)
    return sum(file.stat().st_size for file in files) if files else None


def _weights_digest(source: Source) -> str | None:
    files = _weight_files(source)
    if not files:
        return None
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _first_line(fault: Exception) -> str:
    """The first line of a library's message, without this machine's folders."""
    text = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
    return re.sub(r"(/[\w.@+-]+){2,}/", "…/", text)[:300]
