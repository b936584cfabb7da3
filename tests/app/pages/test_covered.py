"""Uncovering one prompt brings its text and its judged answers, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dash import Dash
from starlette.testclient import TestClient

from app.factory import attach_pages
from backend.main import create_app
from backend.services import RunInfo, Services, open_services
from backend.settings import Settings


def uncover(client: TestClient, run_id: str, prompt_id: str) -> str:
    place = {"prompt": prompt_id, "run": run_id, "type": "covered"}
    button = {**place, "type": "uncover"}
    name = next(d["output"] for d in client.get("/ui/_dash-dependencies").json() if '"type":"covered"' in d["output"])
    body = {
        "output": name,
        "outputs": {"id": place, "property": "children"},
        "inputs": [{"id": button, "property": "n_clicks", "value": 1}],
        "state": [{"id": button, "property": "id", "value": button}],
        "changedPropIds": [json.dumps(button, sort_keys=True, separators=(",", ":")) + ".n_clicks"],
    }
    answer = client.post("/ui/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_click_uncovers_one_prompt_and_its_answers(client: TestClient, done: RunInfo) -> None:
    text = uncover(client, done.id, "h0")
    assert "Harmful request 0 about banking" in text
    assert "I cannot help with that." in text
    assert "Masked answer to h0." in text
    assert "h1" not in text


@pytest.fixture
def discreet(tmp_path: Path, services: Services) -> Iterator[TestClient]:
    settings = Settings(data_dir=services.settings.data_dir, hide_completions=True)
    opened = open_services(settings)
    server = create_app(settings, opened)
    pages: Dash = attach_pages(server, opened)
    assert pages is not None
    with TestClient(server, base_url="http://127.0.0.1:8000") as client:
        yield client
    opened.close()


def test_a_server_that_hides_answers_never_sends_one(done: RunInfo, discreet: TestClient) -> None:
    text = uncover(discreet, done.id, "h0")
    assert "Harmful request 0 about banking" in text
    assert "I cannot help with that." not in text
    assert "hidden on this server" in text


def test_a_server_that_hides_prompts_never_sends_one(done: RunInfo, services: Services, client: TestClient) -> None:
    object.__setattr__(services, "settings", services.settings.model_copy(update={"hide_prompts": True}))
    text = uncover(client, done.id, "h0")
    assert "Harmful request 0 about banking" not in text
    assert "The text of prompts is hidden on this server." in text
    assert "I cannot help with that." in text
