"""/runs/{a}/compare/{b}: the analysis's own document, and errors that say what now."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from analysis.comparing import compare_audits
from backend.services import ModelInfo, NewRun, PromptSetInfo, RunInfo, Services
from tests.backend.factories import EXPERTS, LAYERS, make_result, with_answers


def finished(services: Services, model: ModelInfo, prompts: PromptSetInfo, *, listed: bool = True) -> RunInfo:
    """Another audit, in which one harmful prompt is complied with."""
    queued = services.runs.create(NewRun(model.id, prompts.id, preset="quick", seed=1))
    result = with_answers(make_result(services.prompt_sets.load(prompts.id), seed=1), {"h1": "compliance"})
    if not listed:
        del result.report["outcomes"]["per_prompt"]
    return services.runs.finish(services.runs.mark_running(queued.id).id, result)


@pytest.fixture
def other(services: Services, model: ModelInfo, prompt_set: PromptSetInfo) -> RunInfo:
    return finished(services, model, prompt_set)


def refused(client: TestClient, path: str) -> tuple[int, str, str]:
    answer = client.get(f"/api/v1/runs/{path}")
    error: dict[str, Any] = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


def test_it_is_the_comparison_of_the_two_reports(client: TestClient, done: RunInfo, other: RunInfo) -> None:
    a, b = (client.get(f"/api/v1/runs/{run.id}/report.json").json() for run in (done, other))
    found = client.get(f"/api/v1/runs/{done.id}/compare/{other.id}")
    assert found.status_code == 200
    assert found.json() == json.loads(json.dumps(compare_audits(a, b).as_dict()))
    change = found.json()["outcomes"]["refusal_harmful"]
    assert (change["paired"], change["only_a"], change["only_b"]) == (True, 1, 0)


def test_the_other_way_round_every_difference_turns(client: TestClient, done: RunInfo, other: RunInfo) -> None:
    there, back = (
        client.get(f"/api/v1/runs/{a.id}/compare/{b.id}").json()["outcomes"]["refusal_harmful"]["difference"]
        for a, b in ((done, other), (other, done))
    )
    assert there["estimate"] == -back["estimate"] == pytest.approx(-1 / 6)


def test_a_report_without_a_list_of_answers_gets_the_stored_ones(
    client: TestClient, services: Services, model: ModelInfo, prompt_set: PromptSetInfo, done: RunInfo, other: RunInfo
) -> None:
    old = finished(services, model, prompt_set, listed=False)
    listed, stored = (client.get(f"/api/v1/runs/{done.id}/compare/{b.id}").json() for b in (other, old))
    assert stored["outcomes"] == listed["outcomes"]
    assert stored["prompts"] == {"a": 12, "b": 12, "shared": 12, "same": True}


def test_the_heatmap_is_one_less_the_other(client: TestClient, done: RunInfo, other: RunInfo) -> None:
    query = {"quantity": "probability", "group": "topic:travel", "window": "boundary"}
    a, b = (client.get(f"/api/v1/runs/{run.id}/heatmap", params=query).json()["values"] for run in (done, other))
    found = client.get(f"/api/v1/runs/{done.id}/compare/{other.id}/heatmap", params=query).json()
    for row in range(len(LAYERS)):
        assert found["values"][row] == pytest.approx([b[row][at] - a[row][at] for at in range(EXPERTS)], abs=1e-6)
    assert (found["group"], found["unit"]) == ("topic:travel", "mean router probability, B minus A")


def test_cells_without_an_observation_are_null(client: TestClient, done: RunInfo, other: RunInfo) -> None:
    query = {"group": "benign", "window": "response"}
    found = client.get(f"/api/v1/runs/{done.id}/compare/{other.id}/heatmap", params=query).json()["values"]
    assert {value for row in found for value in row} == {None}


def test_a_run_is_not_compared_with_itself(client: TestClient, done: RunInfo) -> None:
    status, code, message = refused(client, f"{done.id}/compare/{done.id}")
    assert (status, code) == (422, "invalid_input")
    assert "is compared with itself" in message


@pytest.mark.parametrize("path", ["{done}/compare/nobody", "nobody/compare/{done}", "nobody/compare/{done}/heatmap"])
def test_a_run_that_does_not_exist_is_not_found(client: TestClient, done: RunInfo, path: str) -> None:
    status, code, message = refused(client, path.format(done=done.id))
    assert (status, code) == (404, "not_found")
    assert "'nobody'" in message


def test_a_run_that_is_not_done_is_a_conflict(
    client: TestClient, services: Services, done: RunInfo, new_run: NewRun
) -> None:
    waiting = services.runs.create(new_run)
    status, code, message = refused(client, f"{done.id}/compare/{waiting.id}")
    assert (status, code) == (409, "conflict")
    assert "is queued and has no result" in message


def test_a_tuning_is_a_conflict_that_leads_to_its_own_page(
    client: TestClient, services: Services, done: RunInfo, model: ModelInfo, prompt_set: PromptSetInfo
) -> None:
    tuning = services.runs.create(NewRun(model.id, prompt_set.id, kind="tune", parameters={"experts": [[0, 1]]}))
    status, code, message = refused(client, f"{done.id}/compare/{tuning.id}")
    assert (status, code) == (409, "conflict")
    assert message.endswith(f"only audits can be compared: what it found itself is at /ui/runs/{tuning.id}")


def test_models_of_other_shapes_have_no_cells(
    client: TestClient, services: Services, done: RunInfo, prompt_set: PromptSetInfo, model: ModelInfo
) -> None:
    from dataclasses import replace

    queued = services.runs.create(NewRun(model.id, prompt_set.id, seed=3))
    result = make_result(services.prompt_sets.load(prompt_set.id))
    result = replace(result, routing=replace(result.routing, top_k=1))
    strange = services.runs.finish(services.runs.mark_running(queued.id).id, result)
    status, code, _ = refused(client, f"{done.id}/compare/{strange.id}/heatmap")
    assert (status, code) == (422, "withheld")


def test_a_group_that_one_run_lacks_is_named(client: TestClient, done: RunInfo, other: RunInfo) -> None:
    status, _, message = refused(client, f"{done.id}/compare/{other.id}/heatmap?group=topic:moon")
    assert status == 422
    assert "unknown group 'topic:moon'" in message
