"""Results come back with the numbers that the audit put in."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from analysis.errors import ConflictError, InputError, NotFoundError, WithheldError
from analysis.result import AuditResult
from backend.db.tables import ExpertScoreRow
from backend.services import PromptSetInfo, RunInfo, Services
from tests.backend.factories import EXPERTS, LAYERS, TOPICS, make_result


@pytest.fixture
def result(services: Services, prompt_set: PromptSetInfo, done: RunInfo) -> AuditResult:
    """The very result that `done` was finished with."""
    return make_result(services.prompt_sets.load(prompt_set.id))


def test_report_and_certificate_come_back_unchanged(services: Services, done: RunInfo, result: AuditResult) -> None:
    assert services.results.report(done.id) == result.report
    assert services.results.certificate(done.id) == result.certificate
    assert services.results.experts(done.id) == result.report["experts"]
    assert services.results.topics(done.id) == result.report["routing"]["per_layer"]


@pytest.mark.parametrize("quantity", ["frequency", "probability", "lift", "difference"])
@pytest.mark.parametrize("group", ["all", "topic:banking"])
def test_a_heatmap_holds_the_routing_tables_cells(
    services: Services, done: RunInfo, result: AuditResult, quantity: str, group: str
) -> None:
    heatmap = services.results.heatmap(done.id, quantity, group)
    assert (heatmap.layers, heatmap.experts) == (list(LAYERS), list(range(EXPERTS)))
    assert heatmap.values.dtype == np.float32
    np.testing.assert_array_equal(heatmap.values, result.routing.cells(quantity, group))
    assert heatmap.unit


def test_the_heatmap_csv_leaves_unobserved_cells_empty(services: Services, done: RunInfo) -> None:
    rows = list(csv.DictReader(io.StringIO(services.results.heatmap_csv(done.id, "frequency", "benign", "response"))))
    assert len(rows) == len(LAYERS) * EXPERTS
    assert {row["frequency"] for row in rows} == {""}


@pytest.mark.parametrize(
    ("quantity", "group", "window", "field"),
    [
        ("colour", "all", "prompt", "quantity"),
        ("frequency", "topic:cooking", "prompt", "group"),
        ("frequency", "all", "afterwards", "window"),
        ("difference", "harmful", "prompt", "group"),
    ],
)
def test_unknown_parts_of_a_heatmap_are_named(
    services: Services, done: RunInfo, quantity: str, group: str, window: str, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        services.results.heatmap(done.id, quantity, group, window)
    assert caught.value.field == field


def test_an_expert_is_seen_by_topic_window_and_prompt(services: Services, done: RunInfo, result: AuditResult) -> None:
    view = services.results.expert(done.id, 2, 5)
    place = LAYERS.index(2)
    assert (view.row["layer"], view.row["expert"], view.row["flagged"]) == (2, 5, True)
    assert {use.topic for use in view.by_topic} == set(TOPICS)
    for use in view.by_topic:
        assert use.frequency == pytest.approx(float(result.routing.cells("frequency", f"topic:{use.topic}")[place, 5]))
        assert use.lift == pytest.approx(use.frequency * EXPERTS / 2)
    assert [use.window for use in view.windows] == ["prompt", "boundary", "response"]
    assert view.windows[0].frequency == pytest.approx(view.row["frequency"]["all"])


def test_the_prompts_that_use_an_expert_most_come_first(services: Services, done: RunInfo, result: AuditResult) -> None:
    prompts = services.results.expert(done.id, 1, 3).prompts
    place, counts = LAYERS.index(1), result.counts
    expected = {
        prompt_id: int(counts.counts[i, 0, place, 3]) / int(counts.tokens[i, 0])
        for i, prompt_id in enumerate(counts.prompt_ids)
    }
    assert {use.prompt_id: use.frequency for use in prompts} == pytest.approx({k: v for k, v in expected.items() if v})
    assert [use.frequency for use in prompts] == sorted(expected.values(), reverse=True)[: len(prompts)]
    assert prompts[0].topic in TOPICS
    assert prompts[0].label in ("harmful", "benign")


def test_an_expert_is_seen_with_the_experts_it_works_with(
    services: Services, done: RunInfo, result: AuditResult
) -> None:
    """Partners and probabilities are those of a recount over the table of pairs, row by row."""
    partners = services.results.expert(done.id, 2, 5).partners
    counts = result.routing.coactivation.counts(2)
    selected, tokens = counts.diagonal(), int(result.counts.tokens[:, 0].sum())
    assert selected.tolist() == result.counts.counts[:, 0, LAYERS.index(2)].sum(0).tolist()
    expected = sorted(((int(counts[5, j]), -j) for j in range(EXPERTS) if j != 5 and counts[5, j]), reverse=True)
    assert [(one.tokens, -one.expert) for one in partners] == expected
    for one in partners:
        assert one.probability == pytest.approx(one.tokens / selected[5])
        assert one.lift == pytest.approx(one.probability / (selected[one.expert] / tokens))
    assert sum(one.probability for one in partners) == pytest.approx(1)  # k = 2: one partner a token


def test_an_expert_is_seen_with_its_tokens(services: Services, done: RunInfo) -> None:
    tokens = services.results.expert(done.id, 2, 5).tokens
    assert [(one.text, one.special, one.share, one.tokens) for one in tokens] == [
        ("<end>", True, 1, 12),
        (" pay", False, 0.25, 3),
        ("<b>&", False, 0.25, 3),
        ("\n", False, 0.25, 3),
    ]
    assert services.results.expert(done.id, 2, 0).tokens == []


@pytest.mark.parametrize("window", ["prompt", "response"])
def test_pairs_of_a_layer(services: Services, done: RunInfo, result: AuditResult, window: str) -> None:
    counted = result.routing.coactivation
    pairs = services.results.coactivation(done.id, 3, "tokens", window)
    assert (pairs.layer, pairs.window, pairs.windows) == (3, window, ["prompt", "response"])
    assert pairs.tokens == result.counts.tokens[:, 0 if window == "prompt" else 2].sum()
    np.testing.assert_array_equal(pairs.values, counted.counts(3, window))
    probability = services.results.coactivation(done.id, 3, window=window).values
    np.testing.assert_allclose(probability, pairs.values / pairs.values.diagonal()[:, None])


@pytest.mark.parametrize(
    ("layer", "quantity", "window", "field"),
    [(0, "lift", "prompt", "layer"), (1, "heat", "prompt", "quantity"), (1, "lift", "boundary", "window")],
)
def test_pairs_that_do_not_exist_are_named(
    services: Services, done: RunInfo, layer: int, quantity: str, window: str, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        services.results.coactivation(done.id, layer, quantity, window)
    assert caught.value.field == field


def test_a_run_without_pairs_says_so(services: Services, running: RunInfo) -> None:
    result = make_result()
    bare = replace(result.routing, coactivation=None, top_tokens=None)
    services.runs.finish(running.id, replace(result, routing=bare))
    with pytest.raises(WithheldError, match="made before co-activation was counted"):
        services.results.coactivation(running.id, 1)
    view = services.results.expert(running.id, 1, 3)
    assert (view.partners, view.tokens) == (None, None)


def test_the_report_goes_out_byte_for_byte_as_it_would_be_written(
    services: Services, done: RunInfo, result: AuditResult
) -> None:
    written = json.dumps(result.report, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    assert b"".join(services.results.report_json(done.id)).decode() == written
    assert list(services.results.report(done.id)) == list(result.report), "in the order in which it was written"


def test_the_summary_is_the_report_without_its_experts(services: Services, done: RunInfo, result: AuditResult) -> None:
    assert services.results.summary(done.id) == {k: v for k, v in result.report.items() if k != "experts"}
    assert services.results.flagged(done.id) == [row for row in result.report["experts"] if row["flagged"]]


def test_experts_are_listed_page_by_page(services: Services, done: RunInfo, result: AuditResult) -> None:
    first = services.results.list_experts(done.id, limit=20)
    assert (len(first.items), first.count) == (20, 24)
    second = services.results.list_experts(done.id, limit=20, cursor=first.next)
    assert second.next is None
    assert first.items + second.items == result.report["experts"]


@pytest.mark.parametrize(("limit", "cursor", "field"), [(0, None, "limit"), (9999, None, "limit"), (5, "x", "cursor")])
def test_a_page_that_cannot_be_is_refused(
    services: Services, done: RunInfo, limit: int, cursor: str | None, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        services.results.list_experts(done.id, limit, cursor)
    assert caught.value.field == field


@pytest.mark.parametrize(("layer", "expert"), [(0, 0), (2, EXPERTS), (2, -1), (99, 0)])
def test_experts_that_the_model_lacks_are_not_found(services: Services, done: RunInfo, layer: int, expert: int) -> None:
    with pytest.raises(NotFoundError, match="MoE layers are 1, 2, 3, experts 0 to 7"):
        services.results.expert(done.id, layer, expert)


def test_answers_come_back_in_order_and_by_prompt(services: Services, done: RunInfo, result: AuditResult) -> None:
    assert tuple(services.results.answers(done.id)) == result.answers
    assert [answer.variant for answer in services.results.answers(done.id, "h0")] == ["base", "masked"]
    assert services.results.answers(done.id, "h0")[0].span == (0, 13)


def test_scores_can_be_asked_for_in_sql(services: Services, done: RunInfo, result: AuditResult) -> None:
    query = select(ExpertScoreRow).where(ExpertScoreRow.run_id == done.id, ExpertScoreRow.flagged)
    with services.database.read() as session:
        found = {(row.layer, row.expert): row for row in session.scalars(query)}
    assert set(found) == {(2, 5), (1, 3)}
    assert found[2, 5].raset == result.report["experts"][0]["scores"]["raset"]
    assert (found[2, 5].effect, found[2, 5].q_value, found[2, 5].safex) == (1.5, 0.02, None)


def test_topics_are_compared_in_one_layer_or_over_all(services: Services, done: RunInfo) -> None:
    mean = services.results.topic_matrix(done.id)
    assert (mean.prompts, mean.layer, mean.layers) == ("benign", None, [1, 2, 3])
    assert (mean.topics, mean.values) == (["banking", "travel"], [[0.05, 0.2], [0.2, None]])
    assert mean.pairs == [[3, 2], [2, 0]]
    assert mean.order == [0, 1]
    assert services.results.topic_matrix(done.id, layer=3).values[0][1] == pytest.approx(0.3)


def test_a_topic_matrix_that_is_not_there_is_refused_with_its_reason(services: Services, done: RunInfo) -> None:
    with pytest.raises(WithheldError, match="there are not two topics with harmful prompts"):
        services.results.topic_matrix(done.id, "harmful")
    with pytest.raises(InputError, match="unknown prompts 'all': expected one of benign, harmful"):
        services.results.topic_matrix(done.id, "all")
    with pytest.raises(InputError, match="layer 0 has no topic matrix: expected one of 1, 2, 3"):
        services.results.topic_matrix(done.id, layer=0)


def test_results_that_are_not_there_yet_are_a_conflict(services: Services, running: RunInfo) -> None:
    calls = [
        services.results.report,
        services.results.certificate,
        services.results.heatmap,
        services.results.topics,
        services.results.topic_matrix,
        services.results.experts,
        services.results.answers,
        services.results.experts_csv,
        services.results.heatmap_csv,
        services.results.report_html,
        lambda run_id: services.results.expert(run_id, 1, 1),
    ]
    for call in calls:
        with pytest.raises(ConflictError, match="is running and has no result"):
            call(running.id)
        with pytest.raises(NotFoundError):
            call("zzzzzzzzzzzz")


def test_a_failed_run_repeats_why_it_has_no_result(services: Services, running: RunInfo) -> None:
    services.runs.fail(running.id, "the disk is full")
    with pytest.raises(ConflictError, match="the disk is full"):
        services.results.report(running.id)


def test_an_audit_that_flags_nothing_has_a_whole_result(services: Services, running: RunInfo) -> None:
    services.runs.finish(running.id, make_result(flagged=()))
    assert services.results.report(running.id)["flagged"]["experts"] == []
    assert "No expert" in services.results.report_html(running.id)
    assert not any(math.isnan(v) for v in services.results.heatmap(running.id).values.ravel())


def test_the_counts_of_all_layers_come_back_as_they_were_stored(
    services: Services, done: RunInfo, result: AuditResult
) -> None:
    stored = result.counts
    found = services.results.counts(done.id)
    assert found.prompt_ids == stored.prompt_ids
    np.testing.assert_array_equal(found.counts, stored.counts)
    np.testing.assert_array_equal(found.tokens, stored.tokens)
