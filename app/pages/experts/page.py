"""/ui/runs/{id}/experts: where the criteria agree on experts, and every expert in a sortable, filterable table. The
table's rows come from `app.pages.experts.rows`.

Order and filters stand in the address, as does the selection that all pages of a run share: its experts are lit here,
and its topic is a column.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import addresses, wording
from app.callbacks import Binder
from app.components import graph, grid, icon, info
from app.figures import rank_lines
from app.pages.experts import table as table_of
from app.pages.experts.rank_agreement import agreement_table, agreement_text, readable
from app.pages.run.act_on import act_on
from app.pages.run.frame import Finished, run_view
from app.quantities import QUANTITIES
from app.router import Page, View, Visit
from app.selection import Selection
from backend import formats
from backend.services import ExpertTable, Services

Report = Mapping[str, Any]
RULES = {
    "flagged-row": {"function": "params.data && params.data.flagged"},
    "lit": {"function": "lit(params.data)"},
}


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "experts", lambda finished: _experts(services, finished, visit))


PAGE = Page("/runs/{run_id}/experts", show)


def _experts(services: Services, finished: Finished, visit: Visit) -> Component:
    run_id, table = finished.run.id, services.results.expert_table(finished.run.id)
    everything = visit.query.get("criteria") == "all"
    few = shown_criteria(finished.report, table)
    criteria, selected = list(table.criteria) if everything else few, Selection.of(visit.query)
    topic = selected.topic if selected.topic in finished.report["prompts"]["topics"] else None
    asked = {"run": run_id, "criteria": criteria, "topic": topic}
    return html.Div(
        [
            html.Div(
                [html.H1(wording.flagged_finding(finished.flagged, len(table))), _links(finished)], className="spread"
            ),
            _ranks(services, finished, criteria, selected),
            html.Section(
                [
                    html.H2("Every expert"),
                    _key(criteria),
                    _more(run_id, len(table.criteria) - len(few), everything),
                    _grid(finished, table, asked, visit),
                    html.P(
                        [
                            html.Span(formats.plural(len(table), "expert"), id="experts-count", role="status"),
                            "; a row opens its expert, the box before it or the space bar selects it in every view.",
                        ],
                        className="dim small",
                    ),
                ],
                className="stack-2",
            ),
            dcc.Store(id="experts-run", data=asked),
            dcc.Store(id="experts-drawn", data=[[*place] for place in selected.experts]),
            dcc.Store(id="experts-opened"),
        ],
        className="stack-3",
    )


def _links(finished: Finished) -> Component:
    href = addresses.download(finished.run.id, "experts.csv")
    places = wording.flagged_places(finished.report)
    save = html.A([icon("download"), "experts.csv"], href=href, className="button")
    return html.Div([act_on(finished.run, places, flagged=True), save], className="row")


def _ranks(services: Services, finished: Finished, criteria: Sequence[str], selected: Selection) -> Component:
    run_id = finished.run.id
    agreement = services.results.agreement(run_id, criteria)
    leading = services.results.leading_experts(run_id, criteria, selected.experts)
    text = f"Rank of {len(leading)} experts by each of {len(criteria)} criteria; the table below has every rank"
    caption = (
        f"{formats.plural(len(leading), 'expert')} of {formats.count(finished.experts_count)}: flagged, "
        f"selected, and the "
        "three that each criterion ranks highest. Lines that stay together are criteria that agree."
    )
    return html.Section(
        [
            html.H2([agreement_text(agreement), " ", info("rank_agreement")]),
            graph(
                rank_lines(leading, [*map(readable, criteria)], finished.experts_count),
                f"{run_id}-ranks",
                text,
                id="experts-ranks",
            ),
            html.P(caption, className="dim small"),
            agreement_table(agreement),
        ],
        className="stack",
    )


def _grid(finished: Finished, table: ExpertTable, asked: Mapping[str, Any], visit: Visit) -> Component:
    sort = visit.query.get("sort", "rank.asc")
    options = {
        "rowModelType": "infinite",
        "cacheBlockSize": table_of.BLOCK,
        # What the component itself asks for before static/js/expert_rows.js does is never answered, and counts.
        "maxConcurrentDatasourceRequests": -1,
        # A filter begins with one empty row, not with a screen of them that is drawn only to be replaced.
        "infiniteInitialRowCount": 1,
        "maxBlocksInCache": 40,
        "blockLoadDebounceMillis": 0,
        # A jump draws every row anew: no more rows and columns than are seen, and all at once.
        "rowBuffer": 0,
        "suppressColumnVirtualisation": False,
        "suppressAnimationFrame": True,
        "suppressCellFocus": False,
        "rowClassRules": RULES,
        "enableBrowserTooltips": True,
        "isFullWidthRow": {"function": "awaited(params)"},
        "fullWidthCellRenderer": "Awaited",
    }
    return grid(
        None,
        table_of.columns(finished.run.id, table, asked["criteria"], asked["topic"], sort),
        "Experts with their evidence, effects and criteria",
        height=table_of.height(len(table)),
        options=options,
        id="experts-table",
        rowModelType="infinite",
        filterModel=table_of.filters(visit.query.get("filter")),
        getRowId="params.data.name",
    )


def _key(criteria: Sequence[str]) -> Component:
    """What the columns mean, each with its ⓘ."""
    keys = [
        "evidence",
        "effect",
        "null",
        "q_value",
        "stability",
        *(name for name in criteria if name in QUANTITIES),
        "frequency",
    ]
    return html.Div(
        [html.Span([QUANTITIES[key].name, " ", info(key)], className="key") for key in keys],
        className="row row-wide key-row dim small",
    )


def shown_criteria(report: Report, table: ExpertTable) -> list[str]:
    """The criteria that the table shows unasked: those that the report does not mark as left out."""
    about = report.get("criteria", {})
    return [name for name in table.criteria if about.get(name, {}).get("shown", True)]


def _more(run_id: str, left_out: int, everything: bool) -> Component | None:
    """The way to all criteria and back; order and filter are not carried over."""
    if not left_out:
        return None
    text = (
        "Show fewer criteria" if everything else f"Show {formats.plural(left_out, 'more criterion', 'more criteria')}"
    )
    href = addresses.run(run_id, "experts", criteria=None if everything else "all")
    return html.P(dcc.Link(text, href=href), className="small")


def register(bind: Binder) -> None:
    services = bind.services

    bind.in_browser("serveExperts", Output("experts-count", "children"), Input("experts-run", "data"))

    @bind.on(
        Output("experts-ranks", "figure"),
        Output("experts-drawn", "data"),
        Input("selection", "data"),
        State("experts-run", "data"),
        State("experts-drawn", "data"),
        prevent_initial_call=True,
    )
    def light(
        selection: dict[str, Any] | None, asked: dict[str, Any] | None, drawn: list[list[int]]
    ) -> tuple[Any, Any]:
        chosen = [[*place] for place in Selection.of({"sel": ",".join((selection or {}).get("experts", ()))}).experts]
        if not asked or chosen == drawn:
            return no_update, no_update
        leading = services.results.leading_experts(asked["run"], asked["criteria"], [(la, e) for la, e in chosen])
        everyone = len(services.results.expert_table(asked["run"]))
        return rank_lines(leading, [*map(readable, asked["criteria"])], everyone), chosen

    bind.in_browser(
        "openRow", Output("experts-opened", "data"), Input("experts-table", "cellClicked"), prevent_initial_call=True
    )
