"""/api/v1/status and /api/v1/audit-log."""

import csv
import io

from starlette.testclient import TestClient

from backend.services import RunInfo, Services


def fill(services: Services) -> list[int]:
    add = services.audit_log.append
    return [
        add(action, "organism:planted", {"n": number, "who": "=1+1"}, actor=actor, role="admin")
        for number, (actor, action) in enumerate(
            [
                ("local", "tuning.stress.started"),
                ("other", "tuning.stress.ended"),
                ("local", "tuning.stressful"),
                ("=cmd", "tuning.stress.started"),
            ]
        )
    ]


def test_the_status_is_the_services(client: TestClient, services: Services, queued: RunInfo) -> None:
    services.workers.beat("worker", 7, {"threads": 2})
    found = client.get("/api/v1/status").json()
    assert found["worker"]["machine"] == {"threads": 2}
    assert [run["id"] for run in found["queue"]["waiting"]] == [queued.id]
    assert found["storage"]["runs"] == 1
    assert found["software"]["expertscope"]
    assert {one["name"] for one in found["settings"]} >= {"EXPERTSCOPE_PORT", "EXPERTSCOPE_DEVICE"}


def test_entries_come_newest_first_and_page(client: TestClient, services: Services) -> None:
    ids = fill(services)
    first = client.get("/api/v1/audit-log", params={"limit": 3}).json()
    assert ([one["id"] for one in first["items"]], first["count"]) == (ids[:0:-1], 4)
    second = client.get("/api/v1/audit-log", params={"limit": 3, "cursor": first["next"]}).json()
    assert ([one["id"] for one in second["items"]], second["next"]) == ([ids[0]], None)
    assert first["items"][0]["details"] == {"n": 3, "who": "=1+1"}


def test_entries_are_narrowed_to_an_action_and_an_actor(client: TestClient, services: Services) -> None:
    ids = fill(services)

    def found(**query: str) -> list[int]:
        answer = client.get("/api/v1/audit-log", params=query).json()
        assert answer["count"] == len(answer["items"])
        return [one["id"] for one in answer["items"]]

    assert found(action="tuning.stress") == [ids[3], ids[1], ids[0]], "an action has those below it, by whole words"
    assert found(action="tuning.stress.started", actor="local") == [ids[0]]
    assert found(actor="nobody") == []


def test_a_cursor_that_no_list_gave_out_is_refused(client: TestClient) -> None:
    answer = client.get("/api/v1/audit-log", params={"cursor": "x' or 1=1"})
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "cursor")


def test_the_csv_has_every_matching_entry_and_no_formula(client: TestClient, services: Services) -> None:
    fill(services)
    answer = client.get("/api/v1/audit-log.csv", params={"action": "tuning.stress"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["actor"] for row in rows] == ["'=cmd", "other", "local"]
    assert rows[0]["details"] == '{"n": 3, "who": "=1+1"}'


def test_runs_are_searched_by_words_of_their_names(client: TestClient, queued: RunInfo) -> None:
    def found(search: str) -> list[str]:
        return [run["id"] for run in client.get("/api/v1/runs", params={"search": search}).json()["items"]]

    assert found("TINY requests") == [queued.id]
    assert found(queued.id) == [queued.id]
    assert found("tiny nothing") == []
    assert found("%") == []
