"""What a model is, read from its configuration before a single weight is loaded."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from transformers import PreTrainedModel

from analysis.models.adapters import MoeLayer
from analysis.models.architectures import decoder_layers, find_moe_layers, text_config

Conformance = Literal["exact", "unchecked"]


@dataclass(frozen=True)
class ModelDescription:
    """Layer indices count every decoder layer from 0, dense ones too. `parameters` counts all weights,
    `active_parameters` those that one token meets: all but the routed experts that it does not select.

    `dtype` is what the weights are stored in and `weights_bytes` their size on disk, None where they are not there.
    `adapter` is what opens the expert calls; `conformance` says whether this family's traces were held against the
    truth ("exact", docs/architectures.md) or are only known to be called in the usual way ("unchecked").
    """

    ref: str
    revision: str | None
    family: str
    moe_layers: tuple[int, ...]
    dense_layers: tuple[int, ...]
    experts: int
    top_k: int
    shared_experts: int
    parameters: int
    has_chat_template: bool
    active_parameters: int = 0
    hidden_size: int = 0
    dtype: str | None = None
    weights_bytes: int | None = None
    adapter: str = ""
    conformance: Conformance = "unchecked"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with lists instead of tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def describe(model: PreTrainedModel, *, ref: str, revision: str | None, has_chat_template: bool) -> ModelDescription:
    """Describe a model that is built, on the meta device or for real. Raises the ModelError family."""
    layers = find_moe_layers(model)
    config = text_config(model)
    sparse = tuple(layer.layer for layer in layers)
    stack = decoder_layers(model, layers[0])
    return ModelDescription(
        ref=ref,
        revision=revision,
        family=str(config.model_type),
        moe_layers=sparse,
        dense_layers=tuple(i for i in range(len(stack)) if i not in sparse),
        experts=max(layer.experts for layer in layers),
        top_k=max(layer.top_k for layer in layers),
        shared_experts=layers[0].adapter.shared_experts(stack[sparse[0]], config),
        parameters=sum(p.numel() for p in model.parameters()),
        has_chat_template=has_chat_template,
        active_parameters=active_parameters(model, layers),
        hidden_size=int(getattr(config, "hidden_size", None) or getattr(config, "d_model", None) or 0),
        dtype=_dtype(model),
        adapter=type(layers[0].adapter).__module__.rpartition(".")[2],
        conformance=_conformance(str(model.config.model_type)),
    )


def active_parameters(model: PreTrainedModel, layers: Sequence[MoeLayer]) -> int:
    """Parameters that one token meets: of each layer's routed experts, `top_k` of `experts` of them."""
    idle = sum(
        sum(p.numel() for p in layer.experts_module.parameters()) * (layer.experts - layer.top_k) / layer.experts
        for layer in layers
    )
    return int(sum(p.numel() for p in model.parameters()) - idle)


def _dtype(model: PreTrainedModel) -> str | None:
    found = getattr(model.config, "dtype", None) or getattr(text_config(model), "dtype", None)
    return str(found).removeprefix("torch.") if found is not None else None


def _conformance(model_type: str) -> Conformance:
    from analysis.conformance.families import families  # which reads the sources of every family

    return "exact" if any(model_type in family.model_types for family in families()) else "unchecked"
