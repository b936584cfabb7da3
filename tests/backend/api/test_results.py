"""Results over HTTP: each in its own format."""

import csv
import io
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backend.main import create_app
from backend.reports import validate_report
from backend.services import RunInfo, Services
from backend.settings import Settings
from tests.backend.factories import BASE_URL, EXPERTS, LAYERS


def get(client: TestClient, run: RunInfo, path: str, **params: object) -> object:
    answer = client.get(f"/api/v1/runs/{run.id}/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_report_is_the_published_document(client: TestClient, services: Services, done: RunInfo) -> None:
    report = get(client, done, "report.json")
    validate_report(report)
    assert report == services.results.report(done.id)
    assert get(client, done, "certificate.json") == report["certificate"]


def test_the_report_page_may_show_and_do_nothing_else(client: TestClient, done: RunInfo) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/report.html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "2 experts carry refusal." in answer.text


@pytest.mark.parametrize(("download", "disposition"), [(False, "inline"), (True, "attachment")])
def test_documents_carry_a_file_name(client: TestClient, done: RunInfo, download: bool, disposition: str) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/report.html", params={"download": download})
    header = answer.headers["content-disposition"]
    assert header.startswith(f'{disposition}; filename="tiny-qwen-requests-')
    assert header.endswith('-report.html"')
    assert header.isascii()


def test_the_experts_csv_has_a_row_for_every_expert(client: TestClient, done: RunInfo) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/experts.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == len(LAYERS) * EXPERTS
    assert (rows[0]["layer"], rows[0]["expert"], rows[0]["flagged"]) == ("2", "5", "true")


def test_experts_and_topics_are_lists(client: TestClient, done: RunInfo) -> None:
    experts, topics = get(client, done, "experts"), get(client, done, "topics")
    assert (experts["count"], len(experts["items"]), experts["next"]) == (24, 24, None)
    assert [row["layer"] for row in topics["items"]] == list(LAYERS)


def test_topics_are_compared_with_one_another(client: TestClient, done: RunInfo) -> None:
    matrix = get(client, done, "topics/matrix", layer=2)
    assert (matrix["topics"], matrix["layer"]) == (["banking", "travel"], 2)
    assert matrix["values"] == [[0.05, 0.2], [0.2, None]]
    for wrong, code in (({"prompts": "harmful"}, "withheld"), ({"layer": 9}, "invalid_input")):
        answer = client.get(f"/api/v1/runs/{done.id}/topics/matrix", params=wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_one_expert(client: TestClient, done: RunInfo) -> None:
    view = get(client, done, "experts/2/5")
    assert view["row"]["rank"] == 1
    assert {use["topic"] for use in view["by_topic"]} == {"banking", "travel"}
    assert [use["window"] for use in view["windows"]] == ["prompt", "boundary", "response"]
    assert client.get(f"/api/v1/runs/{done.id}/experts/0/0").status_code == 404


def test_one_expert_has_partners_and_tokens(client: TestClient, done: RunInfo) -> None:
    view = get(client, done, "experts/2/5")
    assert {"expert", "probability", "lift", "tokens"} == set(view["partners"][0])
    assert view["tokens"][0] == {"text": "<end>", "special": True, "share": 1.0, "tokens": 12}


def test_pairs_of_one_layer(client: TestClient, services: Services, done: RunInfo) -> None:
    pairs = get(client, done, "coactivation", layer=2)
    assert (pairs["layer"], pairs["window"], pairs["quantity"]) == (2, "prompt", "probability")
    assert [row[i] for i, row in enumerate(pairs["values"])] == [1] * EXPERTS
    for one in services.results.expert(done.id, 2, 5).partners:
        assert pairs["values"][5][one.expert] == one.probability
    assert client.get(f"/api/v1/runs/{done.id}/coactivation").status_code == 422
    refused = client.get(f"/api/v1/runs/{done.id}/coactivation", params={"layer": 0})
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "layer 0 has no experts: MoE layers are 1, 2, 3"


def test_unobserved_cells_are_null(client: TestClient, done: RunInfo) -> None:
    heatmap = get(client, done, "heatmap", group="benign", window="response")
    assert heatmap["values"] == [[None] * EXPERTS] * len(LAYERS)


def test_texts_of_answers_are_sent_only_when_asked_for(client: TestClient, done: RunInfo) -> None:
    labels = get(client, done, "answers", prompt_id="h0")["items"]
    assert [(a["variant"], a["label"], a["text"], a["span"]) for a in labels] == [
        ("base", "refusal", None, None),
        ("masked", "compliance", None, None),
    ]
    texts = get(client, done, "answers", prompt_id="h0", texts=True)["items"]
    assert (texts[0]["text"], texts[0]["span"]) == ("I cannot help with that.", [0, 13])


def test_a_server_that_hides_answers_never_sends_them(services: Services, done: RunInfo, tmp_path: Path) -> None:
    hiding = Settings(data_dir=tmp_path / "data", hide_completions=True)
    hidden = Services(**{**vars(services), "settings": hiding})
    with TestClient(create_app(hiding, hidden), base_url=BASE_URL) as client:
        items = get(client, done, "answers", texts=True)["items"]
    assert len(items) == 24
    assert {(answer["text"], answer["span"]) for answer in items} == {(None, None)}


def test_results_of_an_unfinished_run_are_a_conflict(client: TestClient, queued: RunInfo) -> None:
    for path in (
        "report.json",
        "report.html",
        "experts.csv",
        "heatmap",
        "heatmap.csv",
        "topics",
        "topics/matrix",
        "experts",
        "answers",
    ):
        answer = client.get(f"/api/v1/runs/{queued.id}/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


def test_answers_before_and_after_are_counted_and_listed(client: TestClient, done: RunInfo) -> None:
    found = get(client, done, "answers/changes", label="harmful", topic="travel")
    assert [one["prompt_id"] for one in found["prompts"]] == ["h1", "h3", "h5"]
    assert {(one["before"], one["after"]) for one in found["prompts"]} == {("refusal", "compliance")}
    moved = [one for one in found["tables"]["harmful"]["cells"] if one["count"]]
    assert [(one["before"], one["after"], one["count"], one["share"]["estimate"]) for one in moved] == [
        ("refusal", "compliance", 3, 1.0)
    ]
    refused = client.get(f"/api/v1/runs/{done.id}/answers/changes", params={"after": "shouting"})
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (422, "after")
