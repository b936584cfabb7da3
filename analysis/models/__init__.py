"""Models: found, described, loaded, and opened at the one seam where routing can be seen and changed."""

from analysis.models.adapters import Contribution, ExpertsCall, MoeLayer, Selection
from analysis.models.architectures import find_moe_layers
from analysis.models.description import ModelDescription
from analysis.models.expert_id import ExpertId
from analysis.models.loading import LoadedModel, inspect_model, load_model
from analysis.models.seam import Phase, Seam, SeamListener

__all__ = [
    "Contribution",
    "ExpertId",
    "ExpertsCall",
    "LoadedModel",
    "ModelDescription",
    "MoeLayer",
    "Phase",
    "Seam",
    "SeamListener",
    "Selection",
    "find_moe_layers",
    "inspect_model",
    "load_model",
]
