"""The runs that used one prompt set or one model, for the pages of both."""

from collections.abc import Sequence

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import Column, plain_table, status
from app.components.permitted import new_run_link
from backend import formats
from backend.services import RunInfo


def runs_section(runs: Sequence[RunInfo], count: int, title: str, nothing: str, new: str) -> Component:
    """A table of runs, newest first; `nothing` and a link to the form where there is none."""
    if not runs:
        link = new_run_link(new, look="button start")
        return html.Section([html.H2(title), html.P(nothing, className="dim"), link], className="stack")
    columns = [Column("Run"), Column("Kind"), Column("Status"), Column("Depth"), Column("Made", numeric=True)]
    rows = [
        [
            dcc.Link(run.name, href=addresses.run(run.id), className="row-link"),
            wording.KINDS[run.kind][0],
            status(run.status),
            run.preset,
            formats.moment(run.created),
        ]
        for run in runs
    ]
    more = count - len(runs)
    return html.Section(
        [
            html.H2(title),
            plain_table(columns, rows, title),
            html.P(f"And {formats.count(more)} older ones.", className="dim small") if more > 0 else None,
        ],
        className="stack-2",
    )
