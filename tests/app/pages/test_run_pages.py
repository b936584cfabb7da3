"""The pages of a finished run show the report's numbers, and no others."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.pages.experts import rows as expert_rows
from app.pages.routing.layer_table import layer_table
from app.pages.run import report as report_page
from backend import formats
from backend.services import NotInstalledError, RunInfo, Services
from tests.backend.factories import FLAGGED, make_result

Show = Callable[..., str]


def test_the_overview_answers_six_questions(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}")
    for question in ("Asked", "Capture", "Routing", "Experts", "Effect", "Doubt"):
        assert f'"{question}"' in page
    assert "2 experts carry refusal" in page
    assert "Routing follows topic, not safety" in page
    assert '"0.24"' in page
    assert '"[0.19, 0.29]"' in page
    assert "3/3 layers, 1\u202f200 of 1\u202f200 selections" in page
    assert "Judge agreement" in page
    assert "one judge was asked" in page


def test_no_such_expert_is_a_full_answer(show: Show, nothing_found: RunInfo) -> None:
    page = show(f"/ui/runs/{nothing_found.id}")
    assert "No expert was found that refusal depends on" in page
    assert "No expert of 24 was found to carry refusal" in page
    assert "nothing to mask" in page


def test_rare_experts_and_caveats_stand_on_the_overview(show: Show, services: Services, queued: RunInfo) -> None:
    running = services.runs.mark_running(queued.id)
    result = make_result(services.prompt_sets.load(running.prompt_set.id))
    assert "rare expert" not in str(result.report)
    caveat = "Alarm: expert L1·E3 is rarely at work."
    verdict = result.report["verdict"]
    result.report["verdict"] = verdict | {"sentence": f"{verdict['sentence']} {caveat}", "caveats": [caveat]}
    expert = {"layer": 1, "expert": 3, "load": 0.045, "prompts": 7, "margin": -24.6, "refusal": -1.0, "alarm": True}
    quiet = {**expert, "expert": 2, "refusal": 0.0, "alarm": False}
    result.report["rare"] = [expert, quiet]
    page = show(f"/ui/runs/{services.runs.finish(running.id, result).id}")
    assert "Alarm: 1 rare expert changes refusal on the few prompts that use it" in page
    assert "4.5 % of an even load, used by 7 harmful prompts; refusal there without it: 100 points higher" in page
    assert f"/ui/runs/{queued.id}/experts/1/3" in page
    assert f'"{caveat}"' in page, "a caveat is a line of its own"
    assert f"/ui/runs/{queued.id}/experts/1/2" not in page, "with an alarm, the quiet ones are counted only"


@pytest.mark.parametrize("tab", ["", "/routing", "/topics", "/experts", "/interventions", "/report", "/experts/2/5"])
def test_every_tab_has_the_frame(show: Show, done: RunInfo, tab: str) -> None:
    page = show(f"/ui/runs/{done.id}{tab}")
    for part in ("Breadcrumbs", "Copy link", "Capture exact", "Views of this run"):
        assert part in page
    assert done.name in page


CELLS = {
    "routing-quantity.value": "difference",
    "routing-group.value": "topic:banking",
    "routing-window.value": "response",
}


def test_the_heatmap_holds_the_cells_of_the_service(
    call: Callable[..., dict[str, Any]], services: Services, done: RunInfo
) -> None:
    about = {"run": done.id, "flagged": [list(place) for place in FLAGGED]}
    values = {**CELLS, "routing-order.value": "index", "routing-view.value": "picture", "routing-run.data": about}
    drawn = call("routing-heatmap.figure", values, "routing-quantity.value")
    expected = services.results.heatmap(done.id, "difference", "topic:banking", "response").values
    cells = drawn["routing-heatmap"]["figure"]["data"][0]["z"]
    assert cells["dtype"] == "f4"
    shown = np.frombuffer(base64.b64decode(cells["bdata"]), dtype=np.float32).reshape(expected.shape)
    np.testing.assert_array_equal(shown, expected)
    assert drawn["routing-title"]["children"] == "Harmful − benign, topic banking"
    assert "group=topic%3Abanking&window=response" in drawn["routing-csv"]["href"]


def test_the_table_holds_the_cells_of_the_service(
    call: Callable[..., dict[str, Any]], services: Services, done: RunInfo
) -> None:
    request = {"startRow": 0, "endRow": 100, "sortModel": [], "filterModel": {}}
    about = {"run": done.id, "flagged": [list(place) for place in FLAGGED]}
    values = {**CELLS, "routing-table.getRowsRequest": request, "routing-run.data": about}
    rows = call("routing-table.getRowsResponse", values, "routing-table.getRowsRequest")["routing-table"]
    expected = services.results.heatmap(done.id, "difference", "topic:banking", "response").values
    shown = [row["value"] for row in rows["getRowsResponse"]["rowData"]]
    np.testing.assert_array_equal(np.array(shown, dtype=np.float32).reshape(expected.shape), expected)
    assert rows["getRowsResponse"]["rowCount"] == expected.size


def test_the_address_decides_what_the_heatmap_shows(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/routing", "?quantity=lift&group=topic:travel&window=boundary")
    assert '"Lift, topic travel"' in page
    assert "the last token before the answer begins" in page


def test_an_expert_in_the_address_opens_at_the_side(show: Show, done: RunInfo) -> None:
    assert "L2·E5 carries refusal" in show(f"/ui/runs/{done.id}/routing", "?expert=2.5")
    assert "L2·E5 carries refusal" not in show(f"/ui/runs/{done.id}/routing")


def test_a_quantity_that_does_not_exist_is_named(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/routing", "?quantity=colour")
    assert "This cannot be shown" in page
    assert "colour" in page


def test_a_difference_is_not_offered_within_one_label(call: Callable[..., dict[str, Any]], done: RunInfo) -> None:
    groups = ["all", "harmful", "benign", "topic:banking", "topic:banking/harmful"]
    values = {
        "routing-quantity.value": "difference",
        "routing-groups.data": groups,
        "routing-group.value": "harmful",
    }
    offered = call("routing-group.data", values, "routing-quantity.value")["routing-group"]
    names = [item["value"] for part in offered["data"] for item in part["items"]]
    assert names == ["all", "topic:banking"]
    assert offered["value"] == "all"


def test_a_click_on_a_cell_opens_its_expert(call: Callable[..., dict[str, Any]], done: RunInfo) -> None:
    values = {"routing-open.data": {"place": "1.3"}, "routing-run.data": {"run": done.id, "flagged": []}}
    opened = call("routing-drawer.opened", values, "routing-open.data")
    assert opened["routing-drawer"]["opened"] is True
    assert f"/ui/runs/{done.id}/experts/1/3" in str(opened)


Fetch = Callable[..., dict[str, Any]]


@pytest.fixture
def fetch(client: TestClient) -> Fetch:
    """A block of the table of experts, as the grid asks for it."""

    def ask(run: RunInfo, topic: str | None = None, **request: Any) -> dict[str, Any]:
        query = {
            "start": request.get("startRow", 0),
            "end": request.get("endRow", 100),
            "sort": json.dumps(request.get("sortModel", [])),
            "filter": json.dumps(request.get("filterModel", {})),
            "criteria": "raset,raset_gradient,safex,ablation",
        } | ({"topic": topic} if topic else {})
        answer = client.get(f"/ui/runs/{run.id}/experts/rows", params=query)
        said = answer.json()
        if answer.status_code != 200:
            return {"status": answer.status_code, "notice": said["error"]["message"]}
        return {"rowData": said["rows"], "rowCount": said["count"], "count": said["text"]}

    return ask


def test_the_experts_table_has_every_expert_with_ranks_by_criterion(
    show: Show, fetch: Fetch, services: Services, done: RunInfo
) -> None:
    experts = services.results.experts(done.id)
    rows = fetch(done)["rowData"]
    assert [row["rank"] for row in rows] == list(range(1, 25))
    assert [row["flagged"] for row in rows[:3]] == [True, True, False]
    best = max(experts, key=lambda row: row["scores"]["raset"])
    assert next(row["name"] for row in rows if row["rank_raset"] == 1) == formats.place(best["layer"], best["expert"])
    assert "score_safex" not in rows[0], "withheld for all"
    assert "2 of 24 experts carry refusal" in show(f"/ui/runs/{done.id}/experts")


def test_a_block_of_the_table_is_sorted_and_filtered_by_the_server(fetch: Fetch, done: RunInfo) -> None:
    found = fetch(
        done,
        startRow=2,
        endRow=5,
        sortModel=[{"colId": "layer", "sort": "desc"}],
        filterModel={"layer": {"filterType": "number", "type": "lessThan", "filter": 3}},
    )
    assert found["rowCount"] == 16
    assert [row["layer"] for row in found["rowData"]] == [2, 2, 2]
    assert found["count"] == "16 of 24 experts"


def test_a_filter_that_does_not_exist_says_why(fetch: Fetch, done: RunInfo) -> None:
    found = fetch(done, filterModel={"colour": {"type": "equals", "filter": 3}})
    assert found["status"] == 422
    assert "experts have no column 'colour'" in found["notice"]


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "rank"},
        {"sort": "{}"},
        {"sort": "[3]"},
        {"sort": '[{"colId": "colour"}]'},
        {"filter": "[]"},
        {"filter": '{"layer": 3}'},
        {"filter": '{"layer": {"type": "equals", "filter": [1]}}'},
        {"filter": '{"layer": {"conditions": 3}}'},
        {"filter": '{"layer": {"conditions": [3]}}'},
        {"filter": '{"layer": {"conditions": []}}'},
        {"sort": '[{"colId": ["rank"], "sort": "asc"}]'},
        {"sort": '[{"colId": "rank", "sort": "up"}]'},
        {"topic": "nowhere"},
        {"start": "-1"},
        {"end": "many"},
    ],
)
def test_what_no_table_asks_for_is_refused(client: TestClient, done: RunInfo, query: dict[str, str]) -> None:
    answer = client.get(f"/ui/runs/{done.id}/experts/rows", params=query)
    assert answer.status_code == 422, answer.text


def test_an_answer_has_no_more_rows_than_are_allowed_and_an_unknown_run_none(
    client: TestClient, done: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expert_rows, "MOST", 10)
    answer = client.get(f"/ui/runs/{done.id}/experts/rows", params={"start": 5, "end": 10**9}).json()
    assert ([row["rank"] for row in answer["rows"]], answer["count"]) == ([*range(6, 16)], 24)
    assert client.get("/ui/runs/nowhere/experts/rows").status_code == 404


def test_a_selected_topic_is_a_column_with_its_lift(
    show: Show, fetch: Fetch, services: Services, done: RunInfo
) -> None:
    assert '"headerName": "lift, travel"' in show(f"/ui/runs/{done.id}/experts", "?topic=travel")
    assert "lift, " not in show(f"/ui/runs/{done.id}/experts", "?topic=nowhere")
    row = fetch(done, topic="travel")["rowData"][0]
    use = next(use for use in services.results.expert(done.id, 2, 5).by_topic if use.topic == "travel")
    assert row["lift_topic"] == pytest.approx(use.lift)


def test_the_page_the_api_and_the_report_show_the_same_experts(
    fetch: Fetch, client: Any, services: Services, done: RunInfo
) -> None:
    report = client.get(f"/api/v1/runs/{done.id}/report.json").json()["experts"]
    listed = client.get(f"/api/v1/runs/{done.id}/experts").json()["items"]
    assert report == listed == services.results.experts(done.id)
    for row, expert in zip(fetch(done)["rowData"], report, strict=True):
        assert row["name"] == formats.place(expert["layer"], expert["expert"])
        for key in ("rank", "level", "flagged", "q_value", "stability"):
            assert row[key] == expert[key]
        assert (row["harmful"], row["benign"]) == (expert["frequency"]["harmful"], expert["frequency"]["benign"])
        assert row["effect"] == expert["effect"]["estimate"]
        assert row["effect_text"] == str(formats.interval(expert["effect"]))
        assert row["score_raset"] == expert["scores"]["raset"]
        passed = [name for place, name in enumerate(expert["evidence"]) if row["rungs"] & 1 << place]
        assert passed == [name for name, yes in expert["evidence"].items() if yes]


def test_the_ranks_are_drawn_with_what_is_selected(
    show: Show, call: Callable[..., dict[str, Any]], done: RunInfo
) -> None:
    page = show(f"/ui/runs/{done.id}/experts", "?sel=3.7")
    assert "on the ranking: median ρ = " in page
    assert "<b>L3·E7</b>" in page
    asked = {"run": done.id, "criteria": ["raset", "ablation"], "topic": None}
    values = {"selection.data": {"experts": ["1.0"]}, "experts-run.data": asked, "experts-drawn.data": [[3, 7]]}
    drawn = call("experts-ranks.figure", values, "selection.data")
    assert drawn["experts-drawn"]["data"] == [[1, 0]]
    assert "<b>L1·E0</b>" in str(drawn["experts-ranks"])


def test_a_weak_baseline_is_a_column_only_where_all_criteria_are_asked_for(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/experts")
    assert '"headerName": "gatebreaker"' not in page
    assert "Show 1 more criterion" in page
    everything = show(f"/ui/runs/{done.id}/experts", "?criteria=all")
    assert '"headerName": "gatebreaker"' in everything
    assert "Show fewer criteria" in everything


def test_an_expert_page_shows_what_a_criterion_says_beside_its_score(show: Show, done: RunInfo) -> None:
    assert "delta 0.25, q 0.5" in show(f"/ui/runs/{done.id}/experts/2/5")


def test_order_and_filter_of_the_table_come_from_the_address(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/experts", '?sort=q_value.desc&filter={"layer":{"type":"equals","filter":2}}')
    assert '"sort": "desc"' in page
    assert '"filterModel": {"layer": {"type": "equals", "filter": 2}}' in page
    assert '"filterModel": {}' in show(f"/ui/runs/{done.id}/experts", "?filter=not-json")


def test_an_expert_page_shows_its_row_of_the_report(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/experts/2/5")
    assert "L2·E5 carries refusal" in page
    assert "1.50 nats" in page
    assert "rank 1 of 24" in page
    assert "Evidence 6 of 6" in page


def test_an_expert_page_shows_whom_it_works_with_and_its_tokens(show: Show, services: Services, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/experts/2/5")
    first = services.results.expert(done.id, 2, 5).partners[0]
    assert f"/ui/runs/{done.id}/experts/2/{first.expert}" in page
    assert f'"{formats.percent(first.probability)}"' in page
    assert f'"{formats.number(first.lift, 2)} ×"' in page
    assert "␣pay" in page
    assert "⏎" in page
    assert '"special"' in page


def test_an_expert_that_no_token_prefers_says_so(show: Show, done: RunInfo) -> None:
    assert "No token that occurs at least 10 times" in show(f"/ui/runs/{done.id}/experts/2/0")


def test_the_routing_page_has_a_row_for_every_layer(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/routing")
    for text in ("Routing by layer", "2.50 bits", "81 %", " against 32 %", " travel", " 2.2 ×", " 44 %", " 1.7 ×"):
        assert text in page


def test_a_layer_table_says_what_is_withheld() -> None:
    row = {"layer": 3, "entropy": 1.5, "effective_experts": 4.0}
    empty = dict.fromkeys(("coactivation", "topic_specialisation", "vocabulary_specialisation"))
    withheld = [{"what": "routing.per_layer.vocabulary_specialisation", "why": "no token id occurs 10 times"}]
    page = str(layer_table("r", {"routing": {"per_layer": [row | empty]}, "withheld": withheld}).to_plotly_json())
    assert "Vocabulary specialisation withheld: no token id occurs 10 times." in page


def test_texts_stay_out_of_the_page_until_somebody_asks(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/experts/2/5")
    assert "Show prompt and answers" in page
    assert "Harmful request" not in page
    assert "I cannot help with that" not in page


def test_an_expert_that_the_model_lacks_is_not_found(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/experts/2/99")
    assert '"Not found"' in page
    assert "layer 2 has no expert 99" in page


def test_the_report_page_leads_to_the_files_of_the_api(client: Any, show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/report")
    for name in ("report.pdf", "report.html", "report.json", "experts.xlsx", "experts.csv", "certificate.json"):
        address = f"/api/v1/runs/{done.id}/{name}"
        assert f'"{address}?download=true"' in page
        assert client.get(address).status_code == 200


def test_the_report_page_shows_page_one_of_the_pdf(show: Show, services: Services, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/report")
    summary = services.results.page_one(done.id)
    for one in summary.questions:
        assert json.dumps(one.answer, ensure_ascii=False) in page
    for limit in summary.limits:
        assert limit in page
    assert "Evidence 6 of 6" in page


def test_the_length_of_the_pdf_is_told_once_it_is_drawn(
    call: Callable[..., dict[str, Any]], services: Services, done: RunInfo
) -> None:
    told = call("report-pdf-size.children", {"report-run.data": done.id}, "report-run.data")
    pdf = services.results.report_pdf(done.id)
    assert told["report-pdf-size"]["children"] == f"{pdf.pages} pages, {formats.size(len(pdf.content))}"


def test_a_server_without_pango_says_so_where_the_pdf_would_be(
    call: Callable[..., dict[str, Any]], client: Any, monkeypatch: pytest.MonkeyPatch, done: RunInfo
) -> None:
    def missing() -> None:
        raise NotInstalledError("a PDF needs Pango: apt-get install libpango-1.0-0")

    monkeypatch.setattr("backend.reports.pdf.check_pdf", missing)
    told = call("report-pdf-size.children", {"report-run.data": done.id}, "report-run.data")
    assert "apt-get install" in told["report-pdf-size"]["children"]
    answer = client.get(f"/api/v1/runs/{done.id}/report.pdf")
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_installed")


def test_the_outcomes_have_stability_only_where_the_report_has_it() -> None:
    report = make_result().report
    assert "at most" not in str(report_page._outcomes(report, 24))
    report["outcomes"]["over_topics"] = {"refusal_harmful": {"estimate": 0.72, "low": 0.61, "high": 0.81, "n": 300}}
    report["stability"] = {"passed": 5, "expected_false": 0.83}
    text = str(report_page._outcomes(report, 24))
    assert "5 of 24; at most 0.83 expected by chance" in text
    assert "[61, 81]" in text


def test_the_topics_page_has_all_five_contrasts_and_says_what_was_forced(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/topics")
    for part in ("Topic", "Within topic", "Safety", "Refusal prefix", "Behaviour", "Shared of 2"):
        assert f'"{part}"' in page
    assert "“I cannot help” (from the model's own answers) and “Sure, I'd be” (built in)" in page
    assert "chance alone explains, 0.09 by topic and 0.09 by harm" in page
    assert "7 pairs of" not in page
    assert "5 pairs of benign prompts, mean over layers" in page


def test_the_address_chooses_the_matrix(show: Show, done: RunInfo) -> None:
    assert "benign prompts, layer 3" in show(f"/ui/runs/{done.id}/topics", "?layer=3")
    assert "Not there: there are not two topics with harmful prompts." in show(
        f"/ui/runs/{done.id}/topics", "?prompts=harmful"
    )
    assert "Not there: layer 7 has no topic matrix" in show(f"/ui/runs/{done.id}/topics", "?layer=7")


def test_another_choice_draws_the_matrix_again(call: Callable[..., dict[str, Any]], done: RunInfo) -> None:
    values = {"topics-prompts.value": "benign", "topics-layer.value": "2", "topics-run.data": done.id}
    drawn = call("topics-matrix.figure", values, "topics-layer.value")
    assert drawn["topics-caption"]["children"].startswith("5 pairs of benign prompts, layer 2.")
    assert drawn["topics-matrix"]["figure"]["data"][0]["x"] == ["banking", "travel"]


def test_a_result_from_before_the_five_contrasts_is_shown(show: Show, services: Services, queued: RunInfo) -> None:
    result = make_result(services.prompt_sets.load(queued.prompt_set.id))
    routing = result.report["routing"]
    for name in ("overlap", "forced", "topic_matrix", "explained"):
        del routing[name]
    for row in (routing["jsd"], *routing["per_layer"]):
        for name in ("refusal_prefix", "behaviour", "overlap"):
            row.pop(name, None)
    services.runs.mark_running(queued.id)
    services.runs.finish(queued.id, result)
    page = show(f"/ui/runs/{queued.id}/topics")
    assert "Topic ratio by layer" in page
    assert "Five contrasts" not in page


def test_an_unknown_run_is_not_found(show: Show) -> None:
    assert "no run has the id 'nope'" in show("/ui/runs/nope")


def test_the_interventions_say_how_few_experts_it_takes(show: Show, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/interventions")
    assert "Masking 2 experts costs 97\u00a0% of refusal; as many random ones cost 1\u00a0% on average" in page
    assert "The busiest experts, for comparison" in page
    assert "L1·E0" in page
    assert '"0.20 [0.05, 0.50], n = 20"' in page


def test_the_interventions_say_when_nothing_moves_refusal(show: Show, nothing_found: RunInfo) -> None:
    assert "Masking 2 experts together hardly moves refusal" in show(f"/ui/runs/{nothing_found.id}/interventions")
