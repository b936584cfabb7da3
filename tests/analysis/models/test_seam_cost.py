"""Hooks that no listener asks for are not there."""

from torch import Tensor, nn

from analysis.models import ExpertsCall, LoadedModel, MoeLayer, SeamListener


class Outputs(SeamListener):
    def on_output(self, layer: MoeLayer, call: ExpertsCall, output: Tensor) -> None: ...


class Rankings(SeamListener):
    def on_ranking(self, layer: MoeLayer, ranking: Tensor) -> None: ...


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_only_what_is_listened_to_is_hooked(model: LoadedModel) -> None:
    layers = len(model.seam.layers)
    for listener, per_layer in ((SeamListener(), 1), (Outputs(), 2), (Rankings(), 3)):
        with model.seam.attach(listener):
            assert hooks(model.model) == 1 + per_layer * layers
    assert hooks(model.model) == 0
