"""Puts the pages on a FastAPI server that already has the API's routes."""

import logging
import re
from pathlib import Path
from typing import Any, cast

from dash import Dash, Input, Output, set_props
from dash.backends import _fastapi
from dash.development.base_component import Component
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from app import addresses, bundles, shell
from app.callbacks import Binder
from app.kept_views import KeptViews
from app.pages import PAGES, REGISTRATIONS, ROUTES
from app.router import Router
from backend.logs import request_id
from backend.services import NotFoundError, Services

STATIC = Path(__file__).parents[1] / "static"
_RUNTIME = f'<script src="{addresses.PREFIX}/assets/vendor/regenerator-runtime.js"></script>'
log = logging.getLogger(__name__)
_POLYFILL = re.compile(r'<script src="[^"]*/dash/deps/polyfill@[^"]*"></script>')


class Pages(Dash):
    """Dash without what it adds for old browsers, which takes longer to compile than all of React. The part that its
    own components call is kept."""

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]
        parts["scripts"] = _POLYFILL.sub(_RUNTIME, parts["scripts"])
        document: str = super().interpolate_index(**parts)  # type: ignore[no-untyped-call]
        return document


def attach_pages(server: FastAPI, services: Services) -> Dash:
    """Serve the pages under /ui/ and leave the hashes of their inline scripts at `server.state.script_hashes`.

    Call it after the API's routes are in place and before the server starts.
    """
    styles, scripts = bundles.bundled(STATIC)
    bundles.serve(server, styles)
    bundles.serve(server, scripts)
    dash: Any = Pages(
        "expertscope",
        server=cast(Any, server),  # declared as a bool or a callable; a FastAPI is taken too
        url_base_pathname=f"{addresses.PREFIX}/",
        assets_folder=str(STATIC),
        assets_ignore=r"\.(css|js)$",  # the document names the bundles of them
        index_string=shell.index(styles.address, scripts.address),
        title="ExpertScope",
        update_title=cast(str, None),
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
        on_error=_report_error,
    )
    _close_websocket(server, dash)
    dash.layout = shell.layout  # a function, because the header names whoever asks
    router = Router(PAGES)
    _register_navigation(Binder(dash, services), router)
    # Dash does this on the first request for its own routes, and a deep link is not among those.
    dash._setup_server()  # noqa: SLF001
    server.state.script_hashes = list(dash.csp_hashes())
    _add_routes(server, dash, router)
    return cast(Dash, dash)


def _close_websocket(server: FastAPI, dash: Any) -> None:
    """Every page would otherwise open a socket at once. No callback uses one, and an unused door is best walled up."""
    dash.backend.websocket_capability = False
    path = f"{addresses.PREFIX}/_dash-ws-callback"
    server.router.routes[:] = [route for route in server.router.routes if getattr(route, "path", None) != path]


def _register_navigation(bind: Binder, router: Router) -> None:
    views = KeptViews(router, bind.services)

    @bind.on(
        Output("content", "children"),
        Output("page-title", "data"),
        Input("visit", "data"),
        prevent_initial_call=True,
    )
    def navigate(visit: dict[str, str]) -> tuple[Component, dict[str, str]]:
        view = views.show(visit["pathname"], visit["search"])
        return view.body, {"title": f"{view.title} · ExpertScope", "section": view.section}

    bind.in_browser("locate", Output("visit", "data"), Input("address", "href"), Input("page-reload", "data"))
    bind.in_browser("arrive", Output("page-title", "id"), Input("page-title", "data"), prevent_initial_call=True)
    for register in REGISTRATIONS:
        register(bind)


def _add_routes(server: FastAPI, dash: Any, router: Router) -> None:
    """Answer deep links with the document and everything else that is unknown with 404.

    Dash's own catch-all, added when the server starts, would answer every address on the server with 200.
    """

    requests: Any = _fastapi  # what Dash's own catch-all does around its document

    async def document(request: Request) -> Response:
        known = router.match(request.url.path) is not None
        token = requests.set_current_request(request)
        try:
            return Response(dash.index(), status_code=200 if known else 404, media_type="text/html")
        finally:
            requests.reset_current_request(token)

    async def start() -> Response:
        return RedirectResponse(f"{addresses.PREFIX}/")

    async def nowhere(request: Request) -> Response:
        raise NotFoundError(f"there is nothing at {request.url.path}: the pages begin at /ui/, the API at /api/v1")

    for add in ROUTES:
        add(server, server.state.services)
    server.add_api_route("/", start, include_in_schema=False)
    server.add_api_route("/ui/{path:path}", document, include_in_schema=False)
    server.add_api_route("/{path:path}", nowhere, include_in_schema=False)


def _report_error(error: Exception) -> None:
    """A callback failed in a way nobody foresaw: log it, and tell the person that the page may be incomplete."""
    log.error("a page callback failed", exc_info=error)
    known = request_id()
    line = f"the line with request_id {known} of its log" if known else "its log"
    set_props("notice", {"children": f"Something went wrong on the server; {line} says what. Reload to try again."})
