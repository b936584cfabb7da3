"""Hands a router's scores to listeners for the length of one router call, before its own rule makes a choice of them.

The seam opens it around a router when a listener replaces scores or rankings; `Exclusion` is the simpler form that
only takes experts out.
"""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

PRODUCTS = (torch.nn.functional.linear, torch.mm)
CHOICES = (torch.topk, Tensor.topk)
Rescore = Callable[[Tensor], Tensor | None]


class Rescoring:
    """A context manager around one call of `router`.

    `scores` is given the logits [tokens, experts] as the router computes them and may return others. `ranking` is given
    what the router takes its top k of, biases and group limits included, and may return another order to take them by;
    the values that become weights stay the router's own. `seen` tells afterwards whether logits were met. `scorer` is
    the layer inside the router that computes the logits, where it has several; of more rows than experts (shared ones)
    the experts' come first.
    """

    def __init__(
        self, router: nn.Module, experts: int, scores: Rescore, ranking: Rescore, *, scorer: nn.Module | None = None
    ) -> None:
        weight = getattr(scorer or router, "weight", None)
        rows = int(weight.shape[0]) if isinstance(weight, Tensor) else experts
        self._mode = _Rescored(experts, max(rows, experts), scores, ranking, None if scorer is None else scorer.weight)
        self._open = ExitStack()

    @property
    def seen(self) -> bool:
        return self._mode.seen

    def __enter__(self) -> "Rescoring":
        self._open.enter_context(self._mode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


class _Rescored(TorchFunctionMode):
    def __init__(self, experts: int, rows: int, scores: Rescore, ranking: Rescore, weight: Any) -> None:
        super().__init__()
        self.seen = False
        self._experts, self._rows, self._weight = experts, rows, weight
        self._scores, self._ranking = scores, ranking

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in CHOICES and args[0].shape[-1] == self._experts:
            return self._choose(func, args, kwargs)
        output = func(*args, **kwargs)
        return self._rescored(output) if func in PRODUCTS and self._computes_logits(args, output) else output

    def _computes_logits(self, args: tuple[Any, ...], output: Tensor) -> bool:
        return (self._weight is None or args[1] is self._weight) and output.shape[-1] in (self._rows, self._experts)

    def _rescored(self, output: Tensor) -> Tensor:
        self.seen = True
        own = output[..., : self._experts]
        changed = self._scores(own.reshape(-1, self._experts))
        if changed is None:
            return output
        changed = changed.to(output.dtype).view(own.shape)
        return torch.cat([changed, output[..., self._experts :]], dim=-1) if own.shape != output.shape else changed

    def _choose(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scores: Tensor = args[0]
        order = self._ranking(scores.reshape(-1, self._experts))
        if order is None:
            return func(*args, **kwargs)
        indices = func(order.view(scores.shape), *args[1:], **kwargs).indices
        return torch.return_types.topk((scores.gather(-1, indices), indices))
