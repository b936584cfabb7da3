"""Record a run token by token: which experts worked with which weights, and, where asked, what they added.

The donors of `patches`. A trace sums over windows and is what an audit keeps; this keeps every token, so it is for tens
of prompts, not thousands.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from analysis.interventions.targets import tables
from analysis.models import ExpertId, ExpertsCall, LoadedModel, MoeLayer, Phase, SeamListener, Selection
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import Batch, batches, encode
from analysis.routing.trace import eos_ids, generate, read_answers


@dataclass(frozen=True, eq=False)
class RecordedSequence:
    """One prompt's run. `tokens` are the prompt's ids, template included; after them come `decoded` answer tokens.

    `selections` holds for each decoder layer index and `outputs` [tokens, width] for each recorded expert one row per
    token, prompt first; an expert's output is its contribution with its weight applied, 0 where it was not chosen.
    """

    tokens: tuple[int, ...]
    decoded: int
    selections: dict[int, Selection]
    outputs: dict[ExpertId, Float[Tensor, "tokens width"]]


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """The sequences of a run in the order of its prompts; `experts` are those whose outputs were recorded."""

    sequences: tuple[RecordedSequence, ...]
    experts: tuple[ExpertId, ...]


@torch.no_grad()
def record_run(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    experts: Collection[ExpertId] = (),
    *listeners: SeamListener,
    max_new_tokens: int = 0,
    batch_tokens: int = 8_192,
) -> RecordedRun:
    """Run `prompts`, with greedy answers of up to `max_new_tokens`, under `listeners`, and record every token.

    The outputs of `experts` are recorded too. Raises InputError for experts that the model does not have.
    """
    tables(model.seam, experts)
    chosen = tuple(sorted({ExpertId(*expert) for expert in experts}))
    found: dict[int, RecordedSequence] = {}
    for batch in batches(model, encode(model, prompts), batch_tokens=batch_tokens):
        recorder = (_RecordOutputs if chosen else _Record)(chosen)
        with model.seam.attach(*listeners, recorder):
            fed = _run(model, batch, max_new_tokens)
        for row, place in enumerate(batch.rows):
            found[place] = recorder.sequence(batch, row, fed[row])
    return RecordedRun(tuple(found[place] for place in range(len(prompts))), chosen)


def _run(model: LoadedModel, batch: Batch, max_new_tokens: int) -> list[int]:
    """How many answer tokens each sequence fed back to the model."""
    if max_new_tokens == 0:
        model.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=1, use_cache=False)
        return [0] * len(batch.rows)
    return read_answers(model, generate(model, batch, max_new_tokens), eos_ids(model))[1]


@dataclass(eq=False)
class _Steps:
    """One layer's calls in order."""

    index: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    outputs: dict[ExpertId, list[Tensor]] = field(default_factory=dict)


class _Record(SeamListener):
    def __init__(self, experts: Sequence[ExpertId]) -> None:
        self._experts = experts
        self._layers: dict[int, _Steps] = {}
        self._rows = 0

    def on_forward(self, phase: Phase, input_ids: Tensor) -> None:
        self._rows = len(input_ids)

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> None:
        steps = self._layers.setdefault(layer.layer, _Steps())
        steps.index.append(self._by_row(index))
        steps.weights.append(self._by_row(weights))

    def sequence(self, batch: Batch, row: int, fed: int) -> RecordedSequence:
        """Row `row` of the batch without its padding, and without what was decoded after its end."""
        width = batch.input_ids.shape[1]
        start = width - int(batch.attention_mask[row].sum())

        def cut(steps: list[Tensor]) -> Tensor:
            return torch.cat(steps, dim=1)[row, start : width + fed].clone()

        return RecordedSequence(
            tuple(batch.input_ids[row, start:].tolist()),
            fed,
            {layer: Selection(cut(s.index), cut(s.weights)) for layer, s in self._layers.items()},
            {expert: cut(outputs) for s in self._layers.values() for expert, outputs in s.outputs.items()},
        )

    def _by_row(self, flat: Tensor) -> Tensor:
        return flat.reshape(self._rows, -1, flat.shape[-1])


class _RecordOutputs(_Record):
    def on_output(self, layer: MoeLayer, call: ExpertsCall, output: Tensor) -> None:
        for expert in self._experts:
            if expert.layer == layer.layer:
                outputs = self._layers[layer.layer].outputs.setdefault(expert, [])
                outputs.append(self._by_row(dense(call, expert.expert, output)))


def dense(call: ExpertsCall, expert: int, output: Tensor) -> Float[Tensor, "tokens width"]:
    """The contribution of `expert` to every token of a call; 0 where it was not chosen."""
    found = call.contribution(expert)
    return torch.zeros_like(output).index_copy(0, found.tokens, found.values.to(output.dtype))
