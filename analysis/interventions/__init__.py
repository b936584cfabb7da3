"""Interventions: what can be done to chosen experts, all of it at the seam."""

from analysis.interventions.masks import MaskMode, MaskWindow, mask
from analysis.interventions.means import ExpertMeans, mask_mean, mean_outputs
from analysis.interventions.memory import RoutingMemory, remember, routing_memory
from analysis.interventions.patches import patch_output, patch_routing
from analysis.interventions.recording import RecordedRun, RecordedSequence, record_run
from analysis.interventions.steering import steer_soft
from analysis.interventions.targets import Window

__all__ = [
    "ExpertMeans",
    "MaskMode",
    "MaskWindow",
    "RecordedRun",
    "RecordedSequence",
    "RoutingMemory",
    "Window",
    "mask",
    "mask_mean",
    "mean_outputs",
    "patch_output",
    "patch_routing",
    "record_run",
    "remember",
    "routing_memory",
    "steer_soft",
]
