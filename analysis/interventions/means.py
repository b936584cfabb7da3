"""Replace what experts say by what they say on average on benign text (`mask_mean`, ours).

Zeroing an expert also takes away what it adds whatever the text, and later layers are used to that part. Its mean over
benign text keeps it and takes away only what depends on the token. `mean_outputs` is the calibration pass that finds
the means; without one there is nothing to put in the place of an expert.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analysis.errors import InputError
from analysis.interventions.targets import Tables, Window, Windowed, refuse_too_few_left, tables
from analysis.models import ExpertId, ExpertsCall, LoadedModel, MoeLayer, Seam, SeamListener
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import batches, encode


@dataclass(frozen=True, eq=False)
class ExpertMeans:
    """Mean output of experts before their weight, by decoder layer: `mean` [experts, width], `tokens` [experts].

    `tokens` counts the tokens that chose an expert; where none did, its mean is not known.
    """

    mean: dict[int, Float[Tensor, "experts width"]]
    tokens: dict[int, Tensor]

    def __contains__(self, expert: object) -> bool:
        if not isinstance(expert, tuple) or expert[0] not in self.tokens:
            return False
        layer, index = expert
        return bool(0 <= index < len(self.tokens[layer]) and self.tokens[layer][index] > 0)


@torch.no_grad()
def mean_outputs(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    experts: Collection[ExpertId] | None = None,
    *,
    batch_tokens: int = 8_192,
) -> ExpertMeans:
    """The mean output of `experts` (default: all) over the tokens of `prompts` that choose them, template included.

    One forward per prompt, and the experts' work once more. Where a family weighs what an expert is given instead of
    what it returns (Llama 4), the output is taken as weighted.
    """
    seam = model.seam
    wanted = tables(seam, experts) if experts is not None else None
    listener = _MeanOutputs(seam, wanted)
    for batch in batches(model, encode(model, prompts), batch_tokens=batch_tokens):
        listener.real = batch.attention_mask.flatten().bool()
        with seam.attach(listener):
            model.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False
            )
    return ExpertMeans(
        {layer: total / listener.tokens[layer].clamp(min=1)[:, None] for layer, total in listener.sums.items()},
        listener.tokens,
    )


def mask_mean(seam: Seam, experts: Collection[ExpertId], means: ExpertMeans, window: Window = "both") -> SeamListener:
    """The listener under which each of `experts` returns its mean instead of its output; selection and weights stay.

    Raises InputError for an expert the model does not have or whose mean is not known, or when fewer than top-k
    experts of a layer would be left.
    """
    chosen = tables(seam, experts)
    refuse_too_few_left(seam, chosen)
    unknown = sorted(ExpertId(*expert) for expert in experts if tuple(expert) not in means)
    if unknown:
        raise InputError(
            f"{unknown[0]} was chosen by no token of the calibration prompts, so its mean output is not known: "
            "calibrate on more text, or use mask_zero"
        )
    return _MaskMean(seam, chosen, means, window)


class _MeanOutputs(SeamListener):
    """Sums each expert's unweighted output over the tokens that are `real` [tokens], no pads."""

    def __init__(self, seam: Seam, wanted: Tables | None) -> None:
        self.real: Bool[Tensor, " tokens"] = torch.empty(0, dtype=torch.bool)
        self.sums: dict[int, Tensor] = {}
        self.tokens: dict[int, Tensor] = {}
        self._wanted = wanted
        self._all = {layer.layer: range(layer.experts) for layer in seam.layers}

    def on_output(self, layer: MoeLayer, call: ExpertsCall, output: Tensor) -> None:
        if self._wanted is not None and layer.layer not in self._wanted:
            return
        if layer.layer not in self.sums:
            self.sums[layer.layer] = output.new_zeros(layer.experts, output.shape[-1], dtype=torch.float32)
            self.tokens[layer.layer] = torch.zeros(layer.experts, dtype=torch.long, device=output.device)
        real = self.real.to(output.device)
        for expert in self._experts(layer):
            chosen = (call.index == expert).any(-1) & real
            if chosen.any():
                self.sums[layer.layer][expert] += _unweighted(call, expert, chosen).float().sum(0)
                self.tokens[layer.layer][expert] += chosen.sum()

    def _experts(self, layer: MoeLayer) -> Sequence[int]:
        if self._wanted is None:
            return self._all[layer.layer]
        found: list[int] = self._wanted[layer.layer].nonzero()[:, 0].tolist()
        return found


class _MaskMean(Windowed):
    def __init__(self, seam: Seam, chosen: Tables, means: ExpertMeans, window: Window) -> None:
        super().__init__(window)
        self._tables = chosen
        self._means = {
            layer: means.mean[layer].to(table.device).masked_fill(~table[:, None], 0) for layer, table in chosen.items()
        }
        self._lost: dict[int, Tensor] = {}

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor | None:
        table = self._tables.get(layer.layer) if self.active else None
        if table is None:
            return None
        masked = table[index]
        weighed = (weights != 0).to(weights.dtype) if layer.adapter.weighs_input else weights
        lost = weights.new_zeros(len(index), layer.experts)
        self._lost[layer.layer] = lost.scatter_add(1, index, weighed.masked_fill(~masked, 0))
        return weights.masked_fill(masked, 0)

    def on_output(self, layer: MoeLayer, call: ExpertsCall, output: Tensor) -> Tensor | None:
        lost = self._lost.pop(layer.layer, None)
        return None if lost is None else output + (lost.float() @ self._means[layer.layer]).to(output.dtype)


def _unweighted(call: ExpertsCall, expert: int, chosen: Tensor) -> Float[Tensor, "tokens width"]:
    weights = (call.weights * (call.index == expert)).sum(-1)[chosen]
    if not call.layer.adapter.weighs_input:
        weights = torch.ones_like(weights)
    return call.layer.adapter.work(call.layer, call.hidden[chosen], expert, weights)
