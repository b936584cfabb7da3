"""Every error has one shape, and none tells of the server's inside."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from analysis import errors
from backend.envelope import one_line
from backend.services import RunInfo
from tests.backend.factories import BASE_URL


def leaves(kind: type[errors.ExpertScopeError]) -> Iterator[type[errors.ExpertScopeError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from leaves(child)


def check(payload: dict) -> dict:
    """The envelope's one form; returns what is inside."""
    assert set(payload) == {"error"}
    error = payload["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["code"] == error["code"].lower()
    assert error["message"]
    assert "\n" not in error["message"]
    assert "Traceback" not in str(error)
    for place in error["details"]:
        assert set(place) == {"message", "field", "row", "column"}
    return error


def test_a_value_that_is_quoted_brings_no_line_of_its_own() -> None:
    assert one_line("name is 'a\r\nX-Y: z\u2028\x00b': expected  another") == "name is 'a X-Y: z b': expected another"
    assert one_line("2 000 prompts — à côté 🙂") == "2 000 prompts — à côté 🙂"


@pytest.mark.parametrize("kind", sorted(leaves(errors.ExpertScopeError), key=lambda kind: kind.__name__))
def test_every_error_of_ours_keeps_code_status_field_and_faults(
    app: FastAPI, client: TestClient, kind: type[errors.ExpertScopeError]
) -> None:
    async def fail() -> None:
        raise kind("row 17 has 3 fields", field="file", faults=[errors.Fault("missing", row=17, column="topic")])

    app.add_api_route("/fail", fail)
    answer = client.get("/fail")
    error = check(answer.json())
    assert (answer.status_code, error["code"], error["message"]) == (kind.status, kind.code, "row 17 has 3 fields")
    assert error["details"] == [{"message": "missing", "field": "file", "row": 17, "column": "topic"}]


def test_a_field_alone_becomes_a_detail(app: FastAPI, client: TestClient) -> None:
    async def fail() -> None:
        raise errors.InputError("too long", field="name")

    app.add_api_route("/fail", fail)
    assert check(client.get("/fail").json())["details"] == [
        {"message": "too long", "field": "name", "row": None, "column": None}
    ]


def test_what_nobody_foresaw_is_logged_and_not_told(
    app: FastAPI, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("secret /home/someone/key")

    app.add_api_route("/fail", fail)
    answer = client.get("/fail")
    assert answer.status_code == 500
    assert check(answer.json())["code"] == "internal_error"
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret /home/someone/key" in caplog.text


REQUESTS = [
    ("GET", "/api/v1/nothing", {}, 404, "not_found"),
    ("GET", "/nothing", {}, 404, "not_found"),
    ("GET", "/api", {}, 404, "not_found"),
    ("GET", "/api/v1/runs/zzzzzzzzzzzz", {}, 404, "not_found"),
    ("DELETE", "/api/v1/runs", {}, 405, "method_not_allowed"),
    ("PUT", "/healthz", {}, 405, "method_not_allowed"),
    ("POST", "/api/v1/runs", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "invalid_input"),
    ("POST", "/api/v1/runs", {"json": {}}, 422, "invalid_input"),
    ("GET", "/api/v1/runs?limit=0", {}, 422, "invalid_input"),
    ("POST", "/api/v1/prompt-sets", {"files": {"file": ("e.csv", b"")}}, 422, "invalid_prompt_file"),
    (
        "POST",
        "/api/v1/prompt-sets",
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "bad_request",
    ),
    ("POST", "/api/v1/models", {"json": {"ref": "/nowhere/at/all"}}, 404, "not_found"),
    ("GET", "/healthz", {"headers": {"Host": "evil.example"}}, 400, "bad_request"),
    ("POST", "/api/v1/runs", {"json": {}, "headers": {"Origin": "https://evil.example"}}, 403, "forbidden"),
    ("GET", "/readyz", {}, 503, "not_ready"),
]


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), REQUESTS)
def test_requests_that_go_wrong(client: TestClient, method: str, path: str, sent: dict, status: int, code: str) -> None:
    answer = client.request(method, path, **sent)
    error = check(answer.json())
    assert (answer.status_code, error["code"]) == (status, code)


def test_a_body_that_is_too_large(client: TestClient) -> None:
    answer = client.post("/api/v1/runs", content=b"x" * 30_000_000)
    assert (answer.status_code, check(answer.json())["code"]) == (413, "too_large")


def test_a_method_that_is_not_allowed_names_those_that_are(client: TestClient) -> None:
    assert client.delete("/api/v1/runs").headers["allow"] == "GET, POST"


def test_an_invalid_request_names_the_field_and_does_not_repeat_the_value(client: TestClient) -> None:
    answer = client.post("/api/v1/runs", json={"model": "m", "prompt_set_id": "p", "seed": "<script>"})
    error = check(answer.json())
    assert error["details"][0]["field"] == "seed"
    assert "<script>" not in answer.text


def test_a_conflict_has_the_shape_too(client: TestClient, queued: RunInfo) -> None:
    assert check(client.get(f"/api/v1/runs/{queued.id}/report.json").json())["code"] == "conflict"


def test_a_debugging_server_says_no_more(app: FastAPI) -> None:
    async def fail() -> None:
        raise RuntimeError("secret")

    app.debug = True
    app.add_api_route("/fail", fail)
    with TestClient(app, base_url=BASE_URL) as client:
        assert "secret" not in client.get("/fail").text
