"""One prompt over HTTP: waited for, found again, taken back."""

import json
import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.services import ModelInfo, Services
from tests.backend.api.test_error_shape import check
from tests.backend.factories import EXPERTS, LAYERS, make_playground_answer

PLAYGROUND = "/api/v1/playground"


@pytest.fixture
def body(model: ModelInfo) -> dict[str, Any]:
    return {"model": model.id, "prompt": "How do I repair the canvas?"}


@pytest.fixture
def beating(services: Services) -> None:
    services.workers.beat("worker", 1)


def answer_next(services: Services, **change: Any) -> None:
    """What a worker does with a question, once there is one."""
    end = time.monotonic() + 20
    while (taken := services.playground.take()) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    services.playground.finish(taken.question.id, make_playground_answer(**change))


def test_without_a_worker_nobody_is_kept_waiting(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post(f"{PLAYGROUND}?wait=60", json=body)
    asked = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{PLAYGROUND}/{asked['id']}"
    assert (asked["status"], asked["result"]) == ("queued", None)
    assert asked["question"]["waiting"]["reason"] == "worker"
    assert "expertscope worker" in asked["question"]["waiting"]["message"]


@pytest.mark.usefixtures("beating")
def test_an_answer_in_time_comes_with_the_request(client: TestClient, services: Services, body: dict[str, Any]) -> None:
    worker = threading.Thread(target=answer_next, args=(services,))
    worker.start()
    answer = client.post(f"{PLAYGROUND}?wait=20", json=body)
    worker.join()
    result = answer.json()["result"]
    assert answer.status_code == 201
    assert result["answer"] == {
        "label": "refusal",
        "rule": "cannot-help",
        "judge": "rules",
        "words": None,
        "span": None,
        "text": None,
        "finished": True,
        "tokens": 7,
    }
    assert result["margin"] == {"value": 2.5, "run_id": "run-of-audit"}
    prompt = result["routing"]["windows"]["prompt"]
    assert (prompt["tokens"], len(prompt["frequency"]), len(prompt["frequency"][0])) == (12, len(LAYERS), EXPERTS)
    assert [group["label"] for group in result["distance"]["groups"]] == ["harmful", "benign"]
    tokens = result["tokens"]
    assert tokens["texts"] == ["<user>", "repair", " it", "<assistant>", *[None] * 7]
    assert tokens["parts"][3] == "boundary"
    assert [len(layer) for layer in tokens["experts"]] == [11] * len(LAYERS)
    assert tokens["weights"][0][0] == [0.5, 0.5]
    assert result["withheld"] == {"detectors": "no detector has been trained on this model"}


@pytest.mark.usefixtures("beating")
def test_what_takes_longer_is_found_at_its_location(
    client: TestClient, services: Services, body: dict[str, Any]
) -> None:
    first = client.post(f"{PLAYGROUND}?wait=0", json=body)
    assert first.status_code == 202
    assert first.json()["question"]["waiting"]["reason"] == "turn"
    answer_next(services)
    again = client.get(f"{first.headers['location']}?texts=true").json()
    assert again["status"] == "done"
    assert again["prompt"] == body["prompt"]
    assert again["result"]["answer"]["text"] == "I cannot help with that."
    assert again["result"]["answer"]["words"] == "I cannot help"


@pytest.mark.usefixtures("beating")
def test_a_question_that_failed_says_why(client: TestClient, services: Services, body: dict[str, Any]) -> None:
    question_id = client.post(f"{PLAYGROUND}?wait=0", json=body).json()["id"]
    services.playground.take()
    services.playground.fail(question_id, "the machine ran out of memory during answering")
    asked = client.get(f"{PLAYGROUND}/{question_id}?wait=5").json()
    assert (asked["status"], asked["result"]) == ("failed", None)
    assert asked["question"]["error"] == "the machine ran out of memory during answering"


def test_a_window_that_saw_nothing_is_null(client: TestClient, services: Services, body: dict[str, Any]) -> None:
    question_id = client.post(f"{PLAYGROUND}?wait=0", json=body).json()["id"]
    answer = make_playground_answer()
    frequency = answer.frequency.copy()
    frequency[2] = float("nan")
    answer_next(services, frequency=frequency, window_tokens=(12, 1, 0))
    window = client.get(f"{PLAYGROUND}/{question_id}").json()["result"]["routing"]["windows"]["response"]
    assert window["tokens"] == 0
    assert window["frequency"] == [[None] * EXPERTS] * len(LAYERS)


def test_the_list_has_no_texts_and_a_question_can_be_taken_back(
    client: TestClient, services: Services, body: dict[str, Any]
) -> None:
    question_id = client.post(f"{PLAYGROUND}?wait=0", json=body).json()["id"]
    answer_next(services)
    listed = client.get(PLAYGROUND)
    assert listed.json()["count"] == 1
    assert listed.json()["items"][0]["label"] == "refusal"
    assert "canvas" not in listed.text
    assert "cannot help" not in listed.text
    assert client.delete(f"{PLAYGROUND}/{question_id}").status_code == 204
    assert check(client.get(f"{PLAYGROUND}/{question_id}").json())["code"] == "not_found"
    assert client.get(PLAYGROUND).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"prompt": ""}, 422, "prompt"),
        ({"prompt": "\ud800"}, 422, "prompt"),
        ({"prompt": "x" * 20_001}, 422, "prompt"),
        ({"judge": "nobody"}, 422, "judge"),
        ({"max_new_tokens": 100_000}, 422, "max_new_tokens"),
        ({"temperature": 1}, 422, "temperature"),
        ({"model": "/nowhere/at/all"}, 404, None),
    ],
)
def test_what_cannot_be_asked_is_refused_in_the_usual_shape(
    client: TestClient, body: dict[str, Any], change: dict[str, Any], status: int, field: str | None
) -> None:
    sent = json.dumps({**body, **change}).encode()  # escapes a lone surrogate as a client's JSON library would
    answer = client.post(PLAYGROUND, content=sent, headers={"Content-Type": "application/json"})
    error = check(answer.json())
    assert answer.status_code == status
    if field is not None:
        assert field in [detail["field"] for detail in error["details"]]
    assert client.get(PLAYGROUND).json()["count"] == 0


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_question_is_not_found(client: TestClient, method: str) -> None:
    answer = client.request(method, f"{PLAYGROUND}/zzzzzzzzzzzz")
    assert (answer.status_code, check(answer.json())["code"]) == (404, "not_found")


@pytest.mark.parametrize("wait", ["-1", "61", "long"])
def test_nobody_waits_longer_than_a_minute(client: TestClient, wait: str) -> None:
    answer = client.get(f"{PLAYGROUND}/zzzzzzzzzzzz?wait={wait}")
    assert (answer.status_code, check(answer.json())["details"][0]["field"]) == (422, "wait")
