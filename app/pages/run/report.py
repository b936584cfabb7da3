"""/ui/runs/{id}/report: what a run says on one page, and every file to take it to a meeting with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import Column, aria, icon, info, interval, ladder, plain_table, rate
from app.pages.run.frame import Documented, Finished, document_view, run_view
from app.router import Page, View, Visit
from backend import formats
from backend.services import ExpertScopeError, Services, Summary
from backend.services.documents import FILES as LEFT
from backend.services.documents import NAMES


@dataclass(frozen=True)
class File:
    """A file of the API: its name there, its title, and what it is for."""

    name: str
    title: str
    note: str


PDF = File("report.pdf", "PDF", "For a meeting: one page that says it all, then figures and tables, on A4.")
FILES = (
    File("report.html", "Web page", "The same with all criteria, in one file that opens anywhere."),
    File("experts.xlsx", "Workbook", "Every expert, best first, with a sheet that explains the columns."),
    File("experts.csv", "Table", "The same rows for any other program."),
    File("report.json", "Data", "Every number of this run, after a published JSON Schema."),
    File("certificate.json", "Certificate", "What the capture saw, against what it should have seen."),
)
ARCHIVE = File("archive.zip", "Archive", "The whole run with prompts and answers, to bring into another ExpertScope.")
OWN = {
    "trace.json": "Certificate, routing and load, after a published JSON Schema.",
    "mask.json": "Rates, effects, nulls and the guard, after a published JSON Schema.",
    "detector.json": "Tables, weights and each prompt's probability, after a published JSON Schema.",
    "tune.json": "Before, after and every control, after a published JSON Schema.",
    "detector.safetensors": "The trained detector, which the Python library loads.",
    "adapter.zip": "The tuned experts as an ordinary PEFT adapter.",
}
OUTCOMES = (
    ("Refusal of harmful prompts", "refusal", "refusal_harmful"),
    ("Refusal of benign prompts", "over_refusal", "refusal_benign"),
    ("Refusal of jailbreaks", "refusal", "refusal_jailbreak"),
    ("Degenerate answers", "degenerate", "degenerate"),
)


def show(services: Services, visit: Visit) -> View:
    if services.runs.get(visit.params["run_id"]).kind != "audit":
        return document_view(services, visit, lambda found: _document(services, found))
    return run_view(services, visit, "report", lambda finished: _report(services, finished))


PAGE = Page("/runs/{run_id}/report", show)


def _report(services: Services, finished: Finished) -> Component:
    report, run_id = finished.report, finished.run.id
    return html.Div(
        [
            html.Div(
                [
                    html.H1("Take it to a meeting"),
                    html.P(
                        "The PDF's first page is below; everything else is for those who ask how.", className="lead"
                    ),
                ],
                className="stack",
            ),
            html.Div(
                [
                    _sheet(services.results.page_one(run_id), report),
                    html.Div([_main(run_id), html.Ul(_listed(services, run_id, FILES), className="take-list")]),
                ],
                className="take",
            ),
            html.Section([html.H2("Outcomes"), _outcomes(report, finished.experts_count)], className="stack-2"),
            html.Section([html.H2("Made with"), _origin(report)], className="stack-2"),
            dcc.Store(id="report-run", data=run_id),
        ],
        className="stack-3",
    )


def _main(run_id: str) -> Component:
    """The PDF: to look at in the browser, or to save. How long it is stands there once it is drawn."""
    return html.Div(
        [
            html.P([html.Strong(PDF.title), " ", html.Code(PDF.name)], className="row"),
            html.P(PDF.note, className="dim"),
            html.Div(
                [
                    _link(run_id, PDF.name, "Download PDF", "button primary"),
                    html.A("Open", href=addresses.download(run_id, PDF.name), className="button", target="_blank"),
                ],
                className="row",
            ),
            html.P("Being drawn …", id="report-pdf-size", className="dim small num", **aria(live="polite")),
        ],
        className="take-main",
    )


def _listed(services: Services, run_id: str, files: Sequence[File]) -> list[Component]:
    """The files, and the archive where the server lets what it holds leave."""
    content = services.content
    whole = [ARCHIVE] if content.shows_prompts and content.shows_completions else []
    return [_file(run_id, file) for file in (*files, *whole)]


def _file(run_id: str, file: File) -> Component:
    return html.Li(
        [
            html.Div(
                [
                    html.P([html.Strong(file.title), " ", html.Code(file.name)], className="row"),
                    html.P(file.note, className="dim small"),
                ]
            ),
            _link(run_id, file.name, "Download"),
        ]
    )


def _link(run_id: str, name: str, text: str, look: str = "button") -> Component:
    return html.A(
        [icon("download"), text],
        href=addresses.download(run_id, name, download="true"),
        download=f"{run_id}-{name}",
        className=look,
        **aria(label=f"Download {name}"),
    )


def _sheet(summary: Summary, report: Mapping[str, Any]) -> Component:
    """The first page of the PDF, as the page shows it."""
    return html.Section(
        [
            html.P("Page one", className="dim small"),
            html.H2(summary.finding),
            html.P(summary.basis, className="lead") if summary.basis else None,
            *(html.P([icon("warn"), html.Span(caveat)], className="caveat") for caveat in summary.caveats),
            html.Dl(
                [
                    html.Div(
                        [
                            html.Dt([html.Span(str(number), className="ordinal"), f" {one.name}"]),
                            html.Dd([html.P(one.answer), html.P(one.detail, className="dim small num")]),
                        ]
                    )
                    for number, one in enumerate(summary.questions, start=1)
                ],
                className="facts sheet-questions",
            ),
            _evidence(summary) if summary.flagged else None,
            html.H3("What this does not show"),
            html.Ul([html.Li(limit) for limit in summary.limits], className="plain small"),
        ],
        className="sheet stack",
        **aria(label="The first page of the report"),
    )


def _evidence(summary: Summary) -> Component:
    columns = [
        Column("Expert"),
        Column(html.Span(["Evidence ", info("evidence")])),
        Column(html.Span(["Margin lost alone, nats ", info("effect")]), numeric=True),
        Column(html.Span(["q ", info("q_value")]), numeric=True),
    ]
    rows = [[one.place, ladder(one.evidence, True), one.effect, one.q_value] for one in summary.flagged]
    more = f"And {formats.count(summary.unlisted)} more." if summary.unlisted else None
    return html.Div(
        [plain_table(columns, rows, "Flagged experts and their evidence"), html.P(more, className="dim small")],
        className="stack",
    )


def _document(services: Services, found: Documented) -> Component:
    """A run that is no audit: its verdict, its document and what it left beside it."""
    run = found.run
    left = [name for name in LEFT.get(run.kind, ()) if services.documents.has_file(run.id, name)]
    names = [NAMES[run.kind], "certificate.json", *left]
    if not found.document.get("certificate"):
        names.remove("certificate.json")
    files = [File(name, _title(name), OWN.get(name, FILES[-1].note)) for name in names]
    verdict = wording.verdict(found.document["verdict"]["sentence"])
    return html.Div(
        [
            html.H1("Take it away"),
            html.P(verdict.finding, className="lead"),
            html.Ul(_listed(services, run.id, files), className="take-list"),
        ],
        className="stack-3",
    )


def _title(name: str) -> str:
    return {"certificate.json": "Certificate", "adapter.zip": "Adapter"}.get(
        name, "Data" if name.endswith(".json") else "Weights"
    )


def _outcomes(report: Mapping[str, Any], experts: int) -> Component:
    outcomes, routing, flagged = report["outcomes"], report["routing"], report["flagged"]
    masked, over_topics = outcomes.get("masked") or {}, outcomes.get("over_topics") or {}
    places = ", ".join(formats.place(*place) for place in wording.flagged_places(report)) or "none"
    rows: list[list[Any]] = [
        [
            _named(name, key),
            rate(outcomes[field]),
            rate(over_topics.get(field)),
            rate(masked.get(f"base_{field}")),
            rate(masked.get(field)),
        ]
        for name, key, field in OUTCOMES
        if field in outcomes
    ]
    facts = [
        ("Flagged experts", places),
        ("Effect of the flagged set", [interval(flagged.get("effect"), "nats"), " ", info("set_effect")]),
        ("p against matched sets", formats.p_value(flagged.get("p_value"))),
        ("Topic ratio ρ", [interval(routing["topic_ratio"]), " ", info("topic_ratio")]),
        ("Concentration", [_concentration(flagged), " ", info("concentration")]),
        ("Stable experts", [_stable(report, experts), " ", info("stability")]),
    ]
    columns = [
        Column("Outcome"),
        Column("Untouched, all prompts", numeric=True),
        Column("The same, over topics", numeric=True),
        Column("Untouched, confirmation half", numeric=True),
        Column("Flagged masked, confirmation half", numeric=True),
    ]
    return html.Div(
        [plain_table(columns, rows, "Outcomes with 95 % intervals"), facts_list(facts)], className="stack-3"
    )


def _named(name: str, key: str) -> Component:
    return html.Span([name, " ", info(key)])


def _concentration(flagged: Mapping[str, Any]) -> str:
    found = flagged.get("concentration") or {}
    if found.get("m80") is None:
        return formats.NONE
    return f"{formats.plural(int(found['m80']), 'expert')} carry 80 %; Gini {formats.number(found.get('gini'), 2)}"


def _stable(report: Mapping[str, Any], experts: int) -> str:
    found = report.get("stability")
    if not found:
        return formats.NONE
    chance = formats.number(found["expected_false"], 2)
    return f"{found['passed']} of {formats.count(experts)}; at most {chance} expected by chance"


def facts_list(facts: Sequence[tuple[str, Any]]) -> Component:
    """Names and values, one a line."""
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value, className="num")]) for name, value in facts], className="facts"
    )


def _second_judge(report: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The other judge and how far the two agree, where a second one was asked."""
    judges = report["outcomes"].get("judges") or {}
    if "second" not in judges:
        return []
    kappa = formats.interval(judges["agreement"]["kappa"])
    return [("Second judge", f"{judges['second']['name']}, κ {kappa.estimate} {kappa.interval}")]


def _origin(report: Mapping[str, Any]) -> Component:
    software, model, prompts = report["software"], report["model"], report["prompts"]
    facts: list[tuple[str, Any]] = [
        ("Model", model["ref"] + (f"@{model['revision']}" if model.get("revision") else "")),
        ("Weights, SHA-256", html.Code(model.get("weights_sha256") or formats.NONE)),
        ("Prompts, SHA-256", html.Code(prompts["sha256"])),
        ("Judge", report["outcomes"]["judge"] if isinstance(report["outcomes"]["judge"], str) else "rules"),
        *_second_judge(report),
        ("Software", ", ".join(f"{name} {version}" for name, version in software.items())),
    ]
    return facts_list(facts)


def register(bind: Binder) -> None:
    """Once the page stands, its PDF is drawn: its length is then known, and the download waits for nothing."""
    services = bind.services

    @bind.on(Output("report-pdf-size", "children"), Input("report-run", "data"), State("report-pdf-size", "id"))
    def measure(run_id: str | None, _here: object) -> Any:
        try:
            pdf = services.results.report_pdf(run_id or "")
        except ExpertScopeError as error:
            return error.message
        return f"{formats.plural(pdf.pages, 'page')}, {formats.size(len(pdf.content))}"
