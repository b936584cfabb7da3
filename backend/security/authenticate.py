"""Finds out who asks, and turns away whoever may not.

Pure ASGI, for HTTP and WebSocket alike. A browser shows a signed cookie, a program `Authorization: Bearer …`. Whoever
shows nothing gets only what `backend.access.PUBLIC` names: over HTTP 401, which is the sign-in page itself where a
browser asked for a page, and a socket is closed before it is open. Without accounts everybody is the local admin; the
guard before this one has seen to it that they are on this machine.
"""

import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

import anyio.to_thread
from itsdangerous import BadSignature, Signer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.access import LOCAL, Principal, Role, acting_as, is_public, refusal, route_needs
from backend.envelope import envelope
from backend.settings import Settings

_SIGN_IN = "sign in at /sign-in, or send 'Authorization: Bearer …' with a token of yours"


class Identities(Protocol):
    """Where principals come from. Called in a thread."""

    def by_session(self, token: str, address: str) -> Principal | None: ...

    def by_api_token(self, secret: str, address: str) -> Principal | None: ...


class Cookies:
    """What a signed-in browser keeps: a random token with this server's signature."""

    def __init__(self, key: str, settings: Settings) -> None:
        self._signer = Signer(key, salt="expertscope.session")
        self._public_https = (settings.public_url or "").startswith("https://")

    def secure(self, scope: Scope) -> bool:
        """Whether the browser came by HTTPS, to this server or to the proxy before it."""
        return self._public_https or scope.get("scheme") in ("https", "wss")

    def name(self, scope: Scope) -> str:
        """With the prefix that browsers take only with Secure, Path=/ and no Domain, where it can be had."""
        return "__Host-expertscope" if self.secure(scope) else "expertscope"

    def read(self, scope: Scope) -> str | None:
        """The token, if the signature is ours."""
        jar = SimpleCookie()
        try:
            jar.load(Headers(scope=scope).get("cookie", ""))
        except CookieError:
            return None
        morsel = jar.get(self.name(scope))
        try:
            return self._signer.unsign(morsel.value).decode() if morsel else None
        except (BadSignature, UnicodeDecodeError):
            return None

    def sign(self, token: str) -> str:
        return self._signer.sign(token).decode()


class Authenticate:
    """`sign_in_page` makes the answer for a browser that has to sign in first."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        identities: Identities,
        cookies: Cookies,
        sign_in_page: Callable[[Scope], ASGIApp],
        refused: Callable[[str], None],
    ) -> None:
        self._app, self._settings = app, settings
        self._identities, self._cookies = identities, cookies
        self._sign_in_page, self._refused = sign_in_page, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        if not self._settings.accounts:
            await self._go_on(Principal(LOCAL, Role.ADMIN, "local", address), scope, receive, send)
            return
        websocket = scope["type"] == "websocket"
        method, path = "GET" if websocket else scope["method"], scope["path"]
        principal = await self._identify(scope, address)
        if is_public(method, path) and not websocket:
            await self._go_on(principal or Principal("nobody", Role.VIEWER, "session", address), scope, receive, send)
        elif principal is None and path == "/metrics" and self._may_measure(scope):
            await self._go_on(Principal("metrics", Role.VIEWER, "token", address), scope, receive, send)
        elif principal is None:
            self._refused("not signed in")
            await self._turn_away(scope, receive, send)
        elif not principal.role.covers(needed := route_needs(method, path)):
            self._refused("role")
            await _refuse(403, refusal(principal, needed), scope, receive, send)
        else:
            await self._go_on(principal, scope, receive, send)

    async def _go_on(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["principal"] = principal
        with acting_as(principal):
            await self._app(scope, receive, send)

    async def _identify(self, scope: Scope, address: str) -> Principal | None:
        """A program's token goes before a browser's cookie; one that does not fit is not made up for by the other."""
        kind, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind:
            if kind.lower() != "bearer" or not secret:
                return None
            return await anyio.to_thread.run_sync(self._identities.by_api_token, secret.strip(), address)
        token = self._cookies.read(scope)
        return await anyio.to_thread.run_sync(self._identities.by_session, token, address) if token else None

    def _may_measure(self, scope: Scope) -> bool:
        expected = self._settings.metrics_token
        kind, _, shown = Headers(scope=scope).get("authorization", "").partition(" ")
        return (
            expected is not None
            and kind.lower() == "bearer"
            and secrets.compare_digest(shown.strip().encode(), expected.get_secret_value().encode())
        )

    async def _turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not scope["path"].startswith("/api/")
        if page and "text/html" in Headers(scope=scope).get("accept", ""):
            await self._sign_in_page(scope)(scope, receive, send)
            return
        await _refuse(401, f"nobody is signed in: {_SIGN_IN}", scope, receive, send)


async def _refuse(status: int, message: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": message})
        return
    headers = {"WWW-Authenticate": 'Bearer realm="expertscope"'} if status == 401 else None
    await envelope(status, message, headers=headers)(scope, receive, send)
