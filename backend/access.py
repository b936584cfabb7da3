"""Who acts, and what that needs. The one place where a role is held against what somebody is about to do.

The server's middleware says who acts for the time of a request (`acting_as`), and asks `route_needs` before the request
reaches anything. Services ask `require` before they change or show something that not everybody may, because pages
reach them by other ways than the API's addresses. Where nobody was named, in the worker and on the command line, it is
whoever may run programs on the data folder, and nothing is refused.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from analysis.errors import ForbiddenError


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


Kind = Literal["process", "local", "session", "token"]


@dataclass(frozen=True)
class Principal:
    """Who acts: `name` as the audit log writes it, `address` from where, `user_id` and `session_id` where there is an
    account behind it. `kind` "local" is whoever uses a server without accounts on its own machine."""

    name: str
    role: Role
    kind: Kind
    address: str = ""
    user_id: str | None = None
    session_id: str | None = None


PROCESS = Principal("system", Role.ADMIN, "process")
LOCAL = "local"
_current: ContextVar[Principal] = ContextVar("principal", default=PROCESS)

NEEDS: Mapping[str, Role] = {
    "adapters.inspect": Role.ANALYST,
    "audit_log.read": Role.ADMIN,
    "judges.label": Role.ANALYST,
    "models.inspect": Role.ANALYST,
    "models.register": Role.ANALYST,
    "playground.ask": Role.ANALYST,
    "playground.remove": Role.ANALYST,
    "prompt_sets.write": Role.ANALYST,
    "runs.write": Role.ANALYST,
    "status.read": Role.ADMIN,
    "tokens.own": Role.VIEWER,
    "tuning.stress": Role.ANALYST,
    "users.manage": Role.ADMIN,
}
"""What each action of a service needs at least."""

PUBLIC: tuple[tuple[str, str], ...] = (
    ("GET", r"/healthz|/readyz"),
    ("GET", r"/sign-in(/oidc(/callback)?)?|/set-up"),
    ("POST", r"/sign-in|/set-up|/sign-out"),
    ("GET", r"/ui/assets/.+|/ui/_dash-component-suites/.+|/ui/_favicon\.ico"),
)
"""What is answered to anybody: health, the way in and out, and static files."""

_ROUTES: tuple[tuple[str, str, Role], ...] = (
    ("*", r"/api/v1/(audit-log|users)(/.*|\.csv)?", Role.ADMIN),
    ("GET", r"/api/v1/status", Role.ADMIN),
    ("*", r"/api/v1/(me|tokens)(/.*)?", Role.VIEWER),
    ("POST", r"/api/v1/runs/estimate", Role.VIEWER),
    ("POST", r"/ui/_dash-update-component", Role.VIEWER),
)
"""Exceptions to the rule that reading needs a viewer and anything else an analyst; the first that fits decides."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def current() -> Principal:
    """Who acts in this thread or task."""
    return _current.get()


@contextmanager
def acting_as(principal: Principal) -> Iterator[None]:
    token = _current.set(principal)
    try:
        yield
    finally:
        _current.reset(token)


def require(action: str) -> Principal:
    """Who acts, if their role covers the action. Raises ForbiddenError that names both otherwise."""
    principal, needed = current(), NEEDS[action]
    if not principal.role.covers(needed):
        raise ForbiddenError(refusal(principal, needed))
    return principal


def may(action: str) -> bool:
    """Whether `require` would let whoever acts do this; for pages, which offer nobody what would be refused."""
    return current().role.covers(NEEDS[action])


def refusal(principal: Principal, needed: Role) -> str:
    return f"this needs the role {needed}, and {principal.name} has the role {principal.role}: ask an admin"


def is_public(method: str, path: str) -> bool:
    """Whether a request is answered to somebody who has not signed in."""
    method = "GET" if method == "HEAD" else method
    return any(method == one and re.fullmatch(pattern, path) for one, pattern in PUBLIC)


def route_needs(method: str, path: str) -> Role:
    """The least role for a request that is not public."""
    for one, pattern, role in _ROUTES:
        if one in ("*", method) and re.fullmatch(pattern, path):
            return role
    return Role.VIEWER if method in _READS else Role.ANALYST
