"""The event stream of a run, as a browser's EventSource reads it."""

import json
import threading
import time

from starlette.testclient import TestClient

from backend.services import RunInfo, Services


def read(text: str) -> list[dict]:
    """The events of a stream: id, event and data of each block."""
    blocks = [
        block for block in text.replace("\r\n", "\n").split("\n\n") if block.strip() and not block.startswith(":")
    ]
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [{**event, "data": json.loads(event["data"])} for event in events]


def test_a_finished_runs_story_is_told_and_the_stream_ends(client: TestClient, done: RunInfo) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = read(answer.text)
    assert [event["event"] for event in events] == ["created", "started", "done"]
    assert [event["id"] for event in events] == ["1", "2", "3"]
    assert events[-1]["data"]["headline"] == "2 experts carry refusal."
    assert events[-1]["data"]["status"] == "done"


def test_a_stream_goes_on_where_it_was_cut(client: TestClient, done: RunInfo) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/events", headers={"Last-Event-ID": "2"})
    assert [event["id"] for event in read(answer.text)] == ["3"]
    assert client.get(f"/api/v1/runs/{done.id}/events?after=1").text.count("event:") == 2


def test_a_browser_that_knows_everything_is_told_not_to_ask_again(client: TestClient, done: RunInfo) -> None:
    assert client.get(f"/api/v1/runs/{done.id}/events", headers={"Last-Event-ID": "3"}).status_code == 204


def test_news_arrives_while_the_stream_is_open(client: TestClient, services: Services, running: RunInfo) -> None:
    def work() -> None:
        for done in range(3):
            time.sleep(0.05)
            services.runs.report_progress(running.id, "capture", done, 3)
        services.runs.fail(running.id, "out of memory")

    worker = threading.Thread(target=work)
    worker.start()
    events = read(client.get(f"/api/v1/runs/{running.id}/events").text)
    worker.join()
    assert [event["event"] for event in events] == ["created", "started", "progress", "progress", "progress", "failed"]
    assert events[3]["data"]["done"] == 1
    assert events[-1]["data"]["message"] == "out of memory"


def test_a_last_event_that_is_no_number_is_refused(client: TestClient, done: RunInfo) -> None:
    answer = client.get(f"/api/v1/runs/{done.id}/events", headers={"Last-Event-ID": "third"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == "Last-Event-ID"
