"""Interventions: what can be done to chosen experts, all of it at the seam."""

from analysis.interventions.masks import MaskMode, MaskWindow, mask

__all__ = ["MaskMode", "MaskWindow", "mask"]
