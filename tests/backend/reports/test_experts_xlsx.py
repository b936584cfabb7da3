"""experts.xlsx, read back by another library, holds what experts.csv and report.json hold."""

import csv
import io
from typing import Any

import pytest
from openpyxl import load_workbook

from backend.reports import experts_csv, experts_xlsx
from tests.backend.factories import make_result


def read(report: dict[str, Any]) -> Any:
    return load_workbook(io.BytesIO(experts_xlsx(report)))


def table(report: dict[str, Any]) -> list[dict[str, Any]]:
    head, *rows = read(report)["Experts"].iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rows]


def same(cell: Any, text: str) -> bool:
    if cell is None:
        return text == ""
    if isinstance(cell, bool):
        return text == ("true" if cell else "false")
    if isinstance(cell, int | float):
        return float(text) == pytest.approx(cell, rel=1e-15, abs=0)
    return text in (cell, f"'{cell}")


def test_every_cell_is_the_csvs() -> None:
    report = make_result().report
    lines = list(csv.DictReader(io.StringIO(experts_csv(report))))
    cells = table(report)
    assert list(cells[0]) == list(lines[0])
    assert len(cells) == len(lines) == 24
    wrong = [
        (name, row[name], line[name])
        for row, line in zip(cells, lines, strict=True)
        for name in row
        if not same(row[name], line[name])
    ]
    assert wrong == []


def test_numbers_are_the_reports() -> None:
    report = make_result().report
    for row, expert in zip(table(report), report["experts"], strict=True):
        assert (row["layer"], row["expert"], row["rank"]) == (expert["layer"], expert["expert"], expert["rank"])
        assert row["flagged"] is expert["flagged"]
        assert row["effect_low"] == pytest.approx(expert["effect"]["low"], rel=1e-15)
        assert row["frequency_harmful"] == pytest.approx(expert["frequency"]["harmful"], rel=1e-15)
        assert row["score_safex"] is None


@pytest.mark.parametrize("attack", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "{=1+1}", "https://evil.example"])
def test_hostile_texts_stay_texts(attack: str) -> None:
    report = make_result().report
    report["experts"][0]["how"] = attack
    report["model"]["ref"] = attack
    report["verdict"]["sentence"] = attack
    book = read(report)
    head = [cell.value for cell in book["Experts"][1]]
    cells = [book["Experts"].cell(2, head.index("how") + 1), book["About"]["B1"], book["About"]["B2"]]
    assert [(cell.value, cell.data_type, cell.hyperlink) for cell in cells] == [(attack, "s", None)] * 3


def test_the_header_stays_in_sight_and_filters() -> None:
    sheet = read(make_result().report)["Experts"]
    assert sheet.freeze_panes == "C2"
    assert sheet.auto_filter.ref.startswith("A1:")
    assert sheet.auto_filter.ref.endswith("25")
    assert sheet["A1"].font.bold
    assert all(sheet.column_dimensions[letter].width >= 9 for letter in ("A", "C", "F"))


def test_the_second_sheet_says_whence_and_explains_every_column() -> None:
    report = make_result().report
    book = read(report)
    told = dict(book["About"].iter_rows(values_only=True))
    assert told["Finding"] == report["verdict"]["sentence"]
    assert told["Weights, SHA-256"] == "a" * 64
    assert told["Prompts, SHA-256"] == report["prompts"]["sha256"]
    columns = [cell.value for cell in book["Experts"][1]]
    assert [name for name in columns if not told.get(name)] == []
    assert told["score_raset"] == "A score. Unit: share. Source: ours."
    assert told["raset_delta"] == "What raset says beside its score: delta."


def test_the_same_report_gives_the_same_file() -> None:
    report = make_result().report
    assert experts_xlsx(report) == experts_xlsx(report)


def test_a_report_without_experts_has_its_header_still() -> None:
    report = make_result().report
    report["experts"] = []
    sheet = read(report)["Experts"]
    assert (sheet.max_row, sheet["A1"].value) == (1, "layer")
