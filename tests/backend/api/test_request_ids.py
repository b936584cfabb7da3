"""Each request has an id: in its answer, in every log line about it, and in what a person is told when it failed."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from backend import logs
from backend.main import create_app
from backend.services import Services
from backend.settings import Settings
from tests.backend.accounts import make_people
from tests.backend.factories import BASE_URL


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", log_json=True, access_log=True)


@pytest.fixture(autouse=True)
def logging_to_stderr(settings: Settings) -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    logs.configure(settings)
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logs.Stderr)]
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in found if line["event"] == event]


def test_an_id_is_made_and_never_twice(client: TestClient) -> None:
    ids = {client.get("/healthz").headers["X-Request-ID"] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(one) == 16 for one in ids)


def test_a_proxys_id_is_taken(client: TestClient) -> None:
    answer = client.get("/api/v1/runs", headers={"X-Request-ID": "edge-7.a_B"})
    assert answer.headers["X-Request-ID"] == "edge-7.a_B"


@pytest.mark.parametrize("given", ["", "two words", "a" * 65, "a\tb", "<script>", '{"a":1}'])
def test_anything_else_is_replaced(client: TestClient, given: str) -> None:
    answer = client.get("/api/v1/runs", headers={"X-Request-ID": given})
    assert answer.status_code == 200
    assert answer.headers["X-Request-ID"] != given
    assert len(answer.headers["X-Request-ID"]) == 16


def test_refusals_have_one_too(client: TestClient) -> None:
    refused = client.post("/api/v1/runs", headers={"Origin": "https://elsewhere.example"})
    assert refused.status_code == 403
    assert refused.headers["X-Request-ID"]


def test_a_failure_nobody_foresaw_names_the_line_of_the_log(
    app: FastAPI, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        logging.getLogger("backend.services").warning("about to fail")
        raise RuntimeError("a secret detail")

    app.add_api_route("/fail", fail)
    answer = client.get("/fail", headers={"X-Request-ID": "complaint-1"})
    assert answer.status_code == 500
    assert "request_id complaint-1" in answer.json()["error"]["message"]
    assert "secret detail" not in answer.text
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    of_request = [line["event"] for line in written if line.get("request_id") == "complaint-1"]
    assert of_request == ["about to fail", "GET /fail failed", "answered"]


def test_the_id_ends_with_its_request(client: TestClient) -> None:
    client.get("/api/v1/runs", headers={"X-Request-ID": "first"})
    assert logs.request_id() is None


def test_each_answer_has_a_line_that_names_no_address(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.get("/api/v1/runs?text=my+secret+search")
    client.get("/api/v1/runs/aaaaaaaaaaaa")
    client.get("/healthz")
    first, second = lines(capsys, "answered")
    assert (first["method"], first["route"], first["status"]) == ("GET", "/api/v1/runs", 200)
    assert (second["route"], second["status"], second["user"]) == ("/api/v1/runs/{run_id}", 404, "local")
    assert "secret" not in json.dumps([first, second])
    assert isinstance(first["ms"], float)


def test_the_line_names_who_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from backend.services import open_services

    settings = Settings(data_dir=tmp_path / "people", accounts=True, access_log=True, log_json=True)
    services = open_services(settings)
    people = make_people(create_app(settings, services), services)
    viewer = people.client("viewer")
    capsys.readouterr()
    name = viewer.get("/api/v1/me").json()["name"]
    TestClient(people.app, base_url=BASE_URL).get("/api/v1/me")
    known, stranger = lines(capsys, "answered")
    assert (known["status"], known["user"]) == (200, name)
    assert (stranger["status"], stranger["user"], stranger["route"]) == (401, None, None)
    services.close()


def test_without_the_setting_there_is_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with TestClient(create_app(Settings(data_dir=tmp_path / "quiet")), base_url=BASE_URL) as client:
        client.get("/api/v1/runs")
    assert lines(capsys, "answered") == []


def test_a_socket_has_one(app: FastAPI, services: Services) -> None:
    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(logs.request_id() or "")
        await socket.close()

    app.add_api_websocket_route("/socket", greet)
    headers = {"Origin": BASE_URL, "X-Request-ID": "socket-1"}
    address = f"{BASE_URL.replace('http', 'ws', 1)}/socket"
    with TestClient(app, base_url=BASE_URL).websocket_connect(address, headers=headers) as opened:
        assert opened.receive_text() == "socket-1"
        assert (b"x-request-id", b"socket-1") in (opened.extra_headers or [])
