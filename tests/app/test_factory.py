"""What the server answers at each kind of address, once the pages are on it."""

import base64
import hashlib
import re

import pytest
from dash import Dash
from fastapi import FastAPI
from starlette.testclient import TestClient


@pytest.mark.parametrize("address", ["/ui/", "/ui/runs", "/ui/runs/new", "/ui/runs/x/experts/3/12", "/ui/models"])
def test_a_deep_link_gets_the_document(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.text
    assert "/ui/assets/css/all.css?v=" in answer.text


def test_the_first_request_may_be_a_deep_link(client: TestClient) -> None:
    """Dash collects its scripts on the first request to its own routes, and a deep link is none of them."""
    assert "/dash_renderer." in client.get("/ui/runs/new").text


def test_all_styles_and_scripts_come_in_one_file_each(client: TestClient) -> None:
    document = client.get("/ui/").text
    for kind, inside in (("css", "--font"), ("js", "expertscope:selection")):
        address = re.search(rf'"(/ui/assets/{kind}/all\.{kind}\?v=[0-9a-f]{{16}})"', document)
        assert address
        answer = client.get(address[1])
        assert inside in answer.text
        assert "immutable" in answer.headers["cache-control"]
    assert document.count("/ui/assets/js/") == 2, "the bundle, and theme.js in the head"


def test_nothing_for_old_browsers_is_sent(client: TestClient) -> None:
    """Were it served under another name, it would be compiled again at every first visit."""
    assert "polyfill" not in client.get("/ui/").text


def test_the_root_leads_to_the_pages(client: TestClient) -> None:
    answer = client.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")


@pytest.mark.parametrize("address", ["/nope", "/docs", "/api/v1/nope", "/api/nope", "/runs"])
def test_an_unknown_address_outside_the_pages_gets_the_json_envelope(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_an_unknown_page_gets_the_document_with_404(client: TestClient) -> None:
    answer = client.get("/ui/nope")
    assert answer.status_code == 404
    assert "<!DOCTYPE html>" in answer.text


def test_the_api_still_answers(client: TestClient) -> None:
    assert client.get("/api/v1/runs").json() == {"items": [], "count": 0, "next": None}
    assert client.get("/healthz").status_code == 200


def test_every_inline_script_is_allowed_by_its_hash(client: TestClient, server: FastAPI, dash: Dash) -> None:
    answer = client.get("/ui/")
    policy = answer.headers["content-security-policy"]
    scripts = re.findall(r"<script(?![^>]*src=)([^>]*)>(.*?)</script>", answer.text, re.DOTALL)
    inline = [code for attributes, code in scripts if "application/json" not in attributes]
    assert len(inline) >= 1
    for code in inline:
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe-eval" not in policy
    assert set(server.state.script_hashes) == set(dash.csp_hashes())


def test_the_document_names_no_other_host(client: TestClient) -> None:
    document = client.get("/ui/").text
    assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', document) == []


def test_no_socket_is_offered(client: TestClient, server: FastAPI) -> None:
    assert '"websocket"' not in client.get("/ui/").text.split('id="_dash-config"')[1].split("</script>")[0]
    assert [route for route in server.router.routes if "ws-callback" in getattr(route, "path", "")] == []
