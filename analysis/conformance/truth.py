"""What a model's routers really chose, without the seam: the other side of every comparison.

Two sources that share no code with tracing. *Returned*: plain hooks read the ids in what each router returns, by the
way its own source file forms them, and are counted on the host. *Worked*: an expert worked on a token exactly when
the layer's output for that token changes once the expert's weights are zero.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from analysis.models import MoeLayer
from analysis.models.adapters import Adapter

Ids = npt.NDArray[np.int64]
_BLOCK_CHOICE = "route_tokens_to_experts"
Reader = Callable[[nn.Module, Any], Ids]


def returned_ids(_router: nn.Module, output: Any) -> Ids:
    """The integer tensor among what a router returns."""
    tensors = output if isinstance(output, tuple) else (output,)
    found = [t for t in tensors if isinstance(t, Tensor) and not t.is_floating_point()]
    if len(found) != 1:
        raise LookupError(f"the router returned {len(found)} integer tensors: expected one")
    return found[0].reshape(-1, found[0].shape[-1]).cpu().numpy()


def _jetmoe(router: nn.Module, output: Any) -> Ids:
    """Tokens are listed expert by expert; `sizes` says how many each expert has."""
    tokens, sizes = output[1].cpu().numpy(), output[3]
    chosen: list[list[int]] = [[] for _ in range(len(output[4]))]
    for token, expert in zip(tokens, (e for e, size in enumerate(sizes) for _ in range(size)), strict=True):
        chosen[int(token)].append(expert)
    return np.array(chosen, dtype=np.int64)


def _llama4(router: nn.Module, output: Any) -> Ids:
    """An expert is chosen where its score is not the sigmoid of −∞."""
    return np.stack([np.flatnonzero(row) for row in output[0].float().cpu().numpy()])


def _zaya(router: nn.Module, output: Any) -> Ids:
    """A skip is returned as expert 0 with weight 0; it is the class after the last expert."""
    weights, ids = (output[i].float().cpu().numpy() for i in (1, 2))
    return np.where(weights == 0, len(router.balancing_biases) - 1, ids).astype(np.int64)  # type: ignore[arg-type]


def _zaya_ranking(router: nn.Module, output: Any) -> Ids:
    """Softmax plus the balancing bias."""
    logits = output[0].float().cpu().numpy().astype(np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    scores = odds / odds.sum(1, keepdims=True) + router.balancing_biases.cpu().numpy()  # type: ignore[operator]
    return np.argsort(-scores, axis=1, kind="stable")


def _phimoe_ranking(_router: nn.Module, output: Any) -> Ids:
    """The largest logit, then the largest of the rest."""
    return np.argsort(-output[0].float().cpu().numpy(), axis=1, kind="stable")


# Routers that cannot be asked for one choice more: all experts, best first, from the logits they return.
RANKINGS: dict[str, Reader] = {"zaya": _zaya_ranking, "phimoe": _phimoe_ranking}
READERS: dict[str, Reader] = {"JetMoe": _jetmoe, "Llama4": _llama4, "Zaya": _zaya}


def reader_for(adapter: Adapter) -> Reader:
    return READERS.get(type(adapter).__name__, returned_ids)


class Choices:
    """The ids of every router call, in order, as [tokens, k] for each layer; `attach` listens."""

    def __init__(self, layers: Sequence[MoeLayer]) -> None:
        self._layers = layers
        self.calls: list[list[Ids]] = [[] for _ in layers]

    @contextmanager
    def attach(self) -> Iterator["Choices"]:
        with ExitStack() as stack:
            for layer, calls in zip(self._layers, self.calls, strict=True):
                stack.callback(_listen(layer, calls))
            yield self


def _listen(layer: MoeLayer, calls: list[Ids]) -> Callable[[], None]:
    """Returns what takes the hook away."""
    reader = reader_for(layer.adapter)
    choose = getattr(layer.block, _BLOCK_CHOICE, None)
    if choose is not None:  # the block selects, its router only scores
        setattr(layer.block, _BLOCK_CHOICE, _Overheard(choose, calls))
        return lambda: delattr(layer.block, _BLOCK_CHOICE)
    handle = layer.router.register_forward_hook(lambda router, _args, output: calls.append(reader(router, output)))
    return handle.remove


class _Overheard:
    def __init__(self, choose: Callable[..., Any], calls: list[Ids]) -> None:
        self._choose, self._calls = choose, calls

    def __call__(self, *args: Any) -> Any:
        output = self._choose(*args)
        self._calls.append(returned_ids(nn.Identity(), output))
        return output


def worked(run: Callable[[], object], layer: MoeLayer) -> tuple[npt.NDArray[np.bool_], list[int]]:
    """[tokens, experts]: whose work a forward's output of this layer contains; and the experts that have weights."""
    base = output_of(run, layer)
    table = np.zeros((len(base), layer.experts), dtype=bool)
    able = [expert for expert in range(layer.experts) if layer.adapter.expert_weights(layer, expert)]
    for expert in able:
        with silenced(layer, expert):
            table[:, expert] = (output_of(run, layer) != base).any(-1).cpu().numpy()
    return table, able


def output_of(run: Callable[[], object], layer: MoeLayer) -> Tensor:
    """[tokens, width]: the routed experts' work of one forward."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        work = output[0] if isinstance(output, tuple) else output
        kept.append(work.detach().reshape(-1, work.shape[-1]).clone())

    handle = layer.experts_module.register_forward_hook(keep)
    try:
        run()
    finally:
        handle.remove()
    return torch.cat(kept)


@contextmanager
def silenced(layer: MoeLayer, expert: int) -> Iterator[None]:
    """The expert's own weights are zero, so it works and returns nothing."""
    views = [view.data for view in layer.adapter.expert_weights(layer, expert)]
    kept = [view.clone() for view in views]
    try:
        for view in views:
            view.zero_()
        yield
    finally:
        for view, values in zip(views, kept, strict=True):
            view.copy_(values)
