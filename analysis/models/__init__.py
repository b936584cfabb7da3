"""Models: found, described, loaded, and opened at the one seam where routing can be seen and changed."""

from analysis.models.adapters import MoeLayer
from analysis.models.architectures import find_moe_layers
from analysis.models.description import ModelDescription
from analysis.models.expert_id import ExpertId
from analysis.models.loading import LoadedModel, inspect_model, load_model
from analysis.models.seam import Phase, Seam, SeamListener

__all__ = [
    "ExpertId",
    "LoadedModel",
    "ModelDescription",
    "MoeLayer",
    "Phase",
    "Seam",
    "SeamListener",
    "find_moe_layers",
    "inspect_model",
    "load_model",
]
