"""Families whose routers score by sigmoid without carrying the correction bias that would tell."""

from typing import Any

from torch import nn

from analysis.models.adapters.base import Adapter, Scoring


class SigmoidScores(Adapter):
    """AFMoE, Hunyuan 3, LFM2 and MiniMax-M2 are handed their bias by the block; Flint has none."""

    families = ("afmoe", "flint", "hy_v3", "lfm2_moe", "minimax_m2")

    def scoring(self, router: nn.Module, config: Any) -> Scoring:
        return "sigmoid"
