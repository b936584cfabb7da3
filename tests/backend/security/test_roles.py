"""Every route of the real application, asked by a stranger and by every role: nothing is open that was not meant to be.

The routes are those that the application has, pages and sockets included, so a new one is asked without being named
here. What each role may do is written out in `NEEDED`, apart from the code that decides it.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.factory import attach_pages
from backend.main import create_app
from backend.services import Services
from backend.settings import Settings
from tests.backend.accounts import People, make_people
from tests.backend.factories import BASE_URL

OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /sign-in",
    "POST /sign-in",
    "POST /sign-out",
    "GET /set-up",
    "POST /set-up",
    "GET /sign-in/oidc",
    "GET /sign-in/oidc/callback",
    "GET /ui/_dash-component-suites/{package_name}/{fingerprinted_path:path}",
    "GET /ui/_favicon.ico",
    "GET /ui/assets/css/all.css",
    "GET /ui/assets/js/all.js",
    "GET /ui/assets/{path:path}",
}
"""What a stranger gets: health, the way in, static files."""
NEEDED = {
    "POST /api/v1/runs/estimate": "viewer",
    "PATCH /api/v1/me": "viewer",
    "POST /api/v1/me/sign-out-everywhere": "viewer",
    "POST /api/v1/tokens": "viewer",
    "DELETE /api/v1/tokens/{token_id}": "viewer",
    "POST /ui/_dash-update-component": "viewer",
    "GET /api/v1/audit-log": "admin",
    "GET /api/v1/audit-log.csv": "admin",
    "GET /api/v1/audit-log/verify": "admin",
    "GET /api/v1/status": "admin",
    "GET /api/v1/users": "admin",
    "POST /api/v1/users": "admin",
    "GET /api/v1/users/{user_id}": "admin",
    "PATCH /api/v1/users/{user_id}": "admin",
    "POST /api/v1/users/{user_id}/sign-out-everywhere": "admin",
}
"""The least role where it is not a viewer's for reading and an analyst's for everything else."""
ROLES = ("viewer", "analyst", "admin")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    from backend.services import open_services

    settings = Settings(data_dir=tmp_path_factory.mktemp("roles"), accounts=True, requests_per_minute=0)
    services = open_services(settings)
    server = create_app(settings, services)
    attach_pages(server, services)
    yield make_people(server, services)
    services.close()


@pytest.fixture(scope="module")
def browsers(people: People) -> dict[str, TestClient]:
    return {role: people.client(role) for role in ROLES}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of everything that the application answers, mounted files aside."""
    found = set()
    for route in every(app.router.routes):
        if isinstance(route, APIRoute | Route):
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                found.add((method, route.path))
    return sorted(found)


def every(listed: Any) -> Iterator[Any]:
    for route in listed:
        included = getattr(route, "original_router", None)  # FastAPI keeps an included router as one entry
        if included is not None:
            yield from every(included.routes)
        else:
            yield route


def address(path: str) -> str:
    """A path with something for each of its parameters."""
    return re.sub(r"\{[^}]+\}", "0", path)


def needed(method: str, path: str) -> str:
    return NEEDED.get(f"{method} {path}", "viewer" if method == "GET" else "analyst")


def test_the_application_has_the_routes_that_this_test_is_about(people: People) -> None:
    found = {f"{method} {path}" for method, path in routes(people.app)}
    assert len(found) > 70
    assert set(NEEDED) - found == set()
    assert {one for one in OPEN if "assets" not in one} - found == set()
    assert {
        "POST /api/v1/runs",
        "GET /api/v1/runs/{run_id}/report.json",
        "GET /metrics",
        "GET /ui/{path:path}",
    } <= found


def test_a_stranger_gets_401_from_everything_that_is_not_meant_to_be_open(people: People) -> None:
    stranger, wrong = people.client(), []
    for method, path in routes(people.app):
        answer = stranger.request(method, address(path))
        if f"{method} {path}" in OPEN:
            assert answer.status_code != 401 or path == "/sign-in/oidc/callback" or method == "POST", f"{method} {path}"
        elif answer.status_code != 401:
            wrong.append(f"{method} {path}: {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer es_guess"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Cookie": "expertscope=guess"},
        {"Cookie": "expertscope=guess.c2lnbmF0dXJl"},
        {"Cookie": "__Host-expertscope=guess"},
        {"Cookie": "expertscope=\x80;;=;"},
        {"X-Forwarded-User": "admin", "X-Forwarded-For": "127.0.0.1"},
    ],
)
def test_what_is_made_up_opens_nothing(people: People, headers: dict[str, str]) -> None:
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/api/v1/runs", "/ui/runs", "/metrics", "/api/v1/openapi.json"):
        assert people.client().get(path, headers=sent).status_code == 401


def test_a_wrong_token_is_not_made_up_for_by_a_cookie(browsers: dict[str, TestClient]) -> None:
    assert browsers["admin"].get("/api/v1/me").status_code == 200
    assert browsers["admin"].get("/api/v1/me", headers={"Authorization": "Bearer es_guess"}).status_code == 401


@pytest.mark.parametrize("role", ROLES)
def test_every_role_against_every_route(people: People, browsers: dict[str, TestClient], role: str) -> None:
    """Whoever may is not refused, though what is asked for need not exist; whoever may not gets 403 and no more."""
    wrong = []
    for method, path in routes(people.app):
        if f"{method} {path}" in OPEN or path == "/api/v1/me/sign-out-everywhere":
            continue
        answer = browsers[role].request(method, address(path), json={} if method != "GET" else None)
        allowed = ROLES.index(role) >= ROLES.index(needed(method, path))
        if (answer.status_code not in (401, 403)) != allowed:
            wrong.append(f"{method} {path}: {answer.status_code} where {needed(method, path)} is needed")
        elif not allowed:
            assert answer.json()["error"]["code"] == "forbidden"
    assert wrong == []


def test_nobody_opens_a_socket_without_a_session(people: People) -> None:
    """Whatever socket there is, or comes to be: the door is before the routes."""

    async def echo(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.scope["state"]["principal"].name)

    people.app.router.routes.insert(0, WebSocketRoute("/ui/socket-of-a-test", echo))
    headers = {"Origin": BASE_URL, "Host": BASE_URL.partition("//")[2]}
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        people.client().websocket_connect("/ui/socket-of-a-test", headers=headers),
    ):
        pass
    assert closed.value.code == 1008
    signed_in = {**headers, "Cookie": f"expertscope={people.client('viewer').cookies['expertscope']}"}
    with people.client().websocket_connect("/ui/socket-of-a-test", headers=signed_in) as socket:
        assert socket.receive_text() == "viewer"
    sockets = [route.path for route in every(people.app.router.routes) if isinstance(route, WebSocketRoute)]
    assert sockets == ["/ui/socket-of-a-test"]


def test_a_page_callback_can_do_no_more_than_its_person(people: People, browsers: dict[str, TestClient]) -> None:
    """All pages share one address, so what a callback changes is held against the role where it changes it."""
    from analysis.errors import ForbiddenError
    from backend.access import Principal, Role, acting_as
    from backend.services import NewQuestion, NewRun

    services: Services = people.services
    attempts = {
        "runs": lambda: services.runs.create(NewRun(model="organism:planted", prompt_set_id="builtin:organism")),
        "cancel": lambda: services.runs.cancel("0"),
        "resume": lambda: services.runs.resume("0"),
        "prompts": lambda: services.prompt_sets.create(b"prompt\nhello\n", "x.csv"),
        "models": lambda: services.models.register("organism:planted"),
        "inspect": lambda: services.models.inspect("organism:planted"),
        "label": lambda: services.judges.label("0", 0, "refusal"),
        "labels": lambda: services.judges.import_labels(b"", "x.csv"),
        "ask": lambda: services.playground.ask(NewQuestion(model="organism:planted", prompt="hello")),
        "forget": lambda: services.playground.remove("0"),
        "adapter": lambda: services.adapters.inspect("."),
        "delete": lambda: services.storage.delete("0"),
        "import": lambda: services.archives.read_from(io.BytesIO()),
    }
    for name, attempt in attempts.items():
        with acting_as(Principal("vera", Role.VIEWER, "session")), pytest.raises(ForbiddenError, match="role analyst"):
            attempt()
        assert name


def test_metrics_open_with_their_own_token(people: People, tmp_path: Any) -> None:
    settings = Settings(data_dir=tmp_path, accounts=True, metrics_token="a-token-of-prometheus")
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 401
        own = {"Authorization": "Bearer a-token-of-prometheus"}
        assert "expertscope_runs" in client.get("/metrics", headers=own).text
        assert client.get("/api/v1/runs", headers=own).status_code == 401
