"""Refuses request bodies that are too large, counting what really arrives rather than what was announced.

Starlette has a middleware for this, but it answers in plain text and drops the connection while the client is still
sending, which many clients report as a broken pipe instead of the 413. This one reads on for a while, keeps nothing,
and then answers with the envelope.
"""

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.envelope import envelope

DRAIN_FACTOR = 8


class BodyLimit:
    """Pure ASGI. `limits` are pairs of a path's pattern and the most bytes that it takes; `other` is for every other
    path."""

    def __init__(self, app: ASGIApp, limits: Sequence[tuple[str, int]], other: int) -> None:
        self._app = app
        self._limits = [(re.compile(pattern), limit) for pattern, limit in limits]
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((most for pattern, most in self._limits if pattern.fullmatch(scope["path"])), self._other)
        request = _Request(scope, receive, send, limit)
        if request.announced > limit:
            await request.refuse()
            return
        try:
            await self._app(scope, request.receive, request.send)
        except _TooLargeError:
            if not request.refused:
                raise


class _TooLargeError(Exception):
    """Unwinds the application once its request has been answered with 413."""


class _Request:
    """One request whose body is counted."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limit = limit
        self._read = 0
        self._started = False
        self.refused = False
        self.announced = _announced(scope)

    async def receive(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            if not self._started:
                await self.refuse(more=message.get("more_body", False))
            raise _TooLargeError
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application says, unless it is an answer to a request that was refused already."""
        if self.refused:
            return
        self._started = True
        await self._send(message)

    async def refuse(self, *, more: bool = True) -> None:
        self.refused = True
        await self._drain(more=more)
        answer = envelope(
            413,
            f"the request has more than {self._limit:,} bytes, the most this server takes: send less at a time",
            headers={"Connection": "close"},
        )
        await answer(self._scope, self._receive, self._send)

    async def _drain(self, *, more: bool) -> None:
        """Read what the client still sends, within reason, so that it gets to reading the answer.

        A client that waits to be asked for its body (Expect: 100-continue) is not asked.
        """
        more = more and not (self._read == 0 and b"expect" in dict(self._scope["headers"]))
        while more and self._read <= self._limit * DRAIN_FACTOR:
            message = await self._receive()
            self._read += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)


def _announced(scope: Scope) -> int:
    """The Content-Length, 0 where there is none that can be read; the count decides in any case."""
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0
