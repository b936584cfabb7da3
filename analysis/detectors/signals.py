"""What a detector may look at: each prompt's expert load, router logits at the boundary token, and layer inputs there.

Captured without generating anything. Loads come from an ordinary trace with its certificate; logits and layer inputs
from a second pass over the same batches, whose selections at the boundary token must be those of the trace. Called by
`detection` to train and by `trained` to score.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from analysis.errors import CaptureError
from analysis.models import LoadedModel, MoeLayer, SeamListener
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.certificate import Certificate
from analysis.routing.encoding import Batch, Encoded, batches, encode
from analysis.routing.recorder import BOUNDARY, PROMPT
from analysis.routing.trace import DEFAULTS, CaptureSettings, Progress, Trace, capture, silent
from analysis.shards import MemoryShards, Shard, ShardStore

PROBED_LAYERS = 8
"""Layer inputs are kept for at most this many MoE layers, evenly spread, the last one included."""


@dataclass(frozen=True)
class Signals:
    """One row per prompt. `layers` are the MoE layers' indices in the model, `experts` how many each of them has.

    `load` is each expert's share of a layer's selections over all prompt tokens, f/k: it sums to 1 over experts.
    `logits` are the router's raw scores at the boundary token (log-probabilities where a router returns those),
    `inputs` the states that the routers of the `probed` layers are handed there. `tokens` counts the prompt's tokens,
    chat template included.
    Experts that a smaller layer does not have are NaN.
    """

    prompts: tuple[Prompt, ...]
    layers: tuple[int, ...]
    experts: tuple[int, ...]
    probed: tuple[int, ...]
    load: Float[np.ndarray, "prompts layers experts"]
    logits: Float[np.ndarray, "prompts layers experts"]
    inputs: Float[np.ndarray, "prompts probed hidden"]
    tokens: Int[np.ndarray, " prompts"]
    certificate: Certificate | None = None

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        return f"Signals({len(self)} prompts × {len(self.layers)} layers × {max(self.experts)} experts)"

    def take(self, rows: Sequence[int] | np.ndarray) -> "Signals":
        """These prompts alone, in this order."""
        index = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in index),
            **{name: getattr(self, name)[index] for name in ("load", "logits", "inputs", "tokens")},
        )


def capture_signals(
    model: LoadedModel,
    prompts: PromptSet,
    *,
    batch_tokens: int = DEFAULTS.batch_tokens,
    shards: ShardStore | None = None,
    progress: Progress = silent,
) -> Signals:
    """Two prefill passes over `prompts`, in shards. Raises CaptureError where the two do not agree, InputError for a
    prompt that the model cannot take.
    """
    store, settings = shards or MemoryShards(), CaptureSettings(max_new_tokens=0, batch_tokens=batch_tokens)
    trace = capture(model, prompts, settings, shards=store, progress=progress)
    ordered = sorted(encode(model, prompts.prompts), key=lambda e: (len(e.tokens), e.row))
    step = settings.shard_prompts
    starts = range(0, len(ordered), step)
    parts = []
    for number, start in enumerate(starts):
        progress("boundary", number, len(starts))
        part = ordered[start : start + step]
        parts.append(store.once(f"boundary-{number:04d}", lambda part=part: _states(model, part, settings)))  # type: ignore[misc]
    progress("boundary", len(starts), len(starts))
    return _assemble(model, trace, parts)


def probed_positions(moe_layers: int) -> tuple[int, ...]:
    """The places among the MoE layers whose inputs are kept."""
    if moe_layers <= PROBED_LAYERS:
        return tuple(range(moe_layers))
    spread = np.linspace(moe_layers / PROBED_LAYERS, moe_layers, PROBED_LAYERS)
    return tuple(int(place) - 1 for place in np.round(spread))


@torch.inference_mode()
def _states(model: LoadedModel, part: Sequence[Encoded], settings: CaptureSettings) -> Shard:
    rows: list[int] = []
    found: list[dict[str, np.ndarray]] = []
    for batch in batches(model, part, batch_tokens=settings.batch_tokens):
        keeper = _BoundaryKeeper(model.seam.layers, batch)
        with model.seam.attach(keeper):
            model.model(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False
            )
        found.append(keeper.fetch())
        rows += batch.rows
    arrays = {name: np.concatenate([one[name] for one in found]) for name in ("logits", "inputs", "selected")}
    return Shard({"rows": np.array(rows, dtype=np.int64), **arrays})


class _BoundaryKeeper(SeamListener):
    """Keeps the last token's states of one prefill on the device until `fetch`. Batches are padded on the left."""

    def __init__(self, layers: Sequence[MoeLayer], batch: Batch) -> None:
        self._layers, self._shape = layers, batch.input_ids.shape
        self._probed = probed_positions(len(layers))
        self._inputs: dict[int, Float[Tensor, "batch hidden"]] = {}
        self._logits: dict[int, Float[Tensor, "batch experts"]] = {}
        self._selected: dict[int, Float[Tensor, "batch experts"]] = {}

    def on_router_input(self, layer: MoeLayer, states: Tensor) -> None:
        if layer.position in self._probed:
            self._inputs[layer.position] = self._last(states).float()

    def on_router(self, layer: MoeLayer, logits: Tensor, choice: Tensor | None) -> None:
        last = self._last(logits).float()
        if layer.scoring == "probability":
            last = last.clamp_min(torch.finfo(torch.float32).tiny).log()
        self._logits[layer.position] = self._widened(layer, last, float("nan"))

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> None:
        counts = torch.zeros(self._shape[0], layer.experts, device=index.device)
        last = self._last(index)
        counts.scatter_add_(1, last, torch.ones_like(last, dtype=counts.dtype))
        self._selected[layer.position] = self._widened(layer, counts, 0.0)

    def fetch(self) -> dict[str, np.ndarray]:
        """`logits` and `selected` [batch, layers, experts], `inputs` [batch, probed, hidden], as float32."""
        kept = {"logits": self._logits, "inputs": self._inputs, "selected": self._selected}
        return {name: _stacked(states) for name, states in kept.items()}

    def _last(self, flat: Tensor) -> Tensor:
        return flat.reshape(*self._shape, -1)[:, -1]

    def _widened(self, layer: MoeLayer, values: Tensor, fill: float) -> Tensor:
        missing = max(one.experts for one in self._layers) - layer.experts
        return torch.nn.functional.pad(values, (0, missing), value=fill)


def _stacked(states: dict[int, Tensor]) -> np.ndarray:
    stacked: np.ndarray = torch.stack([states[place] for place in sorted(states)], dim=1).cpu().numpy()
    return stacked


def _assemble(model: LoadedModel, trace: Trace, parts: Iterable[Shard]) -> Signals:
    shards = list(parts)
    order = np.argsort(np.concatenate([part.arrays["rows"] for part in shards]))
    joined: dict[str, Any] = {
        name: np.concatenate([part.arrays[name] for part in shards])[order] for name in ("logits", "inputs", "selected")
    }
    if not np.array_equal(joined["selected"], trace.selections[:, BOUNDARY]):
        raise CaptureError(
            "two passes over the same prompts selected different experts at the boundary token: this model does not "
            "repeat itself on this device, so its router logits cannot be read"
        )
    seam_layers = model.seam.layers
    top_k = np.array([layer.top_k for layer in seam_layers], dtype=np.float64)
    load = trace.frequency[:, PROMPT].astype(np.float64) / top_k[:, None]
    for layer in seam_layers:
        load[:, layer.position, layer.experts :] = np.nan
    return Signals(
        prompts=trace.prompts,
        layers=trace.layers,
        experts=tuple(layer.experts for layer in seam_layers),
        probed=tuple(trace.layers[place] for place in probed_positions(len(seam_layers))),
        load=load,
        logits=joined["logits"].astype(np.float64),
        inputs=joined["inputs"],
        tokens=trace.tokens[:, PROMPT].astype(np.int64),
        certificate=trace.certificate,
    )
