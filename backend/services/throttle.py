"""Slows down whoever guesses: a moving window of failed attempts for each name and each address, in memory."""

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from analysis.errors import TooManyRequestsError

WINDOW_MINUTES = 5


class Throttle:
    """Failed attempts in five minutes: at most `attempts` at one name from one address, four times as many from one
    address, and ten times as many at one name from everywhere, so that nobody is locked out by a stranger's few tries.
    Safe to share between threads."""

    def __init__(self, attempts: int) -> None:
        self._limits = [RateLimitItemPerMinute(attempts * times, WINDOW_MINUTES) for times in (1, 4, 10)]
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, name: str, address: str) -> None:
        """Raises TooManyRequestsError, which says for how long, once there were too many."""
        for limit, key in zip(self._limits, _keys(name, address), strict=True):
            if not self._limiter.test(limit, key):
                reset = self._limiter.get_window_stats(limit, key).reset_time
                wait = max(1, round(reset - time.time()))
                raise TooManyRequestsError(f"too many attempts: try again in {wait} s", retry_after=wait)

    def count(self, name: str, address: str) -> None:
        """One failure more."""
        for limit, key in zip(self._limits, _keys(name, address), strict=True):
            self._limiter.hit(limit, key)

    def forget(self, name: str, address: str) -> None:
        """Whoever came in from there is no guesser."""
        self._limiter.clear(self._limits[0], _keys(name, address)[0])


def _keys(name: str, address: str) -> tuple[str, str, str]:
    return f"pair {name} {address}", f"address {address}", f"name {name}"
