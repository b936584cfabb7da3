"""report.pdf: the report for a meeting, on A4, with one page in front that says it all.

WeasyPrint draws it from the same templates as report.html. It may load nothing: its fetcher knows data: addresses only,
so neither a model's name nor a prompt set's can make it read a file or ask a host. Its size is bounded whatever the
model's: the highest ranked and the flagged experts are printed, all others are in experts.csv.

The native libraries behind WeasyPrint (Pango) are not Python packages and may be missing; nothing else needs them.
"""

import base64
import hashlib
import io
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import NotInstalledError
from analysis.routing.table import RoutingTable
from backend.reports.html import fill

if TYPE_CHECKING:
    from weasyprint import Document

APT_LINE = "apt-get install libpango-1.0-0 libpangoft2-1.0-0"
FONTS = Path(__file__).parents[2] / "static" / "fonts"
_FACES = {
    "Inter": "inter-latin-wght-normal.woff2",
    "InterExt": "inter-latin-ext-wght-normal.woff2",
    "InterGreek": "inter-greek-wght-normal.woff2",
}
MAX_ITEMS, MAX_LAYERS, MAX_FLAGGED = 40, 200, 40
MAX_CHARACTERS = 1_000
FIRST_SECTION = "numbers"
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Pdf:
    """A rendered document. `pages` is their number."""

    content: bytes
    pages: int


def check_pdf() -> None:
    """Raise NotInstalledError, which names what to install, where no PDF can be made."""
    try:
        import weasyprint  # noqa: F401
    except OSError as fault:  # cffi could not open one of the libraries
        raise NotInstalledError(
            f"a PDF needs the system library Pango, which is not installed here: {APT_LINE}, then start again; "
            "report.html prints as well"
        ) from fault
    for name in ("weasyprint", "weasyprint.progress"):  # it warns of every rule that only a browser knows
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every table that it cuts


def render_pdf(report: Mapping[str, Any], routing: RoutingTable) -> Pdf:
    """The report as a tagged PDF (PDF/UA-1). Takes seconds: call it in a thread.

    The same report gives the same pages; only the embedded fonts carry the time at which they were cut to what is used.
    Raises NotInstalledError where Pango is missing. Calls wait for each other, so that memory stays bounded.
    """
    check_pdf()
    with _one_at_a_time:
        pages = _lay_out(report, routing)
        if _first_section(pages) > 1:  # a long verdict: page one keeps the answers and leaves what they rest on
            pages = _lay_out(report, routing, dense=True)
        out = io.BytesIO()
        identifier = hashlib.sha256(repr((report["model"], report.get("created"))).encode()).digest()[:16]
        pages.write_pdf(out, pdf_variant="pdf/ua-1", pdf_identifier=identifier)
    return Pdf(out.getvalue(), len(pages.pages))


def _lay_out(report: Mapping[str, Any], routing: RoutingTable, *, dense: bool = False) -> "Document":
    import weasyprint

    page = fill(
        "report.pdf.html.j2",
        bounded(report),
        routing,
        paper=True,
        max_flagged=MAX_FLAGGED,
        fonts=_fonts(),
        dense=dense,
    )
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"], allow_redirects=False)
    return weasyprint.HTML(string=page, url_fetcher=fetcher).render()


def _first_section(pages: "Document") -> int:
    """The page, from 0, on which the sections behind the summary begin."""
    return next((number for number, page in enumerate(pages.pages) if FIRST_SECTION in page.anchors), 0)


def bounded(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with everything of unbounded length cut: long texts, long lists, layers beyond the first 200.

    Experts stay as they are; the template prints a few of them.
    """
    short = {name: value if name == "experts" else _short(value) for name, value in report.items() if name != "routing"}
    routing = report["routing"]
    short["flagged"] = {**short["flagged"], "experts": report["flagged"]["experts"]}
    short["routing"] = {**_short(routing), "per_layer": routing["per_layer"][:MAX_LAYERS]}
    short["verdict"] = _short_verdict(report["verdict"])
    return short


def _short_verdict(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A sentence ends with its caveats, and has to do so when both were cut: whoever reads it takes them off again."""
    caveats = verdict.get("caveats", ())
    own = verdict["sentence"].removesuffix(" ".join(caveats)).rstrip()
    short = _short(verdict)
    return {**short, "sentence": " ".join([_short(own), *short.get("caveats", ())])}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_CHARACTERS else f"{value[:MAX_CHARACTERS]}…"
    if isinstance(value, Mapping):
        return {_short(str(key)): _short(inner) for key, inner in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value[:MAX_ITEMS]]
    return value


@cache
def _fonts() -> str:
    """The pages' own typeface as data: addresses, so that a machine without fonts prints the same."""
    rules = []
    for family, name in _FACES.items():
        data = base64.b64encode((FONTS / name).read_bytes()).decode()
        source = f'url("data:font/woff2;base64,{data}") format("woff2")'
        rules.append(f'@font-face {{ font-family: "{family}"; font-weight: 100 900; src: {source}; }}')
    return "\n".join(rules)
