"""A finished audit as documents: JSON with its schema, CSV, a workbook, one self-contained HTML page, and a PDF."""

from backend.reports.experts_csv import experts_csv, spreadsheet_text
from backend.reports.experts_xlsx import experts_xlsx
from backend.reports.files import write_audit
from backend.reports.html import render_html
from backend.reports.pdf import Pdf, check_pdf, render_pdf
from backend.reports.schema import report_schema, validate_report
from backend.reports.summary import Summary, follows, routing_finding, summarise

__all__ = [
    "Pdf",
    "Summary",
    "check_pdf",
    "experts_csv",
    "experts_xlsx",
    "follows",
    "render_html",
    "render_pdf",
    "report_schema",
    "routing_finding",
    "spreadsheet_text",
    "summarise",
    "validate_report",
    "write_audit",
]
