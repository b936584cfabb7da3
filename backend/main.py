"""Builds the API server. `app.server` adds the pages to it; tests and other programs use it as it is."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.routing import APIRoute

from backend.access import Principal
from backend.api import Failsafe, RequestIds, RequestMetrics, add_handlers, add_routes
from backend.api.metrics import Metrics
from backend.api.sign_in import asked_to_sign_in
from backend.security import Authenticate, BodyLimit, Cookies, Guard, RateLimit
from backend.services import Services, open_services
from backend.services.secret_key import secret_key
from backend.settings import Settings

_BODY_OVERHEAD = 1 << 20
_UPLOADS = (r"/api/v1/prompt-sets(/preview)?", r"/api/v1/labels/import", r"/api/v1/runs/import")
"""Where files are sent to; any other request fits into a mebibyte."""


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """The API on FastAPI, with its services at `server.state.services`.

    Services that are not handed in are opened here and closed when the server stops. Raises InputError for settings
    that would open the server to a network unasked.
    """
    settings.check_exposure()
    opened = services is None
    services = open_services(settings) if services is None else services

    @asynccontextmanager
    async def lifespan(_server: FastAPI) -> AsyncIterator[None]:
        yield
        if opened:
            services.close()

    server = FastAPI(
        title="ExpertScope",
        description="Which experts of a Mixture-of-Experts language model carry its safety behaviour.",
        version=_version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        generate_unique_id_function=_operation_id,
    )
    server.state.services, server.state.metrics, server.state.script_hashes = services, Metrics(), []
    server.state.secret_key = secret_key(settings) if settings.accounts else secrets.token_urlsafe(48)
    server.state.cookies = Cookies(server.state.secret_key, settings)
    add_handlers(server)
    add_routes(server)
    _add_middleware(server, settings, services)
    return server


class _Identities:
    """What the middleware asks the services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def by_session(self, token: str, address: str) -> Principal | None:
        return self._services.accounts.principal(token, address)

    def by_api_token(self, secret: str, address: str) -> Principal | None:
        return self._services.api_tokens.principal(secret, address)


def _add_middleware(server: FastAPI, settings: Settings, services: Services) -> None:
    """The last one added is the first to see a request."""

    def script_hashes() -> Sequence[str]:
        hashes: Sequence[str] = server.state.script_hashes
        return hashes

    upload = settings.upload_limit_bytes + _BODY_OVERHEAD
    limits = [(pattern, upload) for pattern in _UPLOADS]
    # A page sends an upload as base64 inside JSON: four bytes for three.
    limits.append((r"/ui/_dash-update-component", settings.upload_limit_bytes * 4 // 3 + _BODY_OVERHEAD))
    server.add_middleware(BodyLimit, limits=limits, other=_BODY_OVERHEAD)
    server.add_middleware(RateLimit, settings=settings)
    server.add_middleware(
        Authenticate,
        settings=settings,
        identities=_Identities(services),
        cookies=server.state.cookies,
        sign_in_page=lambda scope: asked_to_sign_in(services, scope),
        refused=server.state.metrics.refused,
    )
    server.add_middleware(Failsafe)
    server.add_middleware(RequestMetrics, metrics=server.state.metrics)
    server.add_middleware(Guard, settings=settings, script_hashes=script_hashes)
    server.add_middleware(RequestIds, access_log=settings.access_log)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _version() -> str:
    try:
        return version("expertscope")
    except PackageNotFoundError:
        return "0"
