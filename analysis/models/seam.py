"""The one place that hooks a model: between the routers' choice and the experts' work.

A pre-forward hook on each experts module sees the selection and the weights that are really applied and may replace
the weights; a hook on each router sees its logits and may take experts out of the choice. Tracing, masking and
attribution are listeners here; nothing else in ExpertScope registers a hook. The seam knows nothing of prompts or
counts.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from analysis.models.architectures import MoeLayer, find_moe_layers

Phase = Literal["prompt", "decode"]


class SeamListener:
    """What may stand at the seam. Each method's default does nothing.

    Tokens are flattened: `index`, `weights` and `choice` are [tokens, top_k], `logits` is [tokens, experts], sequence-
    major.
    """

    def on_forward(self, phase: Phase, input_ids: Tensor) -> None:
        """A forward pass of the whole model begins; `input_ids` is [batch, tokens of this pass]."""

    def on_router(self, layer: MoeLayer, logits: Tensor, choice: Tensor | None) -> None:
        """The router of `layer` has scored its tokens; `choice` is the selection it returned, where it returns one."""

    def on_selection(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor | None:
        """The experts are about to work. Returns the weights to use instead, or None to leave them."""
        return None

    def excluded(self, layer: MoeLayer, phase: Phase) -> Tensor | None:
        """Boolean [experts] of those the router may not choose in this pass, or None."""
        return None


class Seam:
    """The hooks of one model, in layer order. Listeners are attached for the length of a `with` block."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.layers = find_moe_layers(model)
        self.phase: Phase = "prompt"
        self.listeners: list[SeamListener] = []

    @contextmanager
    def attach(self, *listeners: SeamListener) -> Iterator[None]:
        """Listen during the block. Later listeners see the weights that earlier ones set. Not re-entrant."""
        if self.listeners:
            raise RuntimeError("the seam is already in use; pass all listeners to one attach()")
        with ExitStack() as stack:
            self.listeners = list(listeners)
            stack.callback(self.listeners.clear)
            for handle in self._register(listeners):
                stack.callback(handle.remove)
            yield

    def _register(self, listeners: Sequence[SeamListener]) -> Iterator[Any]:
        overridden = {
            name
            for one in listeners
            for name in vars(SeamListener)
            if getattr(type(one), name, None) is not getattr(SeamListener, name)
        }
        yield self.model.register_forward_pre_hook(self._begin, with_kwargs=True)
        for layer in self.layers:
            yield layer.experts_module.register_forward_pre_hook(_SelectionHook(self, layer), with_kwargs=True)
            if "on_router" in overridden:
                yield layer.router.register_forward_hook(_RouterHook(self, layer))
            if "excluded" in overridden:
                exclusion = _ExclusionHook(self, layer)
                yield layer.router.register_forward_pre_hook(exclusion.enter)
                yield layer.router.register_forward_hook(exclusion.leave, always_call=True)

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        input_ids: Tensor = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        cache = kwargs.get("past_key_values")
        self.phase = "decode" if cache is not None and cache.get_seq_length() > 0 else "prompt"
        for listener in self.listeners:
            listener.on_forward(self.phase, input_ids)


class _SelectionHook:
    def __init__(self, seam: Seam, layer: MoeLayer) -> None:
        self.seam, self.layer = seam, layer

    def __call__(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        layer = self.layer
        index: Tensor = kwargs[layer.index_argument] if layer.index_argument in kwargs else args[1]
        weights: Tensor = kwargs[layer.weights_argument] if layer.weights_argument in kwargs else args[2]
        changed = False
        for listener in self.seam.listeners:
            replacement = listener.on_selection(layer, index, weights)
            if replacement is not None:
                weights, changed = replacement, True
        if not changed:
            return None
        if layer.weights_argument in kwargs:
            return args, {**kwargs, layer.weights_argument: weights}
        return (*args[:2], weights, *args[3:]), kwargs


class _RouterHook:
    def __init__(self, seam: Seam, layer: MoeLayer) -> None:
        self.seam, self.layer = seam, layer

    def __call__(self, _module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        logits, choice = (output[0], output[2]) if isinstance(output, tuple) and len(output) > 2 else (output, None)
        for listener in self.seam.listeners:
            listener.on_router(self.layer, logits.reshape(-1, self.layer.experts), choice)


class _WithoutExperts(TorchFunctionMode):
    """Inside a router's forward, sets the logits of excluded experts to −∞ before the router applies its own rule."""

    def __init__(self, router: nn.Module, excluded: Tensor) -> None:
        super().__init__()
        self.weight, self.excluded = router.weight, excluded

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is torch.nn.functional.linear and output.shape[-1] == self.excluded.shape[0]:
            return output.masked_fill(self.excluded, float("-inf"))
        return output


class _ExclusionHook:
    """Enters `_WithoutExperts` around one router call.

    A sigmoid router adds a bias after scoring, so a logit of −∞ alone would still leave the expert a score equal to its
    bias; for the length of the call that bias is −∞ too.
    """

    def __init__(self, seam: Seam, layer: MoeLayer) -> None:
        self.seam, self.layer = seam, layer
        self._open = ExitStack()

    def enter(self, router: nn.Module, _args: tuple[Any, ...]) -> None:
        for listener in self.seam.listeners:
            excluded = listener.excluded(self.layer, self.seam.phase)
            if excluded is not None:
                self._open.enter_context(_WithoutExperts(router, excluded))
                self._exclude_by_bias(router, excluded)

    def leave(self, _router: nn.Module, _args: tuple[Any, ...], _output: Any) -> None:
        self._open.close()

    def _exclude_by_bias(self, router: nn.Module, excluded: Tensor) -> None:
        bias = getattr(router, "e_score_correction_bias", None)
        if isinstance(bias, Tensor):
            kept = bias.data
            bias.data = kept.masked_fill(excluded, float("-inf"))
            self._open.callback(setattr, bias, "data", kept)
