"""experts.csv as a spreadsheet reads it."""

import csv
import io

from backend.reports import experts_csv
from tests.backend.factories import make_result


def rows_of(report: dict) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(experts_csv(report))))


def test_every_expert_has_a_row_best_first() -> None:
    report = make_result().report
    rows = rows_of(report)
    assert [(int(r["layer"]), int(r["expert"])) for r in rows] == [(e["layer"], e["expert"]) for e in report["experts"]]
    assert [int(row["rank"]) for row in rows] == list(range(1, len(rows) + 1))


def test_numbers_are_written_in_full() -> None:
    report = make_result().report
    for row, expert in zip(rows_of(report), report["experts"], strict=True):
        assert float(row["score_raset"]) == expert["scores"]["raset"]
        assert float(row["frequency_harmful"]) == expert["frequency"]["harmful"]
        assert float(row["effect_low"]) == expert["effect"]["low"]
        assert float(row["q_value"]) == expert["q_value"]


def test_negative_numbers_stay_numbers() -> None:
    report = make_result().report
    report["experts"][0]["scores"]["raset"] = -1.5
    assert rows_of(report)[0]["score_raset"] == "-1.5"


def test_withheld_values_are_empty_cells() -> None:
    report = make_result(flagged=()).report
    report["experts"][0] |= {"effect": None, "null": None, "q_value": None}
    row = rows_of(report)[0]
    assert {row[name] for name in ("effect", "effect_low", "null_mean", "q_value", "score_safex", "how")} == {""}


def test_evidence_is_a_column_for_each_rung() -> None:
    rows = rows_of(make_result().report)
    rungs = ("correlated", "stable", "significant", "causal", "selective", "replicated")
    assert {rows[0][rung] for rung in rungs} == {"true"}
    assert {rows[-1][rung] for rung in rungs} == {"false"}


def test_text_that_a_spreadsheet_would_run_is_disarmed() -> None:
    report = make_result().report
    for number, attack in enumerate(("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "in a set")):
        report["experts"][number]["how"] = attack
    cells = [row["how"] for row in rows_of(report)[:6]]
    assert cells == ["'=cmd|' /C calc'!A0", "'+1+1", "'-2+3", "'@SUM(A1)", "'\t=1", "in a set"]


def test_a_report_without_experts_still_has_its_header() -> None:
    report = make_result().report
    report["experts"] = []
    assert experts_csv(report).startswith("layer,expert,rank,flagged,level,how,correlated")
    assert rows_of(report) == []


def test_what_a_criterion_says_beside_its_score_stands_at_the_end() -> None:
    rows = rows_of(make_result().report)
    assert list(rows[0])[-6:-3] == ["raset_delta", "raset_delta_low", "raset_q"]
    assert list(rows[0])[-3:] == ["eta_topic", "eta_harm", "eta_interaction"]
    assert rows[0]["raset_delta"] == "0.25"
    assert "score_gatebreaker" in rows[0], "the file leaves out nothing"
