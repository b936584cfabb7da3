"""/sign-in, /sign-out and /set-up: the way in and out for browsers. Plain HTML forms that need no script.

Programs need none of it: they send a token (`/api/v1/tokens`).
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.types import Scope

from analysis.errors import ExpertScopeError, InputError, UnauthorizedError
from backend.access import current
from backend.api.deps import ServicesDep
from backend.envelope import envelope_of
from backend.security import Cookies
from backend.services import Services, SignedIn
from backend.services.oidc import Started

router = APIRouter(include_in_schema=False)
HOME = "/ui/"
STYLES = ("10-tokens.css", "20-base.css", "30-frame.css", "40-components.css", "70-sign-in.css")
_MINUTES_AWAY = 10
Text = Annotated[str, Form(max_length=512)]
Next = Annotated[str, Query(alias="next", max_length=2000)]


@router.get("/sign-in")
def show_sign_in(request: Request, services: ServicesDep, then: Next = HOME) -> Response:
    if not services.settings.accounts:
        return RedirectResponse(HOME, 303)
    if current().session_id is not None:
        return RedirectResponse(local(then), 303)
    return sign_in_page(services, then)


@router.post("/sign-in")
async def sign_in(
    request: Request, services: ServicesDep, name: Text, password: Text, then: Annotated[str, Form(alias="next")] = HOME
) -> Response:
    try:
        _check_transport(request)
        found = await run_in_threadpool(services.accounts.sign_in, name, password, current().address)
    except ExpertScopeError as error:
        return sign_in_page(services, then, error, name=name)
    return _arrive(request, found, then)


@router.get("/set-up")
def show_set_up(services: ServicesDep) -> Response:
    if not (services.settings.accounts and services.accounts.empty()):
        return RedirectResponse("/sign-in", 303)
    return sign_in_page(services, HOME)


@router.post("/set-up")
async def set_up(request: Request, services: ServicesDep, code: Text, name: Text, password: Text) -> Response:
    try:
        if not services.settings.accounts:
            raise InputError("this server has no accounts: set EXPERTSCOPE_ACCOUNTS=true")
        _check_transport(request)
        found = await run_in_threadpool(services.accounts.set_up, code, name, password, current().address)
    except ExpertScopeError as error:
        return sign_in_page(services, HOME, error, name=name)
    return _arrive(request, found, HOME)


@router.post("/sign-out")
async def sign_out(request: Request, services: ServicesDep) -> Response:
    await run_in_threadpool(services.accounts.sign_out)
    answer = RedirectResponse("/sign-in", 303)
    cookies = _cookies(request)
    answer.delete_cookie(
        cookies.name(request.scope), path="/", secure=cookies.secure(request.scope), httponly=True, samesite="lax"
    )
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


@router.get("/sign-in/oidc")
async def leave_for_provider(request: Request, services: ServicesDep, then: Next = HOME) -> Response:
    try:
        if not services.settings.oidc_issuer:
            raise InputError("no identity provider is set: EXPERTSCOPE_OIDC_ISSUER names it")
        started = await services.identity_provider.start(_here(request, services) + "/sign-in/oidc/callback")
    except ExpertScopeError as error:
        return sign_in_page(services, then, error)
    answer = RedirectResponse(started.url, 303)
    kept = _away(request).dumps({**vars(started), "next": local(then)})
    answer.set_cookie(
        _away_name(request),
        kept,
        max_age=60 * _MINUTES_AWAY,
        path="/sign-in/oidc",
        secure=_cookies(request).secure(request.scope),
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/sign-in/oidc/callback")
async def come_back(request: Request, services: ServicesDep) -> Response:
    then = HOME
    try:
        if not services.settings.oidc_issuer:
            raise InputError("no identity provider is set: EXPERTSCOPE_OIDC_ISSUER names it")
        started, then = _remembered(request)
        who = await services.identity_provider.finish(started, dict(request.query_params))
        found = await run_in_threadpool(
            services.accounts.sign_in_external, who.issuer, who.subject, who.name, who.role, current().address
        )
    except ExpertScopeError as error:
        return sign_in_page(services, then, error)
    answer = _arrive(request, found, then)
    answer.delete_cookie(_away_name(request), path="/sign-in/oidc")
    return answer


def sign_in_page(
    services: Services, then: str = HOME, error: ExpertScopeError | None = None, name: str = "", status: int = 200
) -> Response:
    """The form, with what was wrong. While nobody has an account it makes the first admin instead."""
    first = services.accounts.empty()
    settings = services.settings
    text = _template().render(
        title="Set up" if first else "Sign in",
        message=error.message[:1].upper() + error.message[1:] + "." if error else "",
        set_up=first,
        password=True,
        provider=urlsplit(settings.oidc_issuer).hostname if settings.oidc_issuer else None,
        next=local(then),
        name=name[:64],
        styles=STYLES,
    )
    headers = envelope_of(error).headers if error else {}
    kept = {"Retry-After": headers["retry-after"]} if "retry-after" in headers else {}
    return HTMLResponse(text, error.status if error else status, headers={"Cache-Control": "no-store", **kept})


def asked_to_sign_in(services: Services, scope: Scope) -> Response:
    """What a browser gets for a page that it may not see yet: 401, and the form that leads back to the page."""
    query = scope.get("query_string", b"").decode("latin-1")
    return sign_in_page(services, scope["path"] + (f"?{query}" if query else ""), status=401)


def local(address: str) -> str:
    """An address of this server's pages; anything that could lead elsewhere becomes the start page."""
    parts = urlsplit(address.replace("\\", "/"))
    inside = not parts.scheme and not parts.netloc and parts.path.startswith("/ui/") and "\r" not in address
    return address if inside and address.isprintable() and not address.startswith("//") else HOME


def _arrive(request: Request, found: SignedIn, then: str) -> Response:
    cookies = _cookies(request)
    answer = RedirectResponse(local(then), 303)
    answer.set_cookie(
        cookies.name(request.scope),
        cookies.sign(found.token),
        expires=found.expires,
        path="/",
        secure=cookies.secure(request.scope),
        httponly=True,
        samesite="lax",
    )
    return answer


def _check_transport(request: Request) -> None:
    """A password must not cross a network in the open."""
    host = request.url.hostname or ""
    near = host == "localhost" or host.endswith(".localhost") or host in ("127.0.0.1", "::1", "testserver")
    if not (_cookies(request).secure(request.scope) or near):
        raise InputError(
            "signing in needs HTTPS: put a proxy with TLS before this server, and its address into "
            "EXPERTSCOPE_PUBLIC_URL"
        )


def _here(request: Request, services: Services) -> str:
    return (services.settings.public_url or str(request.base_url)).rstrip("/")


def _cookies(request: Request) -> Cookies:
    cookies: Cookies = request.app.state.cookies
    return cookies


def _away(request: Request) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(request.app.state.secret_key, salt="expertscope.oidc")


def _away_name(request: Request) -> str:
    return "__Secure-expertscope-oidc" if _cookies(request).secure(request.scope) else "expertscope-oidc"


def _remembered(request: Request) -> tuple[Started, str]:
    try:
        kept: dict[str, Any] = _away(request).loads(
            request.cookies.get(_away_name(request), ""), max_age=60 * _MINUTES_AWAY
        )
    except BadSignature:
        raise UnauthorizedError("this way of signing in was not begun here, or took too long: begin again") from None
    then = kept.pop("next")
    return Started(**kept), then


@cache
def _template() -> Any:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("sign_in.html.j2")
