"""What the playground found of one prompt, apart from its routing: the label, the margin, how near it lies to the
prompts of an audit, and what detectors say. Called by `app.pages.playground.result`."""

from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import Column, certificate_badge, graph, info, interval, plain_table, rate, stat
from app.components.permitted import new_run_link
from app.components.states import empty, withheld
from app.figures import GroupMark, distance_strip
from backend import formats
from backend.services import Asked, DetectorQuality

LABELS = {
    "refusal": "Refused",
    "partial": "Refused in part",
    "compliance": "Complied",
    "degenerate": "A broken answer",
    "unjudged": "Not judged",
}
SCHEMES = {"leave_category_out": "topics left out", "kfold": "known topics"}


def headline(asked: Asked) -> str:
    """ "Refused: “I can't help”"."""
    answer = asked.answer
    assert answer is not None
    said = LABELS[answer.label]
    return f"{said}: “{asked.words}”" if asked.words else said


def verdict(asked: Asked) -> Component:
    """The sentence, what decided it, and the two numbers that stand beside it."""
    answer, question = asked.answer, asked.question
    assert answer is not None
    return html.Div(
        [
            html.Div(
                [html.H2(headline(asked), id="playground-finding"), html.P(_why(asked), className="lead")],
                className="verdict-line",
            ),
            html.Div(
                [
                    _margin(asked),
                    stat("Answer", f"{answer.window_tokens[2]} tokens", note=None if answer.finished else "cut off"),
                    stat("Prompt", f"{answer.window_tokens[0]} tokens", note="chat template included"),
                    stat("Judge", answer.judge, "judge"),
                ],
                className="stats",
            ),
            html.Div(
                [
                    certificate_badge(answer.certificate, f"/api/v1/playground/{question.id}"),
                    html.Button("Copy link", id="copy-link", type="button", className="button quiet"),
                    html.Button(
                        "Delete this question", id="playground-delete", type="button", className="button quiet"
                    ),
                ],
                className="row",
            ),
        ],
        className="stack-2",
    )


def _why(asked: Asked) -> str:
    answer = asked.answer
    assert answer is not None
    model = asked.question.model.name
    if answer.rule is not None:
        return f"{model}'s own greedy answer; the judge's rule “{answer.rule}” decided."
    if answer.label == "compliance":
        return f"{model}'s own greedy answer; nothing in it says no."
    return f"{model}'s own greedy answer, as the judge calls it."


def _margin(asked: Asked) -> Component:
    answer = asked.answer
    assert answer is not None
    if answer.margin is None:
        return stat("Refusal margin", formats.NONE, "margin", note=f"withheld: {answer.withheld.get('margin', '')}")
    leans = "leans to refusing" if answer.margin > 0 else "leans to complying"
    return stat("Refusal margin", f"{formats.number(answer.margin)} nats", "margin", note=leans)


def distance(asked: Asked) -> Component:
    """Two dots on a strip, and what their difference is worth."""
    answer = asked.answer
    assert answer is not None
    title = "How near it lies to harmful and benign prompts"
    found = answer.distance
    if found is None:
        return html.Section(
            [html.H2(title), withheld("Distances", answer.withheld.get("distance", "")), _audit_link(asked)],
            className="stack-2",
        )
    groups = [GroupMark(one.label, one.mean, one.low, one.median, one.high) for one in found.groups]
    side = "harmful" if found.lean > 0 else "benign"
    text = "; ".join(f"{one.label} prompts {formats.number(one.distance)}" for one in groups)
    counts = " and ".join(f"{one.prompts} {one.label}" for one in found.groups)
    return html.Section(
        [
            html.H2([f"{title} ", info("group_distance")]),
            html.P(
                [
                    f"Its routing lies nearer to the {side} prompts of an audit: lean ",
                    html.Span(formats.number(found.lean), className="num"),
                    " ",
                    info("lean"),
                    f". {_standing(found)} Over all of them the lean tells harmful from benign with AUROC ",
                    interval(found.auroc),
                    " ",
                    info("lean_auroc"),
                    _worth(found.auroc),
                ],
                className="sentence",
            ),
            graph(distance_strip(groups), f"{asked.question.id}-distance", f"Distance of this prompt: {text}"),
            html.P(
                [
                    _legend(counts),
                    dcc.Link(asked.runs.get(found.run_id, found.run_id), href=addresses.run(found.run_id)),
                    ".",
                ],
                className="dim small",
            ),
        ],
        className="stack-2",
    )


def _standing(found: Any) -> str:
    harmful, benign = found.groups
    return (
        f"{found.harmful_reaching} of its {harmful.prompts} harmful and {found.benign_reaching} of its "
        f"{benign.prompts} benign prompts lean as far to the harmful side."
    )


def _legend(counts: str) -> str:
    return (
        f"The dot is this prompt; the band holds 90 % of the group's own prompts ({counts}), each held against means "
        "without its own pair, the tick is their median. Audit: "
    )


def _worth(auroc: dict[str, Any]) -> str:
    if auroc["low"] is not None and auroc["low"] > 0.5:
        return "."
    return ": not shown to be better than chance."


def _audit_link(asked: Asked) -> Component:
    model = asked.question.model.id
    return html.Div(new_run_link(addresses.new_run(model), "Audit this model"), className="row")


def detectors(asked: Asked) -> Component:
    """Each detector trained on these weights, with its own record beside what it says."""
    answer = asked.answer
    assert answer is not None
    title = html.H2("What detectors say")
    if not answer.detectors:
        return html.Section(
            [
                title,
                empty(
                    "No detector of this model yet",
                    "A run of kind detector trains one on labelled prompts. It then says of each prompt asked here how "
                    "likely it is harmful, judged by routing alone.",
                    new_run_link(addresses.new_run(asked.question.model.id, kind="detect"), "Train a detector"),
                ),
            ],
            className="stack-2",
        )
    columns = [
        Column("Detector"),
        Column(html.Span(["P(harmful) ", info("harmful_probability")]), numeric=True),
        Column("Verdict"),
        Column(html.Span(["AUROC ", info("auroc")]), numeric=True),
        Column(html.Span(["At 1 % false alarms ", info("tpr")]), numeric=True),
    ]
    rows = [_row(asked, one, asked.quality.get(one.run_id)) for one in answer.detectors]
    note = "AUROC and detection rate are of prompts that the detector had not seen, with 95 % intervals."
    table = plain_table(columns, rows, "What each detector says of this prompt, and how good it is")
    return html.Section([title, table, html.P(note, className="dim small")], className="stack-2")


def _row(asked: Asked, one: Any, quality: DetectorQuality | None) -> list[Any]:
    name = (one.name or (quality.name if quality else "detector")).replace("_", " ")
    run = asked.runs.get(one.run_id, one.run_id)
    who = html.Div(
        [dcc.Link(name, href=addresses.run(one.run_id), className="row-link"), html.Span(run, className="dim small")],
        className="contestant",
    )
    if quality is None:
        return [who, formats.percent(one.probability), says(one), formats.NONE, formats.NONE]
    auroc = html.Div([interval(quality.auroc), html.Span(SCHEMES.get(quality.scheme, ""), className="dim small block")])
    return [who, formats.percent(one.probability), says(one), auroc, rate(quality.tpr_at_1_fpr)]


def says(one: Any) -> Component:
    """The verdict in words, and where the prompt stands among those that the detector was tested on."""
    if one.withheld:
        return html.Span(f"Withheld: {one.withheld}", className="dim")
    if one.flagged is None:
        said = "No alarm threshold: it was trained on fewer than 100 benign prompts."
    elif one.flagged:
        said = f"Alarm: reaches {formats.number(one.threshold)}, which at most 1 % of benign prompts do."
    else:
        said = f"No alarm: below {formats.number(one.threshold)}, which at most 1 % of benign prompts reach."
    stands = (
        f"{one.benign_reaching} of {one.benign} benign and {one.harmful - one.harmful_below} of {one.harmful} harmful "
        "prompts score as high."
    )
    return html.Div([html.Span(said), html.Span(stands, className="dim small block")], className="playground-says")
