"""Prompt sets over HTTP: upload, JSON, lists, and errors that name the row."""

import pytest
from starlette.testclient import TestClient

from backend.services import Services
from tests.backend.factories import make_csv, make_prompts

URL = "/api/v1/prompt-sets"


def test_a_file_can_be_uploaded_with_a_name(client: TestClient) -> None:
    answer = client.post(URL, files={"file": ("requests.csv", make_csv(), "text/csv")}, data={"name": "Mine"})
    assert answer.status_code == 201
    created = answer.json()
    assert (created["name"], created["prompts"], created["pairs"], created["source"]) == ("Mine", 12, 6, "upload")
    assert client.get(f"{URL}/{created['id']}").json() == created
    assert client.get(URL).json() == {"items": [created], "count": 1, "next": None}


def test_the_same_prompts_can_be_sent_as_json(client: TestClient) -> None:
    rows = [
        {"id": p.id, "prompt": p.text, "label": p.label, "topic": p.topic, "pair_id": p.pair_id} for p in make_prompts()
    ]
    as_json = client.post(URL, json={"name": "requests", "prompts": rows}).json()
    as_file = client.post(URL, files={"file": ("requests.csv", make_csv())}).json()
    assert as_json == as_file


def test_prompts_are_read_page_by_page(client: TestClient) -> None:
    created = client.post(URL, files={"file": ("requests.csv", make_csv())}).json()
    first = client.get(f"{URL}/{created['id']}/prompts", params={"limit": 8}).json()
    rest = client.get(f"{URL}/{created['id']}/prompts", params={"limit": 8, "offset": first["next"]}).json()
    assert [p["id"] for p in first["items"] + rest["items"]] == [p.id for p in make_prompts()]
    assert (first["count"], rest["next"]) == (12, None)


def test_a_builtin_set_can_be_added_by_name(client: TestClient) -> None:
    created = client.post(URL, json={"builtin": "topic-pairs"}).json()
    assert (created["name"], created["source"]) == ("topic-pairs", "builtin")


def test_a_broken_row_is_named_with_its_column(client: TestClient) -> None:
    data = b"prompt,label\ngood,harmful\nbad,dangerous\n"
    answer = client.post(URL, files={"file": ("broken.csv", data)})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid_prompt_file"
    assert (error["details"][0]["row"], error["details"][0]["column"]) == (3, "label")
    assert client.get(URL).json()["count"] == 0


@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.csv", b""), ("noise.csv", bytes(range(256)) * 16), ("huge.csv", b"prompt\n" + b"a" * 5_000_000)],
)
def test_a_file_that_cannot_be_used_is_refused_and_nothing_is_kept(client: TestClient, name: str, data: bytes) -> None:
    answer = client.post(URL, files={"file": (name, data)})
    error = answer.json()["error"]
    assert 400 <= answer.status_code < 500
    assert set(error) == {"code", "message", "details"}
    assert name in error["message"]
    assert "\n" not in error["message"]
    assert client.get(URL).json()["count"] == 0


@pytest.mark.parametrize("media", ["text/csv", "application/x-www-form-urlencoded", ""])
def test_other_kinds_of_body_are_refused(client: TestClient, media: str) -> None:
    answer = client.post(URL, content=make_csv(), headers={"Content-Type": media})
    assert answer.status_code == 422
    assert "multipart/form-data" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "{}",
        '{"prompts": [], "builtin": "topic-pairs"}',
        '{"prompts": 3}',
        '{"promts": []}',
        '"\\ud800"',
    ],
)
def test_json_that_is_no_prompt_set_is_refused(client: TestClient, body: str) -> None:
    answer = client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]


def test_a_prompt_with_half_a_character_is_refused(client: TestClient) -> None:
    """A lone surrogate is valid JSON and no text."""
    body = '{"prompts": [{"prompt": "a\\ud800b"}]}'
    answer = client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert client.get(URL).json()["count"] == 0


def test_a_form_without_a_file_names_the_field(client: TestClient) -> None:
    for sent in (
        {"data": {"file": "text"}, "files": {"other": ("a.csv", b"x")}},
        {"files": {"other": ("a.csv", b"x")}},
    ):
        answer = client.post(URL, **sent)
        assert answer.status_code == 422
        assert answer.json()["error"]["details"][0]["field"] == "file"


FOREIGN = b"question,verdict\nHello there,unsafe\nhello  THERE,unsafe\nOther,fine\n"
READ = {
    "columns": '{"prompt": "question", "label": "verdict"}',
    "labels": '{"unsafe": "harmful", "*": "benign"}',
    "duplicates": "normalised",
}


def test_a_foreign_file_is_previewed_and_stored_by_the_same_form(client: TestClient) -> None:
    preview = client.post(f"{URL}/preview", files={"file": ("foreign.csv", FOREIGN)}, data=READ).json()
    assert (preview["rows"], preview["prompts"], preview["balance"]["topics"][0]["harmful"]) == (3, 2, 1)
    assert preview["duplicates"]["groups"] == [
        {"rows": [2, 3], "labels": ["harmful", "harmful"], "exact": False, "conflict": False}
    ]
    assert client.get(URL).json()["count"] == 0
    stored = client.post(URL, files={"file": ("foreign.csv", FOREIGN)}, data=READ).json()
    assert (stored["prompts"], stored["harmful"], stored["benign"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"columns": "question"}, "columns"),
        ({"columns": '{"colour": "x"}'}, "columns"),
        ({"columns": '{"prompt": "question"}', "labels": "[1]"}, "labels"),
        ({"duplicates": "some"}, "duplicates"),
        ({"conflicts": "guess"}, "conflicts"),
    ],
)
def test_options_that_mean_nothing_are_named(client: TestClient, given: dict[str, str], field: str) -> None:
    answer = client.post(f"{URL}/preview", files={"file": ("foreign.csv", FOREIGN)}, data=given)
    assert answer.status_code == 422
    assert field in answer.json()["error"]["message"]


def test_prompts_are_filtered_and_counted(client: TestClient) -> None:
    created = client.post(URL, files={"file": ("requests.csv", make_csv())}).json()
    found = client.get(f"{URL}/{created['id']}/prompts", params={"label": "benign", "topic": "travel"}).json()
    assert [p["id"] for p in found["items"]] == ["b1", "b3", "b5"]
    assert found["count"] == 3
    balance = client.get(f"{URL}/{created['id']}/balance").json()
    assert [topic["pairs"] for topic in balance["topics"]] == [3, 3]


def test_hidden_prompts_keep_their_ids_labels_and_topics(client: TestClient, services: Services) -> None:
    created = client.post(URL, files={"file": ("requests.csv", make_csv())}).json()
    object.__setattr__(services, "settings", services.settings.model_copy(update={"hide_prompts": True}))
    first = client.get(f"{URL}/{created['id']}/prompts").json()["items"][0]
    assert first["text"] is None
    assert (first["id"], first["label"], first["topic"]) == ("h0", "harmful", "banking")
