"""The runs that mask or tune the experts of an audit, each with what it found: from the untouched model to the changed
one in one click. The interventions page has it, and the overview."""

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import status
from backend.services import RunInfo, Services


def made_from(services: Services, run: RunInfo, *, most: int | None = None) -> Component | None:
    """The newest first, `most` of them; None where there is no such run."""
    found = services.runs.made_from(run.id, limit=most) if most else services.runs.made_from(run.id)
    if not found.items:
        return None
    more = found.count - len(found.items)
    lines = [html.Li([html.Strong(_what(one)), _finding(one), status(one.status)]) for one in found.items]
    return html.Div(
        [html.Ul(lines, className="made"), html.P(f"And {more} older ones.", className="dim small") if more else None],
        className="stack",
    )


def _what(run: RunInfo) -> str:
    """ "Masked", "Hardened", "Stressed"."""
    return wording.MADE.get(str(run.parameters.get("direction")), wording.MADE.get(run.kind, run.kind))


def _finding(run: RunInfo) -> Component:
    """What it found, or its name until it has found something; a link to it."""
    text = wording.verdict(wording.sentence(run.kind, run.headline)).finding if run.headline else run.name
    return html.Div(dcc.Link(text, href=addresses.run(run.id)))
