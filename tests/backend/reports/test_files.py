"""The folder that an audit on the command line leaves behind."""

import json
from pathlib import Path

import pytest

from backend.reports import Pdf, experts_csv, experts_xlsx, render_html, validate_report, write_audit
from tests.backend.factories import make_result

NAMES = {"report.json", "report.html", "experts.csv", "certificate.json"}


def test_four_documents_are_written(tmp_path: Path) -> None:
    result = make_result()
    written = write_audit(result, tmp_path / "new" / "out")
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == NAMES == set(written)
    report = json.loads(written["report.json"].read_text("utf-8"))
    validate_report(report)
    assert report == result.report
    assert json.loads(written["certificate.json"].read_text("utf-8")) == result.certificate
    assert written["experts.csv"].read_text("utf-8") == experts_csv(result.report)
    assert written["report.html"].read_text("utf-8") == render_html(result.report, result.routing)


def test_an_older_result_is_replaced(tmp_path: Path) -> None:
    write_audit(make_result(seed=1), tmp_path)
    write_audit(make_result(seed=2), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == make_result(seed=2).report
    assert {path.name for path in tmp_path.iterdir()} == NAMES


def test_a_result_that_cannot_be_written_leaves_the_folder_alone(tmp_path: Path) -> None:
    broken = make_result()
    broken.report["timings"]["total"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        write_audit(broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_workbook_and_a_pdf_are_written_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.reports.files.render_pdf", lambda report, routing: Pdf(b"%PDF", 1))
    written = write_audit(make_result(), tmp_path, pdf=True, xlsx=True)
    assert {path.name for path in tmp_path.iterdir()} == NAMES | {"report.pdf", "experts.xlsx"}
    assert written["report.pdf"].read_bytes() == b"%PDF"
    assert written["experts.xlsx"].read_bytes() == experts_xlsx(make_result().report)
