"""Would the same prompt be routed alike tomorrow? The share of top-k sets that change with batch size or dtype.

Rounding differs between batch sizes, kernels and number formats, and a router that is nearly undecided turns rounding
into another expert. What changes here by itself is noise below every comparison of routings. `expertscope routing
determinism` calls it; the audit does not, since it takes four more passes over the prompts.
"""

import copy
import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.token_sets import LayerShares, TokenSets, token_sets
from analysis.routing.trace import DEFAULTS, Progress, silent

_OTHER = {torch.float32: torch.bfloat16, torch.bfloat16: torch.float32, torch.float16: torch.float32}


@dataclass(frozen=True)
class Determinism:
    """The share of top-k sets, [0, 1], that differ from those of each prompt alone in the model's own dtype.

    `repeat`: the same once more. `batch_size`: in batches of up to `batch_prompts`; None with a single prompt, and
    `withheld` says so. `dtype`: each prompt alone in `other_dtype`. `layers` are the model's indices.
    """

    layers: tuple[int, ...]
    tokens: int
    dtype: str
    other_dtype: str
    batch_prompts: int
    repeat: LayerShares
    batch_size: LayerShares | None
    changed_dtype: LayerShares
    withheld: dict[str, str]

    def __repr__(self) -> str:
        batch = self.batch_size.overall if self.batch_size else "withheld"
        return (
            f"Determinism(sets that change: {self.repeat.overall} when repeated, {batch} with batch size, "
            f"{self.changed_dtype.overall} from {self.dtype} to {self.other_dtype}; {self.tokens:,} tokens)"
        )


def determinism(
    model: LoadedModel, prompts: PromptSet, *, batch_prompts: int = 16, seed: int = 0, progress: Progress = silent
) -> Determinism:
    """Compare routing under batch sizes and dtypes, over every prompt token.

    For the other dtype a copy of the model is made on its device, which needs half to twice its memory beside it.
    Raises InputError when `batch_prompts` is below 2.
    """
    if batch_prompts < 2:
        raise InputError(f"batch_prompts is {batch_prompts}: expected at least 2, to compare with prompts run alone")

    def alone(one: LoadedModel) -> TokenSets:
        return token_sets(one, prompts, batch_prompts=1, progress=progress)

    def shares(other: TokenSets) -> LayerShares:
        return LayerShares.of(reference, changed_sets(reference, other), seed)

    reference = alone(model)
    repeated, batched = shares(alone(model)), None
    if len(prompts) > 1:
        # So that no batch is cut short by its tokens: the number of prompts is what is compared.
        cells = max(DEFAULTS.batch_tokens, batch_prompts * int(reference.lengths.max()))
        batched = shares(token_sets(model, prompts, batch_prompts=batch_prompts, batch_tokens=cells, progress=progress))
    other = _OTHER.get(model.dtype, torch.float32)
    return Determinism(
        layers=reference.layers,
        tokens=len(reference.ids),
        dtype=_name(model.dtype),
        other_dtype=_name(other),
        batch_prompts=min(batch_prompts, len(prompts)),
        repeat=repeated,
        batch_size=batched,
        changed_dtype=shares(alone(in_dtype(model, other))),
        withheld={} if batched else {"batch_size": "one prompt makes no batch: give at least two"},
    )


def changed_sets(reference: TokenSets, other: TokenSets) -> npt.NDArray[np.float64]:
    """1 where the set of selected experts differs, whatever its order, else 0; [tokens, layers]."""
    return (reference.overlap(other) < 1).astype(np.float64)


def in_dtype(model: LoadedModel, dtype: torch.dtype) -> LoadedModel:
    """A copy with its weights in `dtype`, except those that transformers keeps in float32 when it loads a model so."""
    copied = copy.deepcopy(model.model)
    kept = getattr(copied, "_keep_in_fp32_modules_strict", None) or ()
    for name, tensor in copied.state_dict(keep_vars=True).items():
        if tensor.is_floating_point() and not any(re.search(rf"(^|\.){re.escape(part)}(\.|$)", name) for part in kept):
            tensor.data = tensor.data.to(dtype)
    copied.config.dtype = dtype
    return replace(model, model=copied)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
