"""The topics page: what drives each layer in words, one layer marked everywhere, topics and experts to select."""

from collections.abc import Callable
from typing import Any

from backend.services import RunInfo, Services
from tests.backend.factories import make_result

Show = Callable[..., str]


def test_a_newcomer_reads_what_drives_a_layer(show: Show, services: Services, queued: RunInfo) -> None:
    result = make_result(services.prompt_sets.load(queued.prompt_set.id))
    ratio = {"estimate": 2.0, "low": 1.5, "high": 2.5, "n": 12}
    result.report["routing"]["per_layer"][2]["topic_ratio"] = ratio
    services.runs.mark_running(queued.id)
    services.runs.finish(queued.id, result)
    page = show(f"/ui/runs/{queued.id}/topics")
    assert "Topic drives layers 1, 2, safety drives layer 3" in page
    rows = page.replace("\\", "")
    assert rows.count('["Safety more than topic"]') == 1
    assert rows.count('["span",{"class":"topic"},["Topic"]]') == 2


def test_every_layer_has_a_button_and_a_row_that_can_be_marked(show: Show, done: RunInfo) -> None:
    rows = show(f"/ui/runs/{done.id}/topics").replace("\\", "")
    for layer in (1, 2, 3):
        assert rows.count(f'["Layer {layer}"]') == 2
        assert rows.count(f'["tr",{{"data-layer":"{layer}"}}') == 2
    assert rows.count('"data-layer":"2"') == 4, "two buttons in two rows"


def test_topics_and_flagged_experts_can_be_selected_by_keyboard(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/topics")
    for name in ("topic:banking", "topic:travel", "expert:2.5", "expert:1.3"):
        assert f'"data-select": "{name}"' in page


def test_another_layer_brings_its_neighbours(call: Callable[..., dict[str, Any]], done: RunInfo) -> None:
    values = {"topics-prompts.value": "benign", "topics-layer.value": "3", "topics-run.data": done.id}
    drawn = call("topics-neighbours.children", values, "topics-layer.value")
    assert "0.3" in str(drawn["topics-neighbours"]), "JSD between the two topics in layer 3"
    values["topics-layer.value"] = "9"
    missing = call("topics-neighbours.children", values, "topics-layer.value")
    assert missing["topics-neighbours"]["children"] is None


def test_the_contents_lead_to_parts_that_are_there(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/topics")
    for part in ("layers", "contrasts", "distances", "explained", "numbers"):
        assert f'"href": "#{part}"' in page
        assert f'"id": "{part}"' in page
