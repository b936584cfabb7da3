"""What a model is, read from its configuration before a single weight is loaded."""

from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel

from analysis.models.architectures import decoder_layers, find_moe_layers, text_config


@dataclass(frozen=True)
class ModelDescription:
    """Layer indices count every decoder layer from 0, dense ones too. `parameters` counts all weights."""

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
    )
