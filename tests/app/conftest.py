"""The real pages on the real API over a real SQLite file, with one finished run of fixture data in it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dash import Dash
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.factory import attach_pages
from backend.main import create_app
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services, open_services
from backend.settings import Settings
from tests.backend.factories import make_csv, make_result
from tests.tiny_models import save_tiny_model

BASE_URL = "http://127.0.0.1:8000"
Show = Callable[..., str]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model("qwen3_moe", tmp_path_factory.mktemp("models") / "tiny-qwen")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = open_services(Settings(data_dir=tmp_path / "data"))
    yield opened
    opened.close()


@pytest.fixture
def server(services: Services) -> FastAPI:
    return create_app(services.settings, services)


@pytest.fixture
def dash(server: FastAPI, services: Services) -> Dash:
    return attach_pages(server, services)


@pytest.fixture
def client(server: FastAPI, dash: Dash) -> Iterator[TestClient]:
    with TestClient(server, base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture
def call(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Call the callback that fills `output` ("id.property") as the browser does: `values` for its inputs and states."""

    def ask(output: str, values: dict[str, Any], changed: str) -> dict[str, Any]:
        every = client.get("/ui/_dash-dependencies").json()
        known = [d for d in every if output in d["output"].strip(".").split("...")]
        found = next(d for d in known if changed in [f"{i['id']}.{i['property']}" for i in d["inputs"]])
        names = found["output"].strip(".").split("...") if found["output"].startswith("..") else [found["output"]]
        outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]

        def fill(part: list[dict[str, str]]) -> list[dict[str, Any]]:
            return [{**item, "value": values.get(f"{item['id']}.{item['property']}")} for item in part]

        body = {
            "output": found["output"],
            "outputs": outputs if len(outputs) > 1 or found["output"].startswith("..") else outputs[0],
            "inputs": fill(found["inputs"]),
            "state": fill(found["state"]),
            "changedPropIds": [changed],
        }
        answer = client.post("/ui/_dash-update-component", json=body)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        filled: dict[str, Any] = {**said.get("sideUpdate", {}), **said["response"]}  # set_props, then the outputs
        return filled

    return ask


@pytest.fixture
def show(call: Callable[..., dict[str, Any]]) -> Show:
    """The page at an address, as the JSON that the browser gets."""

    def visit(pathname: str, search: str = "") -> str:
        values = {"visit.data": {"pathname": pathname, "search": search}}
        return json.dumps(call("content.children", values, "visit.data"), ensure_ascii=False)

    return visit


@pytest.fixture
def model(services: Services, model_folder: Path) -> ModelInfo:
    return services.models.register(str(model_folder))


@pytest.fixture
def prompt_set(services: Services) -> PromptSetInfo:
    return services.prompt_sets.create(make_csv(), "requests.csv")


@pytest.fixture
def queued(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    return services.runs.create(NewRun(model=model.id, prompt_set_id=prompt_set.id, preset="quick"))


@pytest.fixture
def done(services: Services, queued: RunInfo) -> RunInfo:
    running = services.runs.mark_running(queued.id)
    return services.runs.finish(running.id, make_result(services.prompt_sets.load(running.prompt_set.id)))


@pytest.fixture
def nothing_found(services: Services, queued: RunInfo) -> RunInfo:
    """A finished run without a flagged expert."""
    running = services.runs.mark_running(queued.id)
    result = make_result(services.prompt_sets.load(running.prompt_set.id), flagged=())
    return services.runs.finish(running.id, result)
