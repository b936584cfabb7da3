"""The one place that hooks a model: between the routers' choice and the experts' work.

A hook before the experts work sees the selection and the weights that are really applied and may replace the weights;
hooks on each router see what it is handed and what it scores, and may take experts out of the choice. Which modules
those are is the adapter's affair. Tracing, masking and attribution are listeners here; nothing else in ExpertScope
registers a hook. The seam knows nothing of prompts or counts.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from analysis.models.adapters import MoeLayer
from analysis.models.architectures import find_moe_layers

Phase = Literal["prompt", "decode"]


class SeamListener:
    """What may stand at the seam. Each method's default does nothing.

    Tokens are flattened: `index`, `weights` and `choice` are [tokens, top_k], `logits` is [tokens, experts], sequence-
    major.
    """

    def on_forward(self, phase: Phase, input_ids: Tensor) -> None:
        """A forward pass of the whole model begins; `input_ids` is [batch, tokens of this pass]."""

    def on_router_input(self, layer: MoeLayer, states: Tensor) -> None:
        """The router of `layer` is about to score `states`, [tokens, hidden]."""

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
            if "excluded" in overridden:
                exclusion = _ExclusionHook(self, layer)
                yield layer.router.register_forward_pre_hook(exclusion.enter)
                yield layer.router.register_forward_hook(exclusion.leave, always_call=True)
            if "on_router_input" in overridden:
                yield layer.router.register_forward_pre_hook(partial(self._routing, layer), with_kwargs=True)
            if "on_router" in overridden:
                yield layer.router.register_forward_hook(partial(self._routed, layer))
            yield from layer.adapter.watch(layer, partial(self._selected, layer))

    def _begin(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        input_ids: Tensor = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        cache = kwargs.get("past_key_values")
        self.phase = "decode" if cache is not None and cache.get_seq_length() > 0 else "prompt"
        for listener in self.listeners:
            listener.on_forward(self.phase, input_ids)

    def _routing(self, layer: MoeLayer, _router: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = layer.adapter.router_input(layer, args, kwargs)
        for listener in self.listeners:
            listener.on_router_input(layer, states)

    def _routed(self, layer: MoeLayer, _router: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        logits, choice = layer.adapter.logits(layer, output), layer.adapter.choice(layer, output)
        for listener in self.listeners:
            listener.on_router(layer, logits, choice)

    def _selected(self, layer: MoeLayer, index: Tensor, weights: Tensor) -> Tensor | None:
        changed = weights
        for listener in self.listeners:
            replacement = listener.on_selection(layer, index, changed)
            changed = changed if replacement is None else replacement
        return None if changed is weights else changed


class _ExclusionHook:
    """Makes what the listeners exclude unselectable around one router call."""

    def __init__(self, seam: Seam, layer: MoeLayer) -> None:
        self.seam, self.layer = seam, layer
        self._open = ExitStack()

    def enter(self, _router: nn.Module, _args: tuple[Any, ...]) -> None:
        for listener in self.seam.listeners:
            excluded = listener.excluded(self.layer, self.seam.phase)
            if excluded is not None:
                self._open.enter_context(self.layer.adapter.without(self.layer, excluded))

    def leave(self, _router: nn.Module, _args: tuple[Any, ...], _output: Any) -> None:
        self._open.close()
