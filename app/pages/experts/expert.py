"""/ui/runs/{id}/experts/{layer}/{expert}: everything that a run knows of one expert."""

from collections.abc import Mapping
from typing import Any

from dash import MATCH, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import (
    Column,
    aria,
    cover,
    dataset,
    graph,
    info,
    interval,
    ladder,
    ladder_list,
    plain_table,
    rate,
    stat,
    uncovered,
)
from app.components.states import withheld
from app.figures import effect_against_null, lift_bars
from app.pages.experts.company import partners, top_tokens
from app.pages.run.act_on import act_on
from app.pages.run.frame import Finished, run_view
from app.quantities import QUANTITIES
from app.router import Page, View, Visit
from backend import formats
from backend.services import ANSWERS_HIDDEN, PROMPTS_HIDDEN, Answer, ExpertTable, ExpertView, RunInfo, Services

VARIANTS = {"base": "Untouched model", "masked": "Flagged experts masked"}


def show(services: Services, visit: Visit) -> View:
    layer, expert = visit.params["layer"], visit.params["expert"]

    def build(finished: Finished) -> Component:
        table, view = (
            services.results.expert_table(finished.run.id),
            services.results.expert(finished.run.id, layer, expert),
        )
        return _expert(finished, table, view)

    return run_view(services, visit, "experts", build, crumb=formats.place(layer, expert))


PAGE = Page("/runs/{run_id}/experts/{layer:int}/{expert:int}", show)


def _expert(finished: Finished, table: ExpertTable, view: ExpertView) -> Component:
    row = view.row
    return html.Div(
        [
            html.Div(
                [
                    html.H1(wording.expert_finding(row, view.by_topic)),
                    html.Div([_select(row), _neighbours(finished, table, row)], className="row"),
                ],
                className="spread",
            ),
            html.Div(
                [
                    html.Div([_evidence(finished.run, row), _criteria(table, row)], className="stack-3"),
                    html.Div([_effect(finished, row), _topics(finished, view), _windows(view)], className="stack-3"),
                ],
                className="columns",
            ),
            html.Div(
                [
                    partners(
                        finished, view, wording.withheld_reason(finished.report, "routing.per_layer.coactivation")
                    ),
                    top_tokens(view),
                ],
                className="halves",
            ),
            _prompts(finished.run.id, view),
        ],
        className="stack-3",
    )


def _select(row: Mapping[str, Any]) -> Component:
    """Puts the expert among those that every view of the run shows, or takes it out again."""
    place = f"{row['layer']}.{row['expert']}"
    pressed = aria(
        pressed="false", label=f"Select {formats.place(row['layer'], row['expert'])} in every view of this run"
    )
    return html.Button(
        "Select", type="button", className="button quiet", **dataset(select=f"expert:{place}"), **pressed
    )


def _neighbours(finished: Finished, table: ExpertTable, row: Mapping[str, Any]) -> Component:
    """The experts before and after this one in the audit's ranking, which is the table's order."""
    rank = f"rank {formats.count(row['rank'])} of {formats.count(len(table))}"
    links: list[Component] = [html.Span(rank, className="dim num")]
    here = row["rank"] - 1
    for label, index in (("Better", here - 1), ("Next", here + 1)):
        if 0 <= index < len(table):
            place = (int(table.columns["layer"][index]), int(table.columns["expert"][index]))
            href = addresses.expert(finished.run.id, *place)
            links.append(dcc.Link(f"{label}: {formats.place(*place)}", href=href, className="button quiet"))
    return html.Nav(links, className="row", **aria(label="Neighbours by rank"))


def _evidence(run: RunInfo, row: Mapping[str, Any]) -> Component:
    return html.Section(
        [
            html.H2(["Evidence ", info("evidence")]),
            html.Div(
                [ladder(row["evidence"], row["flagged"]), html.Span(f"level {row['level']} of 6", className="dim num")],
                className="row",
            ),
            ladder_list(row["evidence"]),
            html.P("Flagged: causal, selective and replicated." if row["flagged"] else "Not flagged.", className="dim"),
            act_on(run, [(row["layer"], row["expert"])]),
        ],
        className="stack-2",
    )


def _effect(finished: Finished, row: Mapping[str, Any]) -> Component:
    effect = row.get("effect")
    title = html.H2(["Effect against matched random experts ", info("null")])
    if not effect or effect.get("estimate") is None:
        why = (
            wording.withheld_reason(finished.report, "experts.effect") or "it was not ablated on the confirmation half"
        )
        return html.Section([title, withheld("Effect", why)], className="stack-2")
    ablation = row.get("ablation") or {}
    stats = [
        stat("Effect", interval(effect, "nats"), "effect"),
        stat("p against the null", formats.p_value(row.get("p_value")), "null"),
        stat("Selectivity", formats.number(row.get("selectivity")), "selectivity"),
    ]
    if (ablation.get("refusal") or {}).get("estimate") is not None:
        stats.append(stat("Refusal lost when ablated", rate(ablation["refusal"]), "refusal_lost"))
    text = f"Effect {formats.interval(effect, 'nats')} against matched random experts"
    chart = graph(effect_against_null(effect, row.get("null"), row["flagged"]), "effect", text)
    note = html.P(wording.null_note(row), className="dim small")
    return html.Section([title, chart, note, html.Div(stats, className="stats")], className="stack-2")


def _topics(finished: Finished, view: ExpertView) -> Component:
    used = [(use.topic, use.lift) for use in view.by_topic if use.lift is not None]
    title = html.H2(["Topics ", info("lift")])
    if not used:
        return html.Section([title, html.P("The prompts name no topics.", className="dim")], className="stack-2")
    topics, lifts = [topic for topic, _ in used], [lift for _, lift in used]
    text = "Lift by topic: " + ", ".join(f"{topic} {formats.number(lift)}" for topic, lift in used)
    note = html.P(
        f"{formats.plural(finished.report['prompts']['harmful'], 'harmful prompt')}, "
        f"{formats.plural(finished.report['prompts']['benign'], 'benign prompt')}; dotted: even use.",
        className="dim small",
    )
    return html.Section([title, graph(lift_bars(topics, lifts), "topics", text), note], className="stack")


def _criteria(table: ExpertTable, row: Mapping[str, Any]) -> Component:
    rows: list[list[Any]] = []
    title: Any
    for name in table.criteria:
        rank = int(table.columns[f"rank_{name}"][row["rank"] - 1])
        title = [QUANTITIES[name].name, " ", info(name)] if name in QUANTITIES else name
        score = formats.number(row["scores"].get(name))
        rows.append([html.Span(title), score, formats.ordinal(rank) if rank else formats.NONE, _beside(row, name)])
    rows.append([html.Span(["q-value ", info("q_value")]), formats.number(row.get("q_value"), 2), "", ""])
    rows.append([html.Span(["Stability ", info("stability")]), formats.number(row.get("stability")), "", ""])
    columns = [
        Column("Criterion"),
        Column("Score", numeric=True),
        Column(f"Rank of {formats.count(len(table))}", numeric=True),
        Column("Beside it"),
    ]
    return html.Section(
        [html.H2("Criteria"), plain_table(columns, rows, "Scores and ranks by criterion")], className="stack-2"
    )


def _beside(row: Mapping[str, Any], criterion: str) -> Component:
    """What the criterion says beside its score, without the limits of its intervals."""
    own = {
        name.removeprefix(f"{criterion}."): value
        for name, value in row.get("details", {}).items()
        if name.startswith(f"{criterion}.") and value is not None and not name.endswith(("_low", "_high"))
    }
    text = ", ".join(f"{name.replace('_', ' ')} {formats.number(value, 2)}" for name, value in own.items())
    return html.Span(text or formats.NONE, className="dim small")


def _windows(view: ExpertView) -> Component:
    columns = [
        Column("Tokens"),
        Column(html.Span(["Frequency ", info("frequency")]), numeric=True),
        Column(html.Span(["Probability ", info("probability")]), numeric=True),
    ]
    rows = [
        [
            html.Span(
                [
                    wording.WINDOWS.get(use.window, use.window),
                    html.Span(wording.WINDOW_NOTES.get(use.window, ""), className="dim small block"),
                ]
            ),
            formats.number(use.frequency),
            formats.number(use.probability),
        ]
        for use in view.windows
    ]
    return html.Section([html.H2("Windows"), plain_table(columns, rows, "Use by token window")], className="stack-2")


def _prompts(run_id: str, view: ExpertView) -> Component:
    title = html.H2(["Prompts that use it most ", info("frequency")])
    if not view.prompts:
        return html.Section([title, html.P("No prompt selected this expert.", className="dim")], className="stack-2")
    columns = [Column("Topic"), Column("Label"), Column("Frequency", numeric=True), Column("Text")]
    rows = [
        [
            use.topic or formats.NONE,
            html.Span(use.label or formats.NONE, className=use.label),
            formats.number(use.frequency),
            cover(run_id, use.prompt_id),
        ]
        for use in view.prompts
    ]
    note = html.P("Texts stay covered until you ask for one.", className="dim small")
    return html.Section(
        [title, note, plain_table(columns, rows, "Prompts by selection frequency", "table prompts")], className="stack"
    )


def register(bind: Binder) -> None:
    """Uncover one prompt and its answers."""
    services = bind.services

    @bind.on(
        Output({"type": "covered", "run": MATCH, "prompt": MATCH}, "children"),
        Input({"type": "uncover", "run": MATCH, "prompt": MATCH}, "n_clicks"),
        State({"type": "uncover", "run": MATCH, "prompt": MATCH}, "id"),
        prevent_initial_call=True,
    )
    def uncover(clicks: int | None, button: dict[str, str]) -> Any:
        if not clicks:
            return no_update
        run = services.runs.get(button["run"])
        prompts = services.prompt_sets.load(run.prompt_set.id)
        text = next((prompt.text for prompt in prompts if prompt.id == button["prompt"]), "This prompt is not stored.")
        shown = services.content.prompt(text) or PROMPTS_HIDDEN
        return uncovered(shown, _answers(services, run.id, button["prompt"]))


def _answers(services: Services, run_id: str, prompt_id: str) -> list[tuple[str, str, str]]:
    hidden = not services.content.shows_completions
    return [_answer(answer, hidden) for answer in services.results.answers(run_id, prompt_id)]


def _answer(answer: Answer, hidden: bool) -> tuple[str, str, str]:
    text = ANSWERS_HIDDEN if hidden else answer.text or "(empty)"
    return VARIANTS.get(answer.variant, answer.variant), answer.label, text
