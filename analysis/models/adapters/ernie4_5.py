"""ERNIE 4.5: a correction bias is added to probabilities before the choice.

In its VL form every sparse layer has two sets of experts, one for text and one for images. Text meets the first.
"""

from collections.abc import Iterator

from torch import nn

from analysis.models.adapters.base import Adapter


class Ernie45(Adapter):
    families = ("ernie4_5_moe",)
    bias_on_probabilities = True


class Ernie45Vl(Ernie45):
    families = ("ernie4_5_vl_moe_text",)
    note = "the experts for image tokens are not traced"

    def expert_calls(self, decoder: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        return ((path, module) for path, module in super().expert_calls(decoder) if ".vision_moe." not in path)
