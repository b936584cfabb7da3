"""A finished audit as documents: JSON with its schema, CSV, and one self-contained HTML page."""

from backend.reports.experts_csv import experts_csv
from backend.reports.files import write_audit
from backend.reports.html import render_html
from backend.reports.schema import report_schema, validate_report

__all__ = ["experts_csv", "render_html", "report_schema", "validate_report", "write_audit"]
