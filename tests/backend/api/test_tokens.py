"""Tokens over HTTP: numbers as they are stored, texts only on request."""

import numpy as np
from starlette.testclient import TestClient

from backend.main import create_app
from backend.services import RunInfo, Services
from backend.settings import Settings
from tests.backend.factories import BASE_URL, EXPERTS, LAYERS


def get(client: TestClient, run: RunInfo, path: str, status: int = 200, **params: object) -> dict:
    answer = client.get(f"/api/v1/runs/{run.id}/tokens{path}", params=params)
    assert answer.status_code == status, answer.text
    found: dict = answer.json()
    return found


def test_the_prompts_are_listed_without_their_texts(client: TestClient, done: RunInfo) -> None:
    listed = get(client, done, "")
    assert listed["count"] == 12
    assert listed["items"][0] == {
        "prompt_id": "h0",
        "topic": "banking",
        "label": "harmful",
        "pair_id": "p0",
        "group": "regular",
    }


def test_ids_and_weights_are_the_stored_ones(client: TestClient, services: Services, done: RunInfo) -> None:
    found, trace = get(client, done, "/h1"), services.results.tokens(done.id, "h1")
    assert (found["layers"], found["experts"], found["parts"]) == ([*LAYERS], EXPERTS, [*trace.parts])
    routed = trace.routed
    np.testing.assert_array_equal(np.array(found["ids"])[:, routed].astype(int), trace.ids[:, routed])
    np.testing.assert_allclose(np.array(found["weights"])[:, routed].astype(float), trace.weights[:, routed], atol=1e-5)
    assert [layer[-1] for layer in found["ids"]] == [[None, None]] * len(LAYERS)


def test_one_layer_is_that_layer_of_all(client: TestClient, done: RunInfo) -> None:
    one, whole = get(client, done, "/b2", layer=LAYERS[1]), get(client, done, "/b2")
    assert one["layers"] == [LAYERS[1]]
    assert one["ids"] == [whole["ids"][1]]


def test_texts_are_sent_only_when_asked_for(client: TestClient, services: Services, done: RunInfo) -> None:
    assert get(client, done, "/h0")["tokens"] is None
    assert get(client, done, "/h0", texts=True)["tokens"] == [*services.results.tokens(done.id, "h0").tokens]


def test_a_server_that_hides_completions_sends_none(services: Services, done: RunInfo, settings: Settings) -> None:
    hiding = settings.model_copy(update={"hide_completions": True})
    hidden = Services(**{**vars(services), "settings": hiding})
    with TestClient(create_app(hiding, hidden), base_url=BASE_URL) as client:
        found = get(client, done, "/h0", texts=True)
    sent = dict(zip(found["parts"], found["tokens"], strict=True))
    assert sent["response"] is None
    assert sent["prompt"] == " banking"


def test_what_is_not_there_is_explained(client: TestClient, done: RunInfo) -> None:
    error = get(client, done, "/nobody", status=404)["error"]
    assert (error["code"], error["message"]) == (
        "not_found",
        f"there is no prompt 'nobody' in the set 'requests' of run '{done.id}'",
    )
    assert get(client, done, "/h0", status=422, layer=9)["error"]["message"].startswith("layer 9 is no MoE layer")
