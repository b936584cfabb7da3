"""The whole product as one ASGI application: API and pages. `expertscope serve` hands `build` to uvicorn."""

from fastapi import FastAPI

from app.factory import attach_pages
from app.warming import warm_up
from backend.main import create_app
from backend.settings import Settings


def build(settings: Settings | None = None) -> FastAPI:
    """The API with the pages on top; settings come from the environment unless given."""
    server = create_app(settings if settings is not None else Settings())
    attach_pages(server, server.state.services)
    warm_up()
    return server
