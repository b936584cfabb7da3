"""Writes a finished audit into a folder: report.json, report.html, experts.csv, certificate.json, and on demand
report.pdf and experts.xlsx. `expertscope audit` calls it. Each file is written beside its place and then moved there,
so nobody ever reads half a file."""

import json
import os
import secrets
from pathlib import Path

from analysis.result import AuditResult
from backend.reports.experts_csv import experts_csv
from backend.reports.experts_xlsx import experts_xlsx
from backend.reports.html import render_html
from backend.reports.pdf import render_pdf


def write_audit(result: AuditResult, out_dir: Path, *, pdf: bool = False, xlsx: bool = False) -> dict[str, Path]:
    """Write the four documents, and report.pdf or experts.xlsx where asked for; return their paths by name.

    Everything is rendered before anything is written. Raises NotInstalledError where no PDF can be made.
    """
    documents: dict[str, str | bytes] = {
        "report.json": to_json(result.report),
        "report.html": render_html(result.report, result.routing),
        "experts.csv": experts_csv(result.report),
        "certificate.json": to_json(result.certificate),
    }
    if pdf:
        documents["report.pdf"] = render_pdf(result.report, result.routing).content
    if xlsx:
        documents["experts.xlsx"] = experts_xlsx(result.report)
    out_dir.mkdir(parents=True, exist_ok=True)
    return {name: _write(out_dir / name, content) for name, content in documents.items()}


def to_json(document: object) -> str:
    """Indented JSON. A NaN is a mistake of the analysis, which has null for it, and raises ValueError."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def _write(path: Path, content: str | bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
