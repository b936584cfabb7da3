"""/ui/runs/{id}/report: the files of an audit, and what they say in short."""

from collections.abc import Mapping
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import addresses, formats, wording
from app.components import Column, aria, icon, info, interval, plain_table, rate
from app.pages.run_frame import Finished, run_view
from app.router import Page, View, Visit
from backend.services import Services

FILES = (
    ("report.html", "Report", "For people: verdict, figures and tables in one file that opens anywhere."),
    ("report.json", "Data", "For programs: every number of this run, after a published JSON Schema."),
    ("experts.csv", "Experts", "For spreadsheets: one row for each expert, best first."),
    ("certificate.json", "Certificate", "What the capture saw, against what it should have seen."),
)


OUTCOMES = (
    ("Refusal of harmful prompts", "refusal", "refusal_harmful"),
    ("Refusal of benign prompts", "over_refusal", "refusal_benign"),
    ("Refusal of jailbreaks", "refusal", "refusal_jailbreak"),
    ("Degenerate answers", "degenerate", "degenerate"),
)


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "report", _report)


PAGE = Page("/runs/{run_id}/report", show)


def _report(finished: Finished) -> Component:
    report = finished.report
    return html.Div(
        [
            html.H1("Report"),
            html.P(report["verdict"]["sentence"], className="lead"),
            html.Ul([_file(finished.run.id, *entry) for entry in FILES], className="files"),
            html.Section([html.H2("Summary"), _summary(report, finished.experts_count)], className="stack-2"),
            html.Section([html.H2("Made with"), _origin(report)], className="stack-2"),
        ],
        className="stack-3",
    )


def _file(run_id: str, name: str, title: str, note: str) -> Component:
    return html.Li(
        [
            html.Div([html.Strong(title), html.Code(name)], className="row"),
            html.P(note, className="dim"),
            html.A(
                [icon("download"), "Download"],
                href=addresses.download(run_id, name),
                download=f"{run_id}-{name}",
                className="button",
                **aria(label=f"Download {name}"),
            ),
        ],
        className="file",
    )


def _summary(report: Mapping[str, Any], experts: int) -> Component:
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


def facts_list(facts: list[tuple[str, Any]]) -> Component:
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
