"""The server as a whole: how it starts, and what it needs to."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analysis.errors import InputError
from backend.main import create_app
from backend.settings import Settings
from tests.backend.factories import BASE_URL


def test_it_starts_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    server = create_app(Settings(data_dir=tmp_path / "new" / "data"))
    with TestClient(server, base_url=BASE_URL) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/api/v1/runs").json() == {"items": [], "count": 0, "next": None}
    assert (tmp_path / "new" / "data" / "expertscope.db").is_file()


def test_a_second_start_finds_what_the_first_one_stored(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        created = client.post("/api/v1/prompt-sets", files={"file": ("a.txt", b"first prompt\nsecond prompt\n")}).json()
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        assert client.get(f"/api/v1/prompt-sets/{created['id']}").json() == created


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="data folder"):
        create_app(Settings(data_dir=tmp_path / "file" / "data"))


def test_it_refuses_to_open_itself_to_a_network_unasked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody would have to sign in"):
        create_app(Settings(data_dir=tmp_path, host="0.0.0.0"))
    assert list(tmp_path.iterdir()) == []
