"""The way in and out for a browser: forms, cookies, and where they lead."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from backend.api.sign_in import local
from backend.main import create_app
from backend.services import Services, open_services
from backend.settings import Settings
from tests.backend.accounts import PASSWORD
from tests.backend.factories import BASE_URL


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"accounts": True})


@pytest.fixture
def visitor(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE_URL, follow_redirects=False) as opened:
        yield opened


@pytest.fixture
def ada(services: Services) -> str:
    return services.accounts.create("ada", "admin", PASSWORD).id


def test_nobody_yet_leads_to_the_set_up_which_needs_the_code(visitor: TestClient, services: Services) -> None:
    assert "Make the first admin" in visitor.get("/sign-in").text
    refused = visitor.post("/set-up", data={"code": "guess", "name": "ada", "password": PASSWORD})
    assert refused.status_code == 401
    assert "not the set-up code" in refused.text
    assert PASSWORD not in refused.text
    code = services.accounts.set_up_code()
    made = visitor.post("/set-up", data={"code": code, "name": "ada", "password": PASSWORD})
    assert (made.status_code, made.headers["location"]) == (303, "/ui/")
    assert visitor.get("/api/v1/me").json()["role"] == "admin"
    assert visitor.get("/set-up").headers["location"] == "/sign-in"


def test_a_page_asks_for_the_sign_in_and_leads_back(visitor: TestClient, ada: str) -> None:
    asked = visitor.get("/ui/runs/abc?sel=1.2", headers={"Accept": "text/html"})
    assert asked.status_code == 401
    assert 'value="/ui/runs/abc?sel=1.2"' in asked.text
    data = {"name": "ada", "password": PASSWORD, "next": "/ui/runs/abc?sel=1.2"}
    assert visitor.post("/sign-in", data=data).headers["location"] == "/ui/runs/abc?sel=1.2"


def test_what_does_not_fit_shows_the_form_again(visitor: TestClient, ada: str) -> None:
    refused = visitor.post("/sign-in", data={"name": "ada", "password": "wrong"})
    assert refused.status_code == 401
    assert 'role="alert">Name and password do not fit' in refused.text
    assert 'value="ada"' in refused.text
    assert "set-cookie" not in refused.headers


def test_a_name_made_of_markup_is_only_a_name(visitor: TestClient, ada: str) -> None:
    refused = visitor.post("/sign-in", data={"name": '"><script>', "password": "x", "next": '"><script>'})
    assert "<script>" not in refused.text.replace('<script src="/ui/assets/js/theme.js">', "")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/ui/",
        "/\\evil.example",
        "\\\\evil.example/ui/",
        "javascript:alert(1)",
        "/api/v1/runs",
        "/sign-out",
        "/ui/\r\nSet-Cookie: a=b",
        "",
        "ui/runs",
    ],
)
def test_it_never_leads_to_another_server(address: str) -> None:
    assert local(address) == "/ui/"


def test_the_cookie_is_out_of_a_scripts_reach(visitor: TestClient, ada: str) -> None:
    cookie = visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD}).headers["set-cookie"]
    assert cookie.startswith("expertscope=")
    for part in ("HttpOnly", "Path=/", "SameSite=lax", "expires="):
        assert part in cookie
    assert "Domain" not in cookie


def test_behind_https_it_is_secure_and_bound_to_the_host(app: FastAPI, ada: str) -> None:
    with TestClient(app, base_url="https://127.0.0.1:8000", follow_redirects=False) as visitor:
        answer = visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD})
        assert answer.headers["set-cookie"].startswith("__Host-expertscope=")
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert visitor.get("/api/v1/me").status_code == 200


def test_a_password_does_not_cross_a_network_in_the_open(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, host="0.0.0.0", accounts=True)
    services = open_services(settings)
    services.accounts.create("ada", "admin", PASSWORD)
    with TestClient(create_app(settings, services), base_url="http://scope.lab", follow_redirects=False) as visitor:
        refused = visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD})
        assert refused.status_code == 422
        assert "needs HTTPS" in refused.text
    services.close()


def test_another_servers_signature_opens_nothing(visitor: TestClient, ada: str, tmp_path: Path) -> None:
    visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    assert visitor.get("/api/v1/me").status_code == 200
    token, _, _ = visitor.cookies["expertscope"].rpartition(".")
    for forged in (token, f"{token}.AAAA", f"{token[:-1]}.{visitor.cookies['expertscope'].rpartition('.')[2]}"):
        with TestClient(visitor.app, base_url=BASE_URL) as other:
            assert other.get("/api/v1/me", headers={"Cookie": f"expertscope={forged}"}).status_code == 401


def test_sign_out_ends_the_session_on_the_server_too(visitor: TestClient, ada: str) -> None:
    visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    kept = visitor.cookies["expertscope"]
    answer = visitor.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    with TestClient(visitor.app, base_url=BASE_URL) as other:
        assert other.get("/api/v1/me", headers={"Cookie": f"expertscope={kept}"}).status_code == 401


def test_another_sites_form_can_neither_sign_in_nor_out(visitor: TestClient, ada: str) -> None:
    for path in ("/sign-in", "/sign-out", "/set-up"):
        data = {"name": "ada", "password": PASSWORD}
        assert visitor.post(path, data=data, headers={"Origin": "https://evil.example"}).status_code == 403


def test_the_key_is_made_once_and_is_the_owners_alone(app: FastAPI, settings: Settings) -> None:
    from backend.services.secret_key import FILE, secret_key

    path = settings.data_dir / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret_key(settings) == path.read_text() == app.state.secret_key
    assert [one.name for one in settings.data_dir.iterdir() if one.name.startswith(FILE)] == [FILE]


def test_a_token_is_made_shown_once_and_used(visitor: TestClient, ada: str) -> None:
    visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD})
    made = visitor.post("/api/v1/tokens", json={"name": "nightly", "role": "viewer", "days": 30})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret not in visitor.get("/api/v1/tokens").text
    with TestClient(visitor.app, base_url=BASE_URL) as program:
        own = {"Authorization": f"Bearer {secret}"}
        assert program.get("/api/v1/me", headers=own).json() == {
            "name": "ada",
            "role": "viewer",
            "kind": "token",
            "user_id": ada,
        }
        assert program.post("/api/v1/models", headers=own, json={"ref": "organism:planted"}).status_code == 403
        assert visitor.delete(f"/api/v1/tokens/{made.json()['id']}").status_code == 204
        assert program.get("/api/v1/me", headers=own).status_code == 401


def test_too_many_requests_of_one_account_are_slowed_down(services: Services, settings: Settings, ada: str) -> None:
    few = create_app(settings.model_copy(update={"requests_per_minute": 5}), services)
    with TestClient(few, base_url=BASE_URL, follow_redirects=False) as visitor:
        visitor.post("/sign-in", data={"name": "ada", "password": PASSWORD})
        answers = [visitor.get("/api/v1/me") for _ in range(7)]
        assert [one.status_code for one in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
        assert visitor.get("/healthz").status_code == 200


def test_without_accounts_nobody_signs_in(client: TestClient, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data_dir=tmp_path)), base_url=BASE_URL, follow_redirects=False) as visitor:
        assert visitor.get("/sign-in").headers["location"] == "/ui/"
        assert visitor.get("/api/v1/me").json()["kind"] == "local"
        assert visitor.post("/api/v1/tokens", json={"name": "x"}).status_code == 403
