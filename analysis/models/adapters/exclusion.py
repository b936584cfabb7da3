"""Makes experts unselectable for the length of one router call, whatever rule the router applies.

The logits become −∞ where the router computes them, so that normalisation happens among the others; and the scores
where it takes its top k, because a bias that is added after scoring would bring the expert back.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_PRODUCTS = (torch.nn.functional.linear, torch.mm)
_CHOICES = (torch.topk, Tensor.topk)


class Exclusion:
    """A context manager around one call of `router`. `excluded` is a boolean [experts].

    `scorer` is the layer inside the router that computes the logits, where it has several; a router that scores more
    rows than experts (shared ones) has the experts first. Without `rescore` only the top k is changed, and the
    probabilities of the others stay what they were.
    """

    def __init__(
        self, router: nn.Module, excluded: Tensor, *, scorer: nn.Module | None = None, rescore: bool = True
    ) -> None:
        self._router, self._excluded, self._scorer, self._rescore = router, excluded, scorer, rescore
        self._open = ExitStack()

    def __enter__(self) -> None:
        rows = _score_rows(self._scorer or self._router, self._excluded)
        padded = torch.nn.functional.pad(self._excluded, (0, rows - len(self._excluded)))
        self._open.enter_context(_WithoutExperts(padded, len(self._excluded), self._scorer, self._rescore))
        self._exclude_by_bias()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _exclude_by_bias(self) -> None:
        """Group limits add up biased scores before they choose, so the bias itself has to be −∞ there."""
        bias = getattr(self._router, "e_score_correction_bias", None)
        if isinstance(bias, Tensor) and len(bias) >= len(self._excluded):
            kept = bias.data
            padded = torch.nn.functional.pad(self._excluded, (0, len(bias) - len(self._excluded)))
            bias.data = kept.masked_fill(padded, float("-inf"))
            self._open.callback(setattr, bias, "data", kept)


def _score_rows(scorer: nn.Module, excluded: Tensor) -> int:
    weight = getattr(scorer, "weight", None)
    return max(int(weight.shape[0]), len(excluded)) if isinstance(weight, Tensor) else len(excluded)


class _WithoutExperts(TorchFunctionMode):
    def __init__(self, padded: Tensor, experts: int, scorer: nn.Module | None, rescore: bool) -> None:
        super().__init__()
        self._rescore = rescore
        self._padded, self._excluded = padded, padded[:experts]
        self._weight = None if scorer is None else scorer.weight

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _CHOICES:
            args = (self._fill(args[0]), *args[1:])
        output = func(*args, **(kwargs or {}))
        return self._fill(output) if self._rescore and func in _PRODUCTS and self._scores(args) else output

    def _scores(self, args: tuple[Any, ...]) -> bool:
        return self._weight is None or args[1] is self._weight

    def _fill(self, scores: Tensor) -> Tensor:
        for table in (self._padded, self._excluded):
            if scores.shape[-1] == len(table):
                return scores.masked_fill(table, float("-inf"))
        return scores
