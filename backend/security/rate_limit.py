"""Keeps one client from taking the server away from the others: a moving window of requests for each of them."""

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.envelope import envelope
from backend.settings import Settings


class RateLimit:
    """Pure ASGI. Counts by account, and by address for whoever has not signed in; `/healthz` is free."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limit = RateLimitItemPerMinute(settings.requests_per_minute) if settings.requests_per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._on = settings.accounts and self._limit is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._on or self._limit is None or scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        principal = scope["state"]["principal"]
        key = principal.user_id or f"address {principal.address}"
        if self._limiter.hit(self._limit, key):
            await self._app(scope, receive, send)
            return
        wait = max(1, round(self._limiter.get_window_stats(self._limit, key).reset_time - time.time()))
        answer = envelope(
            429,
            f"more than {self._limit.amount} requests in a minute: go on in {wait} s",
            headers={"Retry-After": str(wait)},
        )
        await answer(scope, receive, send)
