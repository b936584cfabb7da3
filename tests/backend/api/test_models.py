"""Models over HTTP."""

from pathlib import Path

from starlette.testclient import TestClient

from tests.tiny_models import save_tiny_model

URL = "/api/v1/models"


def test_a_folder_is_registered_after_a_look_inside(client: TestClient, model_folder: Path) -> None:
    answer = client.post(URL, json={"ref": str(model_folder)})
    assert answer.status_code == 201
    created = answer.json()
    assert (created["family"], created["description"]["experts"], created["description"]["top_k"]) == (
        "qwen3_moe",
        8,
        3,
    )
    assert client.get(f"{URL}/{created['id']}").json() == created
    assert client.get(URL).json() == {"items": [created], "count": 1, "next": None}


def test_what_is_no_mixture_of_experts_is_refused_by_name(client: TestClient, tmp_path: Path) -> None:
    answer = client.post(URL, json={"ref": str(save_tiny_model("llama", tmp_path / "dense"))})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "not_mixture_of_experts"
    assert "llama" in error["message"].lower()


def test_a_folder_that_is_not_there_is_refused(client: TestClient, tmp_path: Path) -> None:
    answer = client.post(URL, json={"ref": str(tmp_path / "missing")})
    assert answer.status_code in (404, 422)
    assert "missing" in answer.json()["error"]["message"]
    assert client.get(URL).json()["count"] == 0
