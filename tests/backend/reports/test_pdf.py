"""report.pdf: bounded, tagged, and made from nothing but what it is given."""

import builtins
import functools
import socket
from typing import Any

import pytest

from analysis.errors import NotInstalledError
from backend.reports import pdf as pdf_module
from backend.reports import render_pdf
from tests.backend.factories import make_result

pytestmark = pytest.mark.skipif(
    not __import__("ctypes.util").util.find_library("pango-1.0"), reason="Pango is not installed"
)
HOSTILE = (
    "<img src='file:///etc/passwd'><link rel=stylesheet href='http://127.0.0.1:1/x.css'><style>@page{size:A0}</style>"
)


@pytest.fixture(scope="module")
def pages() -> Any:
    """The small report, laid out."""
    result = make_result()
    return pdf_module._lay_out(result.report, result.routing)


@pytest.fixture(scope="module")
def rendered(pages: Any) -> bytes:
    """The same as a file, with its objects left readable."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pdf_module, "_lay_out", lambda *_, **__: pages)
        patched.setattr(pages, "write_pdf", functools.partial(pages.write_pdf, uncompressed_pdf=True), raising=False)
        return render_pdf(make_result().report, make_result().routing).content


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whatever tries to open a connection, or one of the files that the hostile names ask for."""
    asked: list[Any] = []
    read = builtins.open

    def opened(file: Any, *arguments: Any, **named: Any) -> Any:
        if "passwd" in str(file):
            asked.append(file)
        return read(file, *arguments, **named)

    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: asked.append(address))
    monkeypatch.setattr(builtins, "open", opened)
    return asked


def test_it_is_a_tagged_pdf_in_english_with_the_finding_as_its_title(rendered: bytes) -> None:
    assert rendered.startswith(b"%PDF-1.7")
    for part in (b"/StructTreeRoot", b"/Marked true", b"/Lang (en)", b"/DisplayDocTitle true", b"pdfuaid"):
        assert part in rendered
    assert b"2 experts carry refusal" in rendered


def test_it_has_bookmarks_and_a_summary_page_before_everything_else(pages: Any) -> None:
    assert pdf_module._first_section(pages) == 1
    names = [name for name, *_ in pages.make_bookmark_tree()[0][2]] or [name for name, *_ in pages.make_bookmark_tree()]
    assert {"Headline numbers", "Flagged experts", "How it was made"} <= {*names}


def test_a_long_verdict_still_leaves_one_page_in_front() -> None:
    result = make_result()
    caveats = [f"Caveat {number}: " + "these prompts cannot tell topic and harm apart. " * 4 for number in range(6)]
    result.report["verdict"] |= {"sentence": "2 experts carry refusal. " + " ".join(caveats), "caveats": caveats}
    assert pdf_module._first_section(pdf_module._lay_out(result.report, result.routing)) > 1
    dense = pdf_module._lay_out(result.report, result.routing, dense=True)
    assert pdf_module._first_section(dense) == 1
    assert "caveats" in dense.pages[-1].anchors, "what page one leaves out stands at the end"


def test_hostile_names_load_nothing_and_change_nothing(offline: list[Any]) -> None:
    result = make_result()
    result.report["model"] |= {"ref": HOSTILE, "revision": HOSTILE}
    result.report["prompts"] |= {"name": HOSTILE, "topics": [HOSTILE]}
    result.report["verdict"]["power"] = HOSTILE
    laid_out = pdf_module._lay_out(result.report, result.routing)
    assert offline == []
    assert {(round(page.width), round(page.height)) for page in laid_out.pages} == {(794, 1123)}, "A4 at 96 dpi"


def test_a_template_that_asked_for_a_file_would_get_none(offline: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaping is the first wall; this is the second."""
    result = make_result()
    monkeypatch.setattr(pdf_module, "fill", lambda *_, **__: f"<html><body id='numbers'>{HOSTILE}</body></html>")
    render_pdf(result.report, result.routing)
    assert offline == []


def test_thousands_of_experts_and_topics_take_no_more_pages(pages: Any) -> None:
    large = make_result()
    row = next(one for one in large.report["experts"] if not one["flagged"])
    large.report["experts"] += [{**row, "rank": rank} for rank in range(25, 48_129)]
    large.report["prompts"]["topics"] = [f"topic {number}" for number in range(5_000)]
    large.report["verdict"]["power"] = "looked " * 20_000
    many = pdf_module._lay_out(large.report, large.routing, dense=True).pages
    assert len(many) <= len(pages.pages) + 3


def test_a_machine_without_pango_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    result = make_result()
    with pytest.raises(NotInstalledError, match=r"apt-get install libpango-1\.0-0 libpangoft2-1\.0-0"):
        render_pdf(result.report, result.routing)
