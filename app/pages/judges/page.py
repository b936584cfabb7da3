"""/ui/judges: how far judges agree with people, and answers for people to label.

The address remembers which judge is looked at closely and whose answers are reviewed. The queue itself is in
`app.pages.judges.review`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses
from app.callbacks import Binder
from app.components import Column, aria, file_drop, info, interval, plain_table, rate
from app.components.permitted import permitted
from app.components.states import empty, withheld
from app.pages.judges import review
from app.pages.prompt_sets.preview import decode, faults_list
from app.router import Page, View, Visit
from backend import formats
from backend.services import ExpertScopeError, Services

LABELS = {
    "refusal": "Refusal",
    "partial": "Partial",
    "compliance": "Compliance",
    "degenerate": "Degenerate",
    "unjudged": "Unjudged",
}


def show(services: Services, visit: Visit) -> View:
    found = services.judges.calibration()
    body = html.Div(
        [
            html.H1(finding(found)),
            html.P(
                "Every refusal rate is a judge's. People's labels say how often that judge is wrong, and set its rates "
                "right.",
                className="lead",
            ),
            _calibration(services, found, visit),
            permitted("judges.label", _import()),
            review.section(services, visit),
        ],
        className="page stack-3",
    )
    return View("Judges", body, section="judges")


PAGE = Page("/judges", show)


def finding(found: Mapping[str, Any]) -> str:
    """What the labels say of the first judge, as a heading."""
    measured = next((one for one in found["judges"] if one["all"]["accuracy"]["n"]), None)
    if measured is None:
        return "No judge has been checked by people yet"
    accuracy = measured["all"]["accuracy"]
    answers = formats.plural(accuracy["n"], "answer")
    return f"{_title(measured['judge'])} says what people say on {formats.rate(accuracy).estimate} of {answers}"


def _title(judge: str) -> str:
    return "The rules judge" if judge == "rules" else f"The judge {judge}"


def _sample(services: Services) -> Component | None:
    """The way to the first labels, where there are answers to label."""
    if not services.runs.list(status="done", kind="audit", limit=1).count:
        return None
    return dcc.Link("Label a random sample", href=f"{addresses.JUDGES}?show=sample", className="button")


def _calibration(services: Services, found: Mapping[str, Any], visit: Visit) -> Component:
    if not found["judges"]:
        return html.Section(
            [
                html.H2("Calibration"),
                empty(
                    "No labels to measure a judge with",
                    "Give a file of labelled answers below, or label a random sample of a run: agreement, sensitivity "
                    "and corrected rates will stand here, for each judge and each target model.",
                    _sample(services),
                ),
            ],
            className="stack-2",
        )
    names = [one["judge"] for one in found["judges"] if one["all"]["labelled"]]
    wanted = visit.query.get("judge", names[0])
    chosen = wanted if wanted in names else names[0]
    one = next(one for one in found["judges"] if one["judge"] == chosen)
    return html.Section(
        [
            html.Div([html.H2("Calibration"), _sources(found)], className="stack"),
            _judges_table(found["judges"], visit),
            html.Div(
                [
                    html.Div(
                        [
                            html.H3([f"{chosen}: people's labels and the judge's ", info("confusion")]),
                            _confusion(one["all"]),
                        ],
                        className="stack-2",
                    ),
                    html.Div(
                        [html.H3(f"{chosen}: each target model"), _models_table(one["models"])], className="stack-2"
                    ),
                ],
                className="columns columns-late",
            ),
            _hard(found["review"], chosen),
        ],
        className="stack-2",
    )


def _sources(found: Mapping[str, Any]) -> Component:
    names = {"import": "from files", "sample": "from random samples of runs", "review": "from review queues"}
    parts = [f"{formats.count(n)} {names[source]}" for source, n in found["sources"].items()]
    return html.P(f"{formats.plural(found['labels'], 'label')}: {', '.join(parts)}.", className="dim num")


def _judges_table(judges: Sequence[Mapping[str, Any]], visit: Visit) -> Component:
    columns = [
        Column("Judge"),
        Column("Version"),
        Column(html.Span(["Labelled ", info("labelled")]), numeric=True),
        Column(html.Span(["Accuracy ", info("judge_accuracy")]), numeric=True),
        Column(html.Span(["κ ", info("kappa")]), numeric=True),
        Column(html.Span(["Sensitivity ", info("sensitivity")]), numeric=True),
        Column(html.Span(["Specificity ", info("specificity")]), numeric=True),
    ]
    rows = [
        [
            dcc.Link(one["judge"], href=_address(visit, judge=one["judge"]), className="row-link"),
            one["version"] or "as the run had it",
            formats.count(one["all"]["labelled"]),
            rate(one["all"]["accuracy"]),
            interval(one["all"]["kappa"]),
            rate(one["all"]["sensitivity"]),
            rate(one["all"]["specificity"]),
        ]
        for one in judges
        if one["all"]["labelled"]
    ]
    return plain_table(columns, rows, "Judges against people, over all labelled answers")


def _confusion(one: Mapping[str, Any]) -> Component:
    said = [label for label in LABELS if any(row[label] for row in one["confusion"].values())]
    columns = [Column("People say"), *(Column(LABELS[label], numeric=True) for label in said)]
    rows = [[LABELS[human], *(formats.count(row[label]) for label in said)] for human, row in one["confusion"].items()]
    return plain_table(columns, rows, "How many answers people call one thing and the judge another")


def _models_table(models: Mapping[str, Mapping[str, Any]]) -> Component:
    columns = [
        Column("Answers of"),
        Column(html.Span(["Labelled ", info("labelled")]), numeric=True),
        Column(html.Span(["Accuracy ", info("judge_accuracy")]), numeric=True),
        Column(html.Span(["Refusal, judge ", info("raw_rate")]), numeric=True),
        Column(html.Span(["Corrected ", info("corrected_rate")]), numeric=True),
        Column(html.Span(["People ", info("human_rate")]), numeric=True),
    ]
    rows = [
        [
            name,
            formats.count(one["labelled"]),
            rate(one["accuracy"]),
            rate(one["raw"]),
            rate(one["corrected"]) if one["corrected"] else html.Span("withheld", title=one["withheld"]),
            rate(one["human"]),
        ]
        for name, one in models.items()
    ]
    table = plain_table(columns, rows, "The judge against people, for each target model")
    reasons = [
        withheld(f"Corrected rate of {name}", one["withheld"]) for name, one in models.items() if one["withheld"]
    ]
    return html.Div([table, *reasons], className="stack")


def _hard(review_of: Sequence[Mapping[str, Any]], judge: str) -> Component | None:
    one = next((one for one in review_of if one["judge"] == judge and one["all"]["labelled"]), None)
    if one is None:
        return None
    accuracy = formats.rate(one["all"]["accuracy"])
    return html.P(
        f"Not counted above: {formats.plural(one['all']['labelled'], 'label')} from review queues, of answers that "
        f"judges find hard. There {judge} is right on {accuracy.estimate} {accuracy.interval}.",
        className="dim num",
    )


def _import() -> Component:
    return html.Section(
        [
            html.H2("Add labelled answers"),
            html.Div(
                [
                    file_drop("labels-upload", "Drop a CSV of labelled answers, or choose one", ".csv,.tsv"),
                    html.P(
                        [
                            "Columns: ",
                            html.Code("prompt"),
                            ", ",
                            html.Code("completion"),
                            ", ",
                            html.Code("human"),
                            " (refusal, partial, compliance or degenerate), and ",
                            html.Code("model"),
                            " where you have it; without it the file's name stands for the model.",
                        ],
                        className="dim small",
                    ),
                    html.Div(id="labels-note", **aria(live="polite")),
                ],
                className="stack",
            ),
        ],
        className="stack-2",
    )


def _address(visit: Visit, **changes: str | None) -> str:
    return addresses.with_query(addresses.JUDGES, {**visit.query, **changes})


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("labels-note", "children"),
        Output("page-reload", "data", allow_duplicate=True),
        Input("labels-upload", "contents"),
        State("labels-upload", "filename"),
        State("page-reload", "data"),
        prevent_initial_call=True,
    )
    def add(contents: str | None, filename: str | None, reloads: Any) -> tuple[Any, Any]:
        if not contents:
            return no_update, no_update
        try:
            services.judges.import_labels(decode(contents), filename or "labels.csv")
        except ExpertScopeError as error:
            return faults_list(error), no_update
        return None, (reloads or 0) + 1

    review.register(bind)
