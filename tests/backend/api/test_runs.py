"""Runs over HTTP."""

import pytest
from starlette.testclient import TestClient

from backend.main import create_app
from backend.services import NewRun, RunInfo, Services, open_services
from backend.settings import Settings
from tests.backend.factories import BASE_URL, audited

URL = "/api/v1/runs"


def body(new_run: NewRun, **change: object) -> dict[str, object]:
    return {"model": new_run.model, "prompt_set_id": new_run.prompt_set_id, "preset": "quick", "seed": 3, **change}


def test_a_run_is_accepted_and_can_be_found(client: TestClient, new_run: NewRun) -> None:
    answer = client.post(URL, json=body(new_run))
    assert answer.status_code == 202
    created = answer.json()
    assert answer.headers["Location"] == f"{URL}/{created['id']}"
    assert (created["status"], created["seed"], created["model"]["id"]) == ("queued", 3, new_run.model)
    assert client.get(f"{URL}/{created['id']}").json() == created
    assert client.get(URL).json() == {"items": [created], "count": 1, "next": None}


def test_a_run_has_a_priority(client: TestClient, new_run: NewRun) -> None:
    usual = client.post(URL, json=body(new_run)).json()
    urgent = client.post(URL, json=body(new_run, priority="high")).json()
    assert (usual["priority"], urgent["priority"]) == ("normal", "high")
    assert [run["id"] for run in client.get("/api/v1/status").json()["queue"]["waiting"]] == [urgent["id"], usual["id"]]
    assert client.post(URL, json=body(new_run, priority="urgent")).status_code == 422


def test_one_run_too_many_is_refused_with_429(settings: Settings, new_run: NewRun) -> None:
    bounded = settings.model_copy(update={"runs_per_user": 1})
    services = open_services(bounded)
    with TestClient(create_app(bounded, services), base_url=BASE_URL) as client:
        assert client.post(URL, json=body(new_run)).status_code == 202
        refused = client.post(URL, json=body(new_run))
    services.close()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert "at most 1 are allowed at a time" in refused.json()["error"]["message"]


def test_an_idempotency_key_makes_a_repeat_harmless(client: TestClient, new_run: NewRun) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post(URL, json=body(new_run), headers=headers).json()
    assert client.post(URL, json=body(new_run), headers=headers).json() == first
    other = client.post(URL, json=body(new_run, seed=4), headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert client.get(URL).json()["count"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"preset": "huge"}, "preset"),
        ({"seed": -1}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"kind": "dance"}, "kind"),
        ({"sead": 1}, "sead"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, new_run: NewRun, change: dict[str, object], field: str) -> None:
    answer = client.post(URL, json=body(new_run, **change))
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == field


def test_progress_shows_stage_shards_and_time_left(client: TestClient, services: Services, running: RunInfo) -> None:
    services.runs.report_progress(running.id, "capture", 3, 4)
    progress = client.get(f"{URL}/{running.id}").json()["progress"]
    assert (progress["stage"], progress["done"], progress["total"]) == ("capture", 3, 4)
    assert progress["eta_seconds"] >= 0


def test_a_run_can_be_cancelled_and_resumed(client: TestClient, queued: RunInfo) -> None:
    assert client.post(f"{URL}/{queued.id}/cancel").json()["status"] == "cancelled"
    resumed = client.post(f"{URL}/{queued.id}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (202, "queued")
    again = client.post(f"{URL}/{queued.id}/resume")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


def test_the_list_is_filtered_and_paged(client: TestClient, services: Services, new_run: NewRun) -> None:
    ids = [services.runs.create(new_run).id for _ in range(3)]
    services.runs.cancel(ids[0])
    waiting = client.get(URL, params={"status": "queued", "limit": 1}).json()
    assert (waiting["count"], [run["id"] for run in waiting["items"]]) == (2, [ids[2]])
    rest = client.get(URL, params={"status": "queued", "cursor": waiting["next"]}).json()
    assert [run["id"] for run in rest["items"]] == [ids[1]]
    assert client.get(URL, params={"model": "tiny-qwen"}).json()["count"] == 3
    assert client.get(URL, params={"status": "asleep"}).status_code == 422
    assert client.get(URL, params={"cursor": "made up"}).status_code == 422


def test_the_list_has_the_runs_made_from_another(client: TestClient, services: Services, new_run: NewRun) -> None:
    done = audited(services, new_run)
    body = {"model": done.model.id, "prompt_set_id": done.prompt_set.id, "preset": "quick"}
    mask = client.post("/api/v1/runs", json={**body, "kind": "mask", "experts_from": done.id}).json()
    found = client.get("/api/v1/runs", params={"from": done.id}).json()
    assert (found["count"], [run["id"] for run in found["items"]]) == (1, [mask["id"]])
    assert client.get("/api/v1/runs", params={"from": mask["id"]}).json()["count"] == 0


def test_an_estimate_queues_nothing_and_says_what_it_rests_on(client: TestClient, new_run: NewRun) -> None:
    answer = client.post(f"{URL}/estimate", params={"points": 5}, json=body(new_run, device="cpu"))
    assert answer.status_code == 200
    found = answer.json()
    assert found["basis"] == "size"
    assert found["seconds"] > 0
    assert found["memory_bytes"] > 700_000_000
    assert (found["resolution"]["harmful"], found["needed"], found["waiting"]) == (6, 381, 0)
    assert {"no_worker", "interval"} <= {warning["code"] for warning in found["warnings"]}
    assert client.get(URL).json()["count"] == 0


def test_an_estimate_refuses_what_a_run_would_be_refused_with(client: TestClient, new_run: NewRun) -> None:
    answer = client.post(f"{URL}/estimate", json=body(new_run, kind="detect"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")
