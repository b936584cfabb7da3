"""Is what a trace counted what the model did?"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from analysis.conformance.mismatch import Mismatch
from analysis.conformance.subject import END, Subject, forward
from analysis.conformance.truth import Choices, worked
from analysis.models import MoeLayer, SeamListener
from analysis.routing.encoding import Batch, batches, encode
from analysis.routing.recorder import BOUNDARY, PROMPT, RESPONSE, probabilities
from analysis.routing.trace import CaptureSettings, capture, generate

_SETTINGS = CaptureSettings(max_new_tokens=5, batch_tokens=30)
# A weight is the score of its expert over the sum of the chosen ones' scores, except where a paper's rule is no score.
_WEIGHTS_ARE_NO_SCORES = {"phimoe"}


@dataclass(frozen=True)
class Figures:
    """Expected is the truth, seen is the trace."""

    layers_expected: int
    layers_seen: int
    assignments_expected: int
    assignments_seen: int


def check_trace(one: Subject, expert_classes: Collection[str]) -> Figures:
    """Compare the counts of every prompt, window, layer and expert. Raises Mismatch and CaptureError."""
    expected = _expected(one)
    ran = _layers_that_ran(one, expert_classes)
    trace = capture(one.loaded, one.prompts, _SETTINGS)
    seen = trace.selections.astype(np.int64)
    if len(trace.layers) != len(ran) or set(trace.layers) != ran:
        raise Mismatch(f"experts ran in layers {sorted(ran)}, the trace has layers {list(trace.layers)}")
    if not np.array_equal(seen, expected):
        raise Mismatch(f"{int((seen != expected).sum())} of {seen.size} counts differ from what the routers chose")
    return Figures(len(ran), len(trace.layers), _assignments(expected), _assignments(seen))


def _assignments(counts: npt.NDArray[np.int64]) -> int:
    return int(counts[:, [PROMPT, RESPONSE]].sum())


def _expected(one: Subject) -> npt.NDArray[np.int64]:
    """Counts [prompts, windows, layers, experts] from what the routers chose, in the batches a capture makes."""
    layers = one.loaded.seam.layers
    experts = max(layer.experts for layer in layers)
    counts = np.zeros((len(one.prompts.prompts), 3, len(layers), experts), dtype=np.int64)
    for batch in batches(one.loaded, encode(one.loaded, one.prompts.prompts), batch_tokens=_SETTINGS.batch_tokens):
        with Choices(layers).attach() as choices, torch.inference_mode():
            answers = generate(one.loaded, batch, _SETTINGS.max_new_tokens)
        for position, calls in enumerate(choices.calls):
            _count(counts[:, :, position], batch, calls, answers)
    return counts


def _count(counts: npt.NDArray[np.int64], batch: Batch, calls: list[npt.NDArray[np.int64]], answers: Tensor) -> None:
    """Add one layer's calls to `counts` [prompts, windows, experts], token by token."""
    mask, tokens = batch.attention_mask.tolist(), answers.tolist()
    prompt = calls[0].reshape(len(batch.rows), -1, calls[0].shape[-1])
    for i, row in enumerate(batch.rows):
        for token, ids in enumerate(prompt[i]):
            if mask[i][token]:
                np.add.at(counts[row, PROMPT], ids, 1)
        np.add.at(counts[row, BOUNDARY], prompt[i, -1], 1)
        for step, call in enumerate(calls[1:]):
            if END not in tokens[i][: step + 1]:
                np.add.at(counts[row, RESPONSE], call[i], 1)


def _layers_that_ran(one: Subject, expert_classes: Collection[str]) -> set[int]:
    """Decoder layers in which a module of one of these classes was called by a forward on text."""
    ran: set[int] = set()
    handles = [
        module.register_forward_hook(
            lambda *_args, path=path: ran.add(next(int(p) for p in path.split(".") if p.isdigit()))
        )
        for path, module in one.loaded.model.named_modules()
        if type(module).__name__ in expert_classes
    ]
    forward(one)()
    for handle in handles:
        handle.remove()
    return ran


class _Tokens(SeamListener):
    """What passed the seam in one forward, for each layer."""

    def __init__(self) -> None:
        self.index: dict[int, Tensor] = {}
        self.weights: dict[int, Tensor] = {}
        self.logits: dict[int, Tensor] = {}

    def on_router(self, layer: MoeLayer, logits: Tensor, choice: Tensor | None) -> None:
        self.logits[layer.position] = logits

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> None:
        self.index[layer.position], self.weights[layer.position] = index, weights


def observe(one: Subject, *listeners: SeamListener) -> _Tokens:
    """One forward of the batch with `listeners` at the seam."""
    tokens = _Tokens()
    with one.loaded.seam.attach(*listeners, tokens):
        forward(one)()
    return tokens


def check_work(one: Subject) -> None:
    """Which experts' work is in the output of each token, found by silencing experts. Raises Mismatch."""
    tokens = observe(one)
    for layer in one.loaded.seam.layers:
        table, able = worked(forward(one), layer)
        index = tokens.index[layer.position].reshape(-1, layer.top_k)
        seen = torch.nn.functional.one_hot(index.long(), layer.experts).sum(1).bool().cpu().numpy()
        if not np.array_equal(seen[:, able], table[:, able]):
            wrong = int((seen[:, able] != table[:, able]).sum())
            raise Mismatch(f"layer {layer.layer}: {wrong} selections differ from whose work is in the output")


def check_scores(one: Subject) -> None:
    """Among a token's chosen experts, probabilities relate as the weights the model applies. Raises Mismatch."""
    if one.loaded.description.family in _WEIGHTS_ARE_NO_SCORES or one.loaded.description.top_k == 1:
        return
    tokens = observe(one)
    for layer in one.loaded.seam.layers:
        index, weights = (t[layer.position].reshape(-1, layer.top_k) for t in (tokens.index, tokens.weights))
        chosen = probabilities(layer, tokens.logits[layer.position]).gather(1, index.long())
        difference = _shares(chosen) - _shares(weights.float())
        if not bool((difference.abs() < 1e-3).all()):
            raise Mismatch(f"layer {layer.layer}: probabilities are off by {float(difference.abs().max()):.3f}")


def _shares(values: Tensor) -> Tensor:
    return values / values.sum(-1, keepdim=True)
