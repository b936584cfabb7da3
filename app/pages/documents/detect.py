"""A run of kind detect: how well routing alone tells harmful prompts from benign ones, beside simpler signs."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, aria, graph, icon, info, plain_table, rate
from app.figures import interval_dots
from app.pages.documents.parts import asked, doubts, headline, made_with, section
from app.pages.run.frame import Documented, document_view
from app.router import View, Visit
from backend import formats
from backend.services import Services

SCHEMES = {
    "leave_category_out": (
        "On topics that it was not trained on",
        "Each topic in turn is left out of training and tested on: what to expect of a topic nobody thought of.",
    ),
    "kfold": (
        "On prompts of topics that it knows",
        "A fifth of the prompts in turn is left out, pairs together; their topics are in the rest.",
    ),
}
LIMITS = (
    "A detector reads routing; it says nothing of what causes a refusal, and a sign that can be read can be avoided.",
    "It was tested on these prompts. What others look like, only others can tell.",
)
WEIGHTS = 10


def show(services: Services, visit: Visit) -> View:
    return document_view(services, visit, lambda found: _detector(services, found))


def _detector(services: Services, found: Documented) -> Component:
    document, about = found.document, found.document["detector"]
    shown = [
        _scheme(found, scheme, document["evaluation"][scheme]) for scheme in SCHEMES if scheme in document["evaluation"]
    ]
    own = (("Detector", f"{about['name'].replace('_', ' ')}: {about['summary']}"), ("Source", about["source"]))
    return html.Div(
        [
            headline(found),
            *shown,
            html.Div([asked(found, *own), _take_away(services, found)], className="halves"),
            _weights(document["weights"]),
            doubts(document, *LIMITS),
            made_with(document),
        ],
        className="stack-3",
    )


def _scheme(found: Documented, scheme: str, table: Mapping[str, Any]) -> Component:
    title, note = SCHEMES[scheme]
    rows = table["rows"]
    names = [_name(row["name"]) for row in rows]
    drawn = interval_dots(
        [(name, row["auroc"]) for name, row in zip(names, rows, strict=True)],
        title="AUROC",
        marked=names[:1],
        reference=0.5,
        span=_span([row["auroc"] for row in rows]),
    )
    harmful, benign = (formats.count(table[label]) for label in ("harmful", "benign"))
    size = f"{table['folds']} folds, {harmful} harmful and {benign} benign"
    return section(
        html.Span([title, " ", info("auroc")]),
        html.P(f"{note} {size} prompts.", className="dim"),
        graph(drawn, f"{found.run.id}-{scheme}", f"AUROC of the detector and its baselines, {title.lower()}"),
        html.P("Dots have 95 % intervals from resampling topics; the dotted line is chance.", className="dim small"),
        _rows(rows, title),
        _topics(found, scheme, table["categories"]),
    )


def _name(name: str) -> str:
    return wording.SIGNALS.get(name, name.replace("_", " "))


def _span(intervals: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """From the lowest end, or chance, to 1."""
    ends = [one[end] for one in intervals for end in ("estimate", "low") if one.get(end) is not None]
    return max(0.0, min([0.5, *ends]) - 0.05), 1.02


def _fixed(value: Mapping[str, Any] | None, decimals: int = 2) -> Component:
    """An interval with as many decimals in every row, so that rows can be compared."""
    if not value or value.get("estimate") is None:
        return html.Span(formats.NONE, className="num")
    shown: list[Any] = [html.Span(formats.fixed(value["estimate"], decimals), className="est")]
    if value.get("low") is not None:
        ends = ", ".join(formats.fixed(value[end], decimals) for end in ("low", "high"))
        shown.append(html.Span(f" [{ends}]", className="ci"))
    return html.Span(shown, className="num")


def _rows(rows: Sequence[Mapping[str, Any]], caption: str) -> Component:
    columns = [
        Column("What is read"),
        Column(html.Span(["AUROC ", info("auroc")]), numeric=True),
        Column(html.Span(["At 1 % false alarms ", info("tpr")]), numeric=True),
        Column(html.Span(["Calibration error ", info("calibration_error")]), numeric=True),
        Column(html.Span(["Brier ", info("brier")]), numeric=True),
        Column(html.Span(["Inside a topic ", info("within_category")]), numeric=True),
        Column(html.Span(["Lead ", info("behind")]), numeric=True),
    ]
    body = [
        [
            html.Div(
                [html.Strong(_name(row["name"])), html.Span(row["summary"], className="dim small")],
                className="contestant",
            ),
            _fixed(row["auroc"]),
            rate(row["tpr_at_1_fpr"]),
            _fixed(row["calibration_error"], 3),
            _fixed(row["brier"], 3),
            _fixed(row["within_category"]),
            _fixed(row["behind_detector"]),
        ]
        for row in rows
    ]
    return plain_table(columns, body, f"The detector and its baselines: {caption.lower()}")


def _topics(found: Documented, scheme: str, categories: Sequence[Mapping[str, Any]]) -> Component | None:
    """Each left-out topic alone: where the detector would have failed."""
    if not categories:
        return None
    order = sorted(categories, key=lambda one: (one["auroc"]["estimate"] is None, one["auroc"]["estimate"] or 0))
    drawn = interval_dots(
        [(one["topic"], one["auroc"]) for one in order],
        title="AUROC",
        reference=0.5,
        span=_span([one["auroc"] for one in order]),
    )
    columns = [
        Column("Topic left out"),
        Column("Harmful", numeric=True),
        Column("Benign", numeric=True),
        Column(html.Span(["AUROC ", info("auroc")]), numeric=True),
    ]
    rows = [
        [one["topic"], formats.count(one["harmful"]), formats.count(one["benign"]), _fixed(one["auroc"])]
        for one in order
    ]
    return html.Div(
        [
            html.H3("Topic by topic, the hardest first"),
            html.Div(
                [
                    html.Section(
                        [
                            graph(drawn, f"{found.run.id}-{scheme}-topics", "AUROC on each topic that was left out"),
                            html.P("95 % intervals; the dotted line is chance.", className="dim small"),
                        ],
                        className="stack",
                    ),
                    plain_table(columns, rows, "AUROC by topic left out"),
                ],
                className="halves",
            ),
        ],
        className="stack-2",
    )


def _take_away(services: Services, found: Documented) -> Component:
    name = "detector.safetensors"
    if not services.documents.has_file(found.run.id, name):
        return section("Take it away", html.P("The trained detector is no longer in the data folder.", className="dim"))
    return section(
        "Take it away",
        html.P("The detector, trained on all of these prompts, in one file that the Python library loads."),
        html.Div(
            html.A(
                [icon("download"), name],
                href=addresses.download(found.run.id, name),
                download=f"{found.run.id}-{name}",
                className="button",
                **aria(label=f"Download {name}"),
            ),
            className="row",
        ),
    )


def _weights(weights: Sequence[Mapping[str, Any]]) -> Component | None:
    if not weights:
        return None
    columns = [
        Column("What is read"),
        Column("Layer", numeric=True),
        Column("Expert", numeric=True),
        Column(html.Span(["Log-odds per standard deviation ", info("detector_weight")]), numeric=True),
    ]
    rows = [
        [
            str(one["kind"]).replace("_", " "),
            _index(one.get("layer")),
            _index(one.get("expert")),
            formats.number(one["weight"]),
        ]
        for one in weights[:WEIGHTS]
    ]
    return section("What weighs most", plain_table(columns, rows, "The largest weights of the detector"))


def _index(value: int | None) -> str:
    return formats.NONE if value is None or value < 0 else str(value)
