"""The one way to register a callback, which keeps slow work off the event loop.

Dash runs a synchronous callback inline on the server's event loop, where one slow page would stop the whole API.
Every callback therefore goes through `Binder.on`, which moves its body to a thread.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from dash import ClientsideFunction, Dash

from backend.services import Services

P = ParamSpec("P")
R = TypeVar("R")
Function = TypeVar("Function", bound=Callable[..., Any])


def threaded(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """`function` as a coroutine function that runs it in a thread, with the caller's context variables."""

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(function, *args, **kwargs)

    return run


class Binder:
    """Ties the functions of one page to one Dash application and to the services behind it."""

    def __init__(self, dash: Dash, services: Services) -> None:
        self._dash: Any = dash  # whose methods are not all typed
        self.services = services

    def on(self, *dependencies: Any, **options: Any) -> Callable[[Function], Function]:
        """Register a synchronous function as an asynchronous callback; the function itself stays callable."""

        def bind(function: Function) -> Function:
            self._dash.callback(*dependencies, **options)(threaded(function))
            return function

        return bind

    def in_browser(self, name: str, *dependencies: Any, **options: Any) -> None:
        """Register the function `name` of static/js/pages.js as a callback that never reaches the server."""
        self._dash.clientside_callback(ClientsideFunction("expertscope", name), *dependencies, **options)
