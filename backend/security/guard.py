"""Checks who asks and says what a browser may do with the answer.

Pure ASGI, because HTTP middleware of the frameworks never sees WebSockets, and the pages' callbacks can use those.

- Host: on loopback only loopback names are answered; otherwise a foreign page could point its own name at this machine
  (DNS rebinding) and read everything as if it were ours.
- Origin: a page of another origin may not change anything nor open a WebSocket. Programs send no Origin and are free to
  use HTTP; a browser always sends one with a WebSocket, so there it is required.
- Headers: a content security policy that allows nothing from elsewhere, and its companions.
"""

import ipaddress
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.envelope import envelope
from backend.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
Hashes = Callable[[], Sequence[str]]


class Guard:
    """`script_hashes` gives the CSP hashes of the pages' inline scripts, asked anew for each answer because the pages
    are attached after the guard is in place."""

    def __init__(self, app: ASGIApp, settings: Settings, script_hashes: Hashes) -> None:
        self._app = app
        self._script_hashes = script_hashes
        public = [settings.public_url] if settings.public_url else []
        self._origins = frozenset(origin.rstrip("/").lower() for origin in [*settings.allowed_origins, *public])
        hosts = [*settings.allowed_hosts, *(urlsplit(one).hostname or "" for one in public)]
        self._names = frozenset(name.lower() for name in hosts)
        self._on_loopback = settings.on_loopback
        self._public_https = (settings.public_url or "").startswith("https://")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
            return
        guarded = self._with_headers(scope, send)
        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            status, message = refusal
            await envelope(status, message)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason when the request must not reach the application."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._host_allowed(host):
            return 400, f"Host '{host}' is not a name of this server: use its own address, or add it to allowed_hosts"
        websocket = scope["type"] == "websocket"
        if not websocket and scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin is None:
            return (403, "a WebSocket needs an Origin header") if websocket else None
        if not self._origin_allowed(origin, host):
            return 403, f"Origin '{origin}' is not this server: open the page at the server's own address"
        return None

    def _host_allowed(self, host: str) -> bool:
        name = _split(f"//{host}")[0]
        if name is None:
            return False
        if name in self._names:
            return True
        return _is_loopback(name) if self._on_loopback else not self._names

    def _origin_allowed(self, origin: str, host: str) -> bool:
        if origin.lower() in self._origins:
            return True
        scheme = urlsplit(origin).scheme
        return scheme in ("http", "https") and _split(origin) == _split(f"{scheme}://{host}")

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        secure = self._public_https or scope.get("scheme") == "https"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if secure:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
                for name, value in _FIXED_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", content_security_policy(self._script_hashes()))
                if scope["path"].startswith("/api/v"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return guarded


def content_security_policy(script_hashes: Sequence[str]) -> str:
    """Everything from this server only; inline styles (the components write them) but no inline script beside the
    hashed ones."""
    scripts = " ".join(["'self'", *script_hashes])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def _split(url: str) -> tuple[str | None, int | None]:
    """Lower-case host name and port, the scheme's own port where none is named; (None, None) for nonsense."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None, None


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
