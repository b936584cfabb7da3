"""What can be done with experts on an audit's pages: select them in every view, or begin a mask or a tuning of them,
with the form filled with what is known."""

from collections.abc import Sequence

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses
from app.components import dataset
from backend.services import RunInfo, may

ACTIONS = (("mask", "Mask"), ("tune", "Tune"))


def act_on(run: RunInfo, experts: Sequence[tuple[int, int]], *, flagged: bool = False) -> Component | None:
    """ "Select them", "Mask these experts", "Tune these experts"; with `flagged` the new run says that they are this
    audit's."""
    if not experts:
        return None
    named = "this expert" if len(experts) == 1 else "these experts"
    links = [
        dcc.Link(
            f"{verb} {named}",
            href=addresses.new_run(
                run.model.id,
                run.prompt_set.id,
                kind=kind,
                experts=addresses.places(experts),
                experts_from=run.id if flagged else None,
                preset=run.preset,
            ),
            className="button",
        )
        for kind, verb in ACTIONS
        if may("runs.write")
    ]
    select = html.Button(
        "Select " + ("it" if len(experts) == 1 else "them"),
        type="button",
        className="button",
        **dataset(experts=",".join(f"{layer}.{expert}" for layer, expert in experts)),
    )
    return html.Div([select, *links], className="row")
