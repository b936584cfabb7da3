"""Signing in at an identity provider, with a real one: a process of its own that speaks OpenID Connect over HTTP."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from backend.main import create_app
from backend.services import Services, open_services
from backend.settings import Settings
from tests.backend.accounts import PASSWORD
from tests.backend.factories import BASE_URL

USERS = {
    "42": {"preferred_username": "Ada Example", "groups": ["staff", "safety-team"]},
    "43": {"preferred_username": "bob", "groups": ["staff", "platform"]},
    "44": {"preferred_username": "eve", "groups": ["staff"]},
    "45": {"email": "no.groups@lab.example"},
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    users = [f"--user-claims={json.dumps({'sub': sub, **claims})}" for sub, claims in USERS.items()]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        f"--port={port}",
        "--require-nonce=true",
        *users,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"{address}/.well-known/openid-configuration", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def settings(tmp_path: Path, issuer: str) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        accounts=True,
        oidc_issuer=issuer,
        oidc_client_id="expertscope",
        oidc_client_secret="a secret of the client",
        oidc_roles={"safety-team": "analyst", "platform": "admin", "staff": "viewer"},
    )


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    opened = open_services(settings)
    opened.accounts.create("root", "admin", PASSWORD)
    yield opened
    opened.close()


@pytest.fixture
def visitor(settings: Settings, services: Services) -> Iterator[TestClient]:
    with TestClient(create_app(settings, services), base_url=BASE_URL, follow_redirects=False) as opened:
        yield opened


def at_provider(address: str, subject: str) -> str:
    """What a person does there: says who they are. Returns where the provider sends them back to."""
    answer = httpx.post(address, data={"sub": subject}, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def away_and_back(visitor: TestClient, subject: str, then: str = "/ui/models") -> httpx.Response:
    left = visitor.get("/sign-in/oidc", params={"next": then})
    assert left.status_code == 303, left.text
    back = at_provider(left.headers["location"], subject)
    assert back.startswith(f"{BASE_URL}/sign-in/oidc/callback?")
    return visitor.get(back.removeprefix(BASE_URL))


@pytest.mark.parametrize(("subject", "name", "role"), [("42", "ada-example", "analyst"), ("43", "bob", "admin")])
def test_a_group_becomes_a_role_and_the_way_leads_back(visitor: TestClient, subject: str, name: str, role: str) -> None:
    answer = away_and_back(visitor, subject)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/models")
    me = visitor.get("/api/v1/me").json()
    assert (me["name"], me["role"]) == (name, role)


def test_the_highest_of_several_roles_counts_and_the_provider_decides_each_time(
    settings: Settings, services: Services, visitor: TestClient
) -> None:
    away_and_back(visitor, "42")
    first = visitor.get("/api/v1/me").json()
    less = settings.model_copy(update={"oidc_roles": {"staff": "viewer"}})
    with TestClient(create_app(less, open_services(less)), base_url=BASE_URL, follow_redirects=False) as later:
        away_and_back(later, "42")
        again = later.get("/api/v1/me").json()
    assert (again["user_id"], again["role"]) == (first["user_id"], "viewer")
    assert "users.role" in {entry.action for entry in services.audit_log.entries().items}


def test_somebody_without_a_role_is_turned_away(settings: Settings) -> None:
    narrow = settings.model_copy(update={"oidc_roles": {"platform": "admin"}})
    services = open_services(narrow)
    services.accounts.create("root", "admin", PASSWORD)
    with TestClient(create_app(narrow, services), base_url=BASE_URL, follow_redirects=False) as visitor:
        for subject in ("44", "45"):
            answer = away_and_back(visitor, subject)
            assert answer.status_code == 403
            assert "none of your groups has a role here" in answer.text
            assert visitor.get("/api/v1/me").status_code == 401
    assert services.accounts.list().count == 1
    services.close()


def test_what_was_not_begun_here_is_refused(visitor: TestClient) -> None:
    left = visitor.get("/sign-in/oidc").headers["location"]
    back = at_provider(left, "42").removeprefix(BASE_URL)
    with TestClient(visitor.app, base_url=BASE_URL, follow_redirects=False) as another:
        assert another.get(back).status_code == 401, "a link from somebody else signs nobody in"
    query = parse_qs(urlsplit(back).query)
    assert visitor.get(f"/sign-in/oidc/callback?code={query['code'][0]}&state=other").status_code == 401
    assert visitor.get(f"/sign-in/oidc/callback?error=access_denied&state={query['state'][0]}").status_code == 401
    assert visitor.get("/api/v1/me").status_code == 401


def test_a_code_works_once(visitor: TestClient) -> None:
    left = visitor.get("/sign-in/oidc").headers["location"]
    back = at_provider(left, "42").removeprefix(BASE_URL)
    kept = dict(visitor.cookies)
    assert visitor.get(back).status_code == 303
    with TestClient(visitor.app, base_url=BASE_URL, follow_redirects=False, cookies=kept) as thief:
        assert thief.get(back).status_code == 401


def test_the_request_carries_state_nonce_and_a_pkce_challenge(visitor: TestClient) -> None:
    asked = parse_qs(urlsplit(visitor.get("/sign-in/oidc").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert all(len(asked[name][0]) >= 16 for name in ("state", "nonce", "code_challenge"))
    assert "client_secret" not in asked


def test_a_provider_that_does_not_answer_is_said_to(settings: Settings) -> None:
    silent = settings.model_copy(update={"oidc_issuer": "http://127.0.0.1:9"})
    services = open_services(silent)
    services.accounts.create("root", "admin", PASSWORD)
    with TestClient(create_app(silent, services), base_url=BASE_URL, follow_redirects=False) as visitor:
        answer = visitor.get("/sign-in/oidc")
        assert answer.status_code == 503
        assert "identity provider does not answer" in answer.text
        assert "Sign in at 127.0.0.1" in answer.text
    services.close()
