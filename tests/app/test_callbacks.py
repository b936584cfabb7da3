"""No callback may run on the event loop: one slow page would stop the API for everybody."""

import asyncio
import inspect
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dash import Dash

from app.callbacks import threaded

T = TypeVar("T")


def outside(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run in a thread of its own: where browser tests ran before, this thread has their event loop still."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_every_registered_callback_is_a_coroutine_function(dash: Dash) -> None:
    registered = {name: entry["callback"] for name, entry in dash.callback_map.items() if "callback" in entry}
    assert len(registered) >= 12
    assert [name for name, callback in registered.items() if not inspect.iscoroutinefunction(callback)] == []


def test_a_threaded_function_leaves_the_event_loop_free() -> None:
    @threaded
    def slow() -> int:
        time.sleep(0.2)
        return threading.get_ident()

    async def both() -> tuple[int, int]:
        ticks = 0
        task = asyncio.create_task(slow())
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.005)
        return ticks, await task

    ticks, thread = outside(both())
    assert ticks > 10
    assert thread != threading.get_ident()


def test_a_threaded_function_keeps_its_name_and_its_error() -> None:
    @threaded
    def broken() -> None:
        raise ValueError("so it is")

    async def outcome() -> str:
        try:
            await broken()
        except ValueError as error:
            return str(error)
        return "no error"

    assert broken.__name__ == "broken"
    assert outside(outcome()) == "so it is"
