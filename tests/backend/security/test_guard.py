"""Who may ask, from where, and what a browser is told about the answer."""

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from backend.main import create_app
from backend.services import Services
from backend.settings import Settings
from tests.backend.factories import BASE_URL

BODY = {"json": {"ref": "/nowhere/at/all"}}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "127.0.0.1", "localhost:9", "[::1]:8000", "LOCALHOST", "app.localhost"]
)
def test_loopback_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "a:b:c"])
def test_a_foreign_name_that_points_here_is_refused(client: TestClient, host: str) -> None:
    """DNS rebinding: the browser thinks it talks to evil.example and would let its page read the answer."""
    assert client.get("/healthz", headers={"Host": host}).status_code == 400


def test_a_further_name_can_be_allowed(settings: Settings, services: Services) -> None:
    named = settings.model_copy(update={"allowed_hosts": ["scope.lab"]})
    with TestClient(create_app(named, services), base_url="http://scope.lab") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/healthz", headers={"Host": "other.lab"}).status_code == 400


def test_on_a_network_any_name_serves_until_names_are_given(settings: Settings, services: Services) -> None:
    open_to_all = settings.model_copy(update={"host": "0.0.0.0", "accounts": True})
    with TestClient(create_app(open_to_all, services), base_url="http://scope.lab") as client:
        assert client.get("/healthz").status_code == 200
    named = open_to_all.model_copy(update={"allowed_hosts": ["scope.lab"]})
    with TestClient(create_app(named, services), base_url="http://other.lab") as client:
        assert client.get("/healthz").status_code == 400


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1.evil.example:8000", "file://", "["],
)
def test_pages_of_other_origins_cannot_change_anything(client: TestClient, origin: str) -> None:
    answer = client.post("/api/v1/models", headers={"Origin": origin}, **BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("headers", [{}, {"Origin": BASE_URL}, {"Origin": BASE_URL.upper().replace("HTTP", "http")}])
def test_own_pages_and_programs_can(client: TestClient, headers: dict) -> None:
    assert client.post("/api/v1/models", headers=headers, **BODY).status_code == 404


def test_default_ports_are_the_same_origin(client: TestClient) -> None:
    headers = {"Host": "localhost", "Origin": "http://localhost:80"}
    assert client.post("/api/v1/models", headers=headers, **BODY).status_code == 404


def test_a_further_origin_can_be_allowed(settings: Settings, services: Services) -> None:
    behind_proxy = settings.model_copy(update={"allowed_origins": ["https://scope.lab/"]})
    with TestClient(create_app(behind_proxy, services), base_url=BASE_URL) as client:
        assert client.post("/api/v1/models", headers={"Origin": "https://scope.lab"}, **BODY).status_code == 404


def test_reading_is_open_to_links_from_elsewhere(client: TestClient) -> None:
    assert client.get("/api/v1/runs", headers={"Origin": "https://evil.example"}).status_code == 200


@pytest.fixture
def socket_client(app: FastAPI) -> TestClient:
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    app.add_api_websocket_route("/socket", echo)
    return TestClient(app, base_url=BASE_URL)


def test_a_websocket_of_an_own_page_opens(socket_client: TestClient) -> None:
    with socket_client.websocket_connect("/socket", headers={"Origin": BASE_URL, "Host": "127.0.0.1:8000"}) as socket:
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {}, {"Origin": BASE_URL, "Host": "evil.example"}],
)
def test_other_websockets_do_not(socket_client: TestClient, headers: dict) -> None:
    headers = {"Host": "127.0.0.1:8000", **headers}
    with pytest.raises(WebSocketDisconnect) as caught, socket_client.websocket_connect("/socket", headers=headers):
        pass
    assert caught.value.code == 1008


def test_every_answer_tells_the_browser_what_it_may_do(client: TestClient) -> None:
    for path in ("/healthz", "/api/v1/runs", "/api/docs", "/api/v1/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy


def test_hashes_of_the_pages_scripts_are_allowed_once_they_are_known(app: FastAPI, client: TestClient) -> None:
    app.state.script_hashes = ["'sha256-abc='"]
    assert "script-src 'self' 'sha256-abc=';" in client.get("/healthz").headers["content-security-policy"]


def test_results_are_not_left_in_caches(client: TestClient) -> None:
    assert client.get("/api/v1/runs").headers["cache-control"] == "no-store"
