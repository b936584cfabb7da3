"""DeepSeek-V4: in its first layers a table says for each token which experts work; no score can change that."""

from torch import nn

from analysis.models.adapters.base import Adapter


class DeepseekV4(Adapter):
    families = ("deepseek_v4",)

    def reroutable(self, router: nn.Module) -> bool:
        return not hasattr(router, "tid2eid")
