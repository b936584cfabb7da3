"""Runs of other kinds over HTTP: asked for with their own fields, found by kind, answered with their own document."""

import json
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from backend.services import NewRun, RunDocument, RunInfo, Services
from backend.services.run_files import files_folder
from tests.backend.factories import make_csv

URL = "/api/v1/runs"
CONTENT = {"schema": "expertscope.mask/1", "verdict": {"sentence": "Nothing."}, "certificate": {"passed": True}}


@pytest.fixture
def masked(services: Services, new_run: NewRun) -> RunInfo:
    asked = replace(new_run, kind="mask", parameters={"experts": "0:3"})
    run = services.runs.mark_running(services.runs.create(asked).id)
    return services.runs.finish(run.id, RunDocument(CONTENT))


def body(new_run: NewRun, **change: object) -> dict[str, object]:
    return {"model": new_run.model, "prompt_set_id": new_run.prompt_set_id, "preset": "quick", **change}


@pytest.mark.parametrize("experts", ["0:3, 2:5", [[0, 3], [2, 5]]])
def test_a_mask_takes_its_own_fields(client: TestClient, new_run: NewRun, experts: object) -> None:
    answer = client.post(URL, json=body(new_run, kind="mask", experts=experts, mode="mask_reroute"))
    assert answer.status_code == 202
    run = answer.json()
    assert (run["kind"], run["status"]) == ("mask", "queued")
    assert run["parameters"] == {
        "experts": [[0, 3], [2, 5]],
        "mode": "mask_reroute",
        "window": "both",
        "max_new_tokens": None,
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "mask"}, "experts"),
        ({"kind": "mask", "experts": 5}, "experts"),
        ({"kind": "mask", "experts": [[0, "x"]]}, "experts"),
        ({"kind": "mask", "experts": "0:99"}, "experts"),
        ({"kind": "mask", "experts": "0:3", "mode": "melt"}, "mode"),
        ({"kind": "mask", "experts": "0:3", "max_new_tokens": 0}, "max_new_tokens"),
        ({"kind": "trace", "detector": "routescan"}, "detector"),
        ({"kind": "detect"}, "prompt_set_id"),
        ({"experts": "0:3"}, "experts"),
    ],
)
def test_a_wrong_field_of_a_kind_is_named(
    client: TestClient, new_run: NewRun, change: dict[str, object], field: str
) -> None:
    answer = client.post(URL, json=body(new_run, **change))
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == field
    assert client.get(URL).json()["count"] == 0


def test_the_list_is_filtered_by_kind(client: TestClient, new_run: NewRun) -> None:
    client.post(URL, json=body(new_run))
    client.post(URL, json=body(new_run, kind="trace", max_new_tokens=0))
    assert [run["kind"] for run in client.get(URL, params={"kind": "trace"}).json()["items"]] == ["trace"]
    assert client.get(URL, params={"kind": "dance"}).status_code == 422


def test_the_document_is_there_under_two_names(client: TestClient, masked: RunInfo) -> None:
    for name in ("document", "mask.json"):
        assert client.get(f"{URL}/{masked.id}/{name}").json() == CONTENT
    saved = client.get(f"{URL}/{masked.id}/mask.json", params={"download": True})
    assert saved.headers["Content-Disposition"].startswith('attachment; filename="tiny-qwen-mask-requests-')
    assert client.get(f"{URL}/{masked.id}/certificate.json").json() == {"passed": True}


@pytest.mark.parametrize(
    "name", ["report.json", "report.html", "experts.csv", "heatmap", "detector.json", "trace.json"]
)
def test_a_mask_has_nothing_of_another_kind(client: TestClient, masked: RunInfo, name: str) -> None:
    answer = client.get(f"{URL}/{masked.id}/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "of kind mask" in answer.json()["error"]["message"]


def test_an_audits_document_is_its_report(client: TestClient, done: RunInfo) -> None:
    assert client.get(f"{URL}/{done.id}/document").json() == client.get(f"{URL}/{done.id}/report.json").json()
    assert client.get(f"{URL}/{done.id}/mask.json").status_code == 404


def test_a_run_without_a_result_is_a_conflict(client: TestClient, queued: RunInfo) -> None:
    answer = client.get(f"{URL}/{queued.id}/document")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


def test_a_detector_can_be_taken_away(client: TestClient, services: Services, new_run: NewRun) -> None:
    prompts = services.prompt_sets.create(make_csv(pairs=10), "enough.csv")
    created = client.post(URL, json=body(new_run, kind="detect", prompt_set_id=prompts.id)).json()
    run = services.runs.mark_running(created["id"])
    folder = files_folder(services.settings, run.id)
    folder.mkdir(parents=True)
    (folder / "detector.safetensors").write_bytes(b"weights")
    services.runs.finish(run.id, RunDocument({**CONTENT, "schema": "expertscope.detector/1"}))
    answer = client.get(f"{URL}/{run.id}/detector.safetensors")
    assert answer.content == b"weights"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_the_finish_is_an_event_with_its_headline(client: TestClient, services: Services, masked: RunInfo) -> None:
    last = services.runs.events(masked.id)[-1]
    assert (last.kind, last.data["headline"]) == ("done", "Nothing.")
    stream = client.get(f"{URL}/{masked.id}/events").text
    assert json.dumps("Nothing.") in stream


def test_stress_without_permission_is_forbidden(client: TestClient, new_run: NewRun) -> None:
    answer = client.post(URL, json=body(new_run, kind="tune", experts="0:3", direction="stress"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert "EXPERTSCOPE_ALLOW_STRESS_TUNING" in answer.json()["error"]["message"]
    assert client.get(URL).json()["count"] == 0


def test_a_tuning_takes_its_own_fields(client: TestClient, new_run: NewRun) -> None:
    own = {"experts": "0:3", "recipe": "safemoe", "rank": 4, "steps": 10, "controls": 5}
    parameters = client.post(URL, json=body(new_run, kind="tune", **own)).json()["parameters"]
    assert parameters == {**own, "experts": [[0, 3]], "direction": "harden"}
