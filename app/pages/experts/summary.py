"""The short form of an expert, for the drawer beside the heatmap."""

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import effect_strip, icon, info, interval, ladder
from app.components.effect import effect_span
from backend import formats
from backend.services import ExpertView, Services


def expert_summary(services: Services, run_id: str, layer: int, expert: int) -> Component:
    """Sentence, ladder, effect and topics of one expert, and the way to its page."""
    view = services.results.expert(run_id, layer, expert)
    row = view.row
    return html.Div(
        [
            html.H2(wording.expert_finding(row, view.by_topic)),
            html.Div(
                [ladder(row["evidence"], row["flagged"]), f"level {row['level']}", info("evidence")], className="row"
            ),
            _effect(view),
            _uses(view),
            dcc.Link(
                ["Open expert", icon("next")],
                href=addresses.expert(run_id, layer, expert),
                className="button primary start",
            ),
        ],
        className="stack-2",
    )


def _effect(view: ExpertView) -> Component:
    effect, null = view.row.get("effect"), view.row.get("null")
    return html.Div(
        [
            html.Div(["Effect ", info("effect")], className="stat-label"),
            html.Div(interval(effect, "nats"), className="stat-value num"),
            effect_strip(effect, null, effect_span([effect], [null]), view.row["flagged"]),
            html.Span("matched random experts", className="key-null dim small") if null else None,
        ],
        className="stack",
    )


def _uses(view: ExpertView) -> Component:
    used = [use for use in view.by_topic if use.lift is not None]
    rows = [
        html.Div([html.Dt(use.topic), html.Dd(f"{formats.number(use.lift)} ×", className="num")])
        for use in sorted(used, key=lambda use: -(use.lift or 0.0))[:6]
    ]
    return html.Div(
        [html.Div(["Lift by topic ", info("lift")], className="stat-label"), html.Dl(rows, className="facts")]
    )
