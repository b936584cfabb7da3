"""Builds the API server. `app.server` adds the pages to it; tests and other programs use it as it is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.routing import APIRoute

from backend.api import Failsafe, RequestMetrics, add_handlers, add_routes
from backend.api.metrics import Metrics
from backend.security import BodyLimit, Guard
from backend.services import Services, open_services
from backend.settings import Settings

# A page sends an upload as base64 inside JSON: four bytes for three, and something around it.
_BODY_OVERHEAD = 1 << 20


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
    add_handlers(server)
    add_routes(server)
    _add_middleware(server, settings)
    return server


def _add_middleware(server: FastAPI, settings: Settings) -> None:
    """The last one added is the first to see a request."""

    def script_hashes() -> Sequence[str]:
        hashes: Sequence[str] = server.state.script_hashes
        return hashes

    server.add_middleware(BodyLimit, limit=settings.upload_limit_bytes * 4 // 3 + _BODY_OVERHEAD)
    server.add_middleware(Failsafe)
    server.add_middleware(RequestMetrics, metrics=server.state.metrics)
    server.add_middleware(Guard, settings=settings, script_hashes=script_hashes)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _version() -> str:
    try:
        return version("expertscope")
    except PackageNotFoundError:
        return "0"
