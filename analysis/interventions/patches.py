"""Put a piece of one run into another: the selection of experts, or what single experts add.

If refusal lives in where tokens are sent, the selection of a harmful prompt's run carries it into a benign prompt's
run, and the other way round. A run under `patch_routing` has its own states everywhere but the donor's experts and
weights; under `patch_output` it has its own everywhere but what the chosen experts return.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from analysis.errors import InputError
from analysis.interventions.recording import RecordedRun, RecordedSequence, dense
from analysis.interventions.targets import Window, Windowed, tables
from analysis.models import ExpertId, ExpertsCall, LoadedModel, MoeLayer, Phase, SeamListener, Selection
from analysis.prompts.prompt_set import Prompt
from analysis.routing.encoding import encode

Alignment = Literal["end", "same"]


def patch_routing(
    model: LoadedModel,
    donor: RecordedRun,
    prompts: Sequence[Prompt],
    *,
    layers: Collection[int] | None = None,
    window: Window = "prompt",
    align: Alignment = "end",
) -> SeamListener:
    """The listener under which `prompts[i]` is routed as the donor's i-th sequence was: experts and weights.

    `layers` are decoder layer indices (default: all with experts). Tokens are aligned by their distance to the
    boundary token, the last one of the prompt, so that templates meet; tokens without a counterpart keep their own
    routing. `align="same"` demands prompts of the same length instead. An answer's n-th token meets the donor's n-th,
    which needs a donor that was recorded with answers. Prompts other than `prompts` run as they are.

    Raises InputError where the donor does not fit: other numbers of prompts, other lengths under "same", a layer
    without experts, two prompts of the same tokens.
    """
    known = {layer.layer for layer in model.seam.layers}
    wanted = known if layers is None else set(layers)
    if wanted - known:
        raise InputError(f"layer {min(wanted - known)} has no experts: this model's MoE layers are {_list(known)}")
    return _PatchRouting(_recipients(model, donor, prompts, align), model, window, wanted)


def patch_output(
    model: LoadedModel,
    donor: RecordedRun,
    prompts: Sequence[Prompt],
    experts: Collection[ExpertId] | None = None,
    *,
    window: Window = "prompt",
    align: Alignment = "end",
) -> SeamListener:
    """The listener under which each of `experts` adds to `prompts[i]` what it added to the donor's i-th sequence.

    `experts` default to all whose outputs the donor recorded. An expert that the donor did not choose for a token adds
    nothing there, and one that only the donor chose adds what it added there. Alignment and errors are those of
    `patch_routing`; experts that the donor did not record raise InputError too.
    """
    chosen = donor.experts if experts is None else tuple(ExpertId(*expert) for expert in experts)
    tables(model.seam, chosen)
    missing = sorted(set(chosen) - set(donor.experts))
    if missing or not chosen:
        what = f"the output of {missing[0]}" if missing else "no expert's output"
        raise InputError(f"the donor run recorded {'not ' if missing else ''}{what}: name it in record_run(…, experts)")
    return _PatchOutput(_recipients(model, donor, prompts, align), model, window, chosen)


@dataclass(frozen=True, eq=False)
class _Place:
    """Flattened rows of the pass that is running, and their counterparts in a donor sequence."""

    rows: Tensor
    donor: RecordedSequence
    positions: slice


class _Patch(Windowed):
    """Finds out, pass by pass, which of its rows belong to which donor tokens."""

    def __init__(self, recipients: dict[tuple[int, ...], RecordedSequence], model: LoadedModel, window: Window) -> None:
        super().__init__(window)
        self._recipients, self._pad = recipients, model.tokenizer.pad_token_id
        self._rows: list[tuple[RecordedSequence | None, int]] = []
        self._decoded = 0
        self._places: list[_Place] = []

    def on_forward(self, phase: Phase, input_ids: Tensor) -> None:
        super().on_forward(phase, input_ids)
        width = input_ids.shape[1]
        if phase == "prompt":
            prompts = [_without_padding(row, self._pad) for row in input_ids.tolist()]
            self._rows = [(self._recipients.get(tokens), len(tokens)) for tokens in prompts]
            first, self._decoded = -width, 0
        else:
            first, self._decoded = self._decoded, self._decoded + width
        matched = ((row, donor, length) for row, (donor, length) in enumerate(self._rows) if donor is not None)
        places = (_place(row * width, first, width, donor, length) for row, donor, length in matched)
        self._places = [place for place in places if place is not None] if self.active else []


class _PatchRouting(_Patch):
    def __init__(
        self,
        recipients: dict[tuple[int, ...], RecordedSequence],
        model: LoadedModel,
        window: Window,
        layers: Collection[int],
    ) -> None:
        super().__init__(recipients, model, window)
        self._layers = layers

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Selection | None:
        if not self._places or layer.layer not in self._layers:
            return None
        index, weights = index.clone(), weights.clone()
        for place in self._places:
            donor, rows = place.donor.selections[layer.layer], place.rows.to(index.device)
            index[rows] = donor.index[place.positions].to(index)
            weights[rows] = donor.weights[place.positions].to(weights)
        return Selection(index, weights)


class _PatchOutput(_Patch):
    def __init__(
        self,
        recipients: dict[tuple[int, ...], RecordedSequence],
        model: LoadedModel,
        window: Window,
        experts: Collection[ExpertId],
    ) -> None:
        super().__init__(recipients, model, window)
        self._experts = experts

    def on_output(self, layer: MoeLayer, call: ExpertsCall, output: Tensor) -> Tensor | None:
        here = [expert for expert in self._experts if expert.layer == layer.layer]
        if not here or not self._places:
            return None
        changed = output.clone()
        for expert in here:
            own = dense(call, expert.expert, output)
            for place in self._places:
                rows = place.rows.to(output.device)
                # a difference, so that an expert that did the same in both runs changes not one bit
                changed[rows] += place.donor.outputs[expert][place.positions].to(output) - own[rows]
        return changed


def _place(offset: int, first: int, width: int, donor: RecordedSequence, length: int) -> _Place | None:
    """Positions count from the end of the prompt: −1 is the boundary token, 0 the answer's first."""
    start = max(first, -length, -len(donor.tokens))
    stop = min(first + width, donor.decoded)
    if start >= stop:
        return None
    rows = torch.arange(offset + start - first, offset + stop - first)
    return _Place(rows, donor, slice(start + len(donor.tokens), stop + len(donor.tokens)))


def _recipients(
    model: LoadedModel, donor: RecordedRun, prompts: Sequence[Prompt], align: Alignment
) -> dict[tuple[int, ...], RecordedSequence]:
    """A recipient is recognised by its tokens: passes come in batches whose order only their maker knows."""
    if align not in get_args(Alignment):
        raise InputError(f"unknown alignment '{align}': expected one of {', '.join(get_args(Alignment))}")
    if len(donor.sequences) != len(prompts):
        raise InputError(f"the donor run has {len(donor.sequences)} prompts for {len(prompts)}: expected one for each")
    found: dict[tuple[int, ...], RecordedSequence] = {}
    for one, prompt, sequence in zip(encode(model, prompts), prompts, donor.sequences, strict=True):
        if align == "same" and len(one.tokens) != len(sequence.tokens):
            raise InputError(
                f"prompt '{prompt.id}' has {len(one.tokens)} tokens and its donor {len(sequence.tokens)}: pair prompts "
                "of one length, or align them at the end"
            )
        key = _without_padding(one.tokens, model.tokenizer.pad_token_id)
        if key in found:
            raise InputError(f"prompt '{prompt.id}' has the same tokens as one before it: patch them one at a time")
        found[key] = sequence
    return found


def _without_padding(tokens: Sequence[int], pad: int | None) -> tuple[int, ...]:
    start = next((i for i, token in enumerate(tokens) if token != pad), len(tokens))
    return tuple(tokens[start:])


def _list(layers: Collection[int]) -> str:
    return ", ".join(map(str, sorted(layers)))
