"""The real application over a real SQLite file in the test's own folder, with a real (tiny) checkpoint to name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from backend.main import create_app
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services, open_services
from backend.settings import Settings
from tests.backend.factories import BASE_URL, make_csv, make_result
from tests.tiny_models import save_tiny_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model("qwen3_moe", tmp_path_factory.mktemp("models") / "tiny-qwen")


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None for SQLite in the data folder; with --database postgresql the URL of a fresh database."""
    if request.config.getoption("--database") == "sqlite":
        yield None
        return
    with request.getfixturevalue("postgres").fresh() as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, database_url: str | None) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, event_poll_seconds=0.02)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    opened = open_services(settings)
    yield opened
    opened.close()


@pytest.fixture
def app(settings: Settings, services: Services) -> FastAPI:
    return create_app(settings, services)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture
def model(services: Services, model_folder: Path) -> ModelInfo:
    return services.models.register(str(model_folder))


@pytest.fixture
def prompt_set(services: Services) -> PromptSetInfo:
    return services.prompt_sets.create(make_csv(), "requests.csv")


@pytest.fixture
def new_run(model: ModelInfo, prompt_set: PromptSetInfo) -> NewRun:
    return NewRun(model=model.id, prompt_set_id=prompt_set.id, preset="quick")


@pytest.fixture
def queued(services: Services, new_run: NewRun) -> RunInfo:
    return services.runs.create(new_run)


@pytest.fixture
def running(services: Services, queued: RunInfo) -> RunInfo:
    return services.runs.mark_running(queued.id)


@pytest.fixture
def done(services: Services, running: RunInfo, prompt_set: PromptSetInfo) -> RunInfo:
    return services.runs.finish(running.id, make_result(services.prompt_sets.load(prompt_set.id)))
