"""/ui/runs/{id}/routing: one quantity for every layer and expert, as a picture or as a table.

Everything chosen stands in the address: quantity, group, window, view, and the expert that is open at the side.
"""

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app import wording
from app.callbacks import Binder
from app.components import aria, graph, grid, icon, info
from app.pages.cells import Choice, Drawn, draw, group_options
from app.pages.expert_summary import expert_summary
from app.pages.layer_table import layer_table
from app.pages.run_frame import Finished, run_view
from app.quantities import QUANTITIES
from app.router import Page, View, Visit
from backend.services import Heatmap, Services

SHOWN = ("frequency", "probability", "lift", "difference")


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "routing", lambda finished: _routing(services, finished, visit))


PAGE = Page("/runs/{run_id}/routing", show)


def _routing(services: Services, finished: Finished, visit: Visit) -> Component:
    choice = Choice.of(visit.query)
    flagged = wording.flagged_places(finished.report)
    cells = services.results.heatmap(finished.run.id, choice.quantity, choice.group, choice.window)
    drawn = draw(finished.run.id, cells, flagged, choice)
    return html.Div(
        [
            dcc.Store(id="routing-run", data={"run": finished.run.id, "flagged": flagged}),
            dcc.Store(id="routing-address"),
            _rail(cells, choice, drawn.csv),
            html.Div(
                [
                    html.Div([html.H1(drawn.title, id="routing-title"), _view_switch(choice)], className="spread"),
                    _picture(drawn, choice),
                    _table(drawn, choice),
                    html.P(drawn.caption, id="routing-caption", className="dim small"),
                    html.Section(
                        [
                            html.H2("Largest cells"),
                            html.Ol(drawn.largest, id="routing-largest", className="largest num"),
                        ],
                        className="stack",
                    ),
                    layer_table(finished.run.id, finished.report),
                ],
                className="stack-2 routing-main",
            ),
            _drawer(services, finished.run.id, visit.query.get("expert")),
        ],
        className="routing",
    )


def _rail(cells: Heatmap, choice: Choice, csv: str) -> Component:
    quantities = [
        html.Div(
            [dmc.Radio(iconColor="var(--on-accent)", label=QUANTITIES[key].name, value=key, size="xs"), info(key)],
            className="row",
        )
        for key in SHOWN
    ]
    return html.Aside(
        [
            dmc.RadioGroup(
                html.Div(quantities, className="stack"), id="routing-quantity", value=choice.quantity, label="Quantity"
            ),
            dmc.Select(
                id="routing-group",
                label="Prompts",
                value=choice.group,
                data=group_options(cells.groups, choice.quantity),
                allowDeselect=False,
                searchable=True,
                size="sm",
                nothingFoundMessage="No such topic",
            ),
            dmc.RadioGroup(
                html.Div(
                    [
                        dmc.Radio(
                            iconColor="var(--on-accent)",
                            label=wording.WINDOWS[window],
                            value=window,
                            size="xs",
                            description=wording.WINDOW_NOTES[window],
                        )
                        for window in cells.windows
                    ],
                    className="stack",
                ),
                id="routing-window",
                value=choice.window,
                label="Tokens",
            ),
            html.A(
                [icon("download"), "These cells as CSV"],
                id="routing-csv",
                href=csv,
                className="button quiet flush",
            ),
            dcc.Store(id="routing-groups", data=cells.groups),
        ],
        className="rail",
        **aria(label="What the heatmap shows"),
    )


def _view_switch(choice: Choice) -> Component:
    return html.Div(
        dmc.SegmentedControl(
            id="routing-view",
            value=choice.view,
            data=[{"value": "picture", "label": "Picture"}, {"value": "table", "label": "Table"}],
            size="xs",
        ),
        title="T swaps picture and table",
    )


def _picture(drawn: Drawn, choice: Choice) -> Component:
    text = "Heatmap with layers down and experts across; the table view has the same cells as numbers"
    return html.Div(
        graph(drawn.figure, "routing", text, id="routing-heatmap"),
        id="routing-picture",
        hidden=choice.view != "picture",
    )


def _table(drawn: Drawn, choice: Choice) -> Component:
    columns = [
        {
            "field": "name",
            "headerName": "Expert",
            "cellRenderer": "Place",
            "filter": "agTextColumnFilter",
            "width": 110,
        },
        {"field": "layer", "filter": "agNumberColumnFilter", "type": "rightAligned", "width": 100},
        {
            "field": "expert",
            "headerName": "Index",
            "filter": "agNumberColumnFilter",
            "type": "rightAligned",
            "width": 100,
        },
        {
            "field": "value",
            "filter": "agNumberColumnFilter",
            "type": "rightAligned",
            "valueFormatter": {"function": "cell(params.value)"},
            "width": 140,
        },
        {"field": "flagged", "headerName": "Flag", "flex": 1, "filter": "agTextColumnFilter"},
    ]
    return html.Div(
        grid(drawn.rows, columns, "The heatmap's cells as a table", height="560px", id="routing-table"),
        id="routing-numbers",
        hidden=choice.view != "table",
    )


def _drawer(services: Services, run_id: str, opened: str | None) -> Component:
    place = parse_place(opened)
    body = expert_summary(services, run_id, *place) if place else None
    drawer: Component = dmc.Drawer(
        html.Div(body, id="routing-expert"),
        id="routing-drawer",
        title="Expert",
        position="right",
        size=420,
        opened=body is not None,
        withinPortal=False,  # inside <main>, where its <header> is no second banner
        overlayProps={"backgroundOpacity": 0.15},
        transitionProps={"duration": 120},
        closeButtonProps={"aria-label": "Close"},
    )
    return drawer


def parse_place(text: str | None) -> tuple[int, int] | None:
    """ "2.5" as layer 2, expert 5."""
    layer, _, expert = (text or "").partition(".")
    return (int(layer), int(expert)) if layer.isdecimal() and expert.isdecimal() else None


def register(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("routing-heatmap", "figure"),
        Output("routing-table", "rowData"),
        Output("routing-title", "children"),
        Output("routing-caption", "children"),
        Output("routing-csv", "href"),
        Output("routing-largest", "children"),
        Input("routing-quantity", "value"),
        Input("routing-group", "value"),
        Input("routing-window", "value"),
        Input("routing-view", "value"),
        State("routing-run", "data"),
        prevent_initial_call=True,
    )
    def redraw(quantity: str, group: str, window: str, view: str, run: dict[str, Any]) -> tuple[Any, ...]:
        cells = services.results.heatmap(run["run"], quantity, group, window)
        drawn = draw(run["run"], cells, run["flagged"], Choice(quantity, group, window, view))
        figure = no_update if ctx.triggered_id == "routing-view" else drawn.figure
        rows = drawn.rows if view == "table" else no_update
        return figure, rows, drawn.title, drawn.caption, drawn.csv, drawn.largest

    @bind.on(
        Output("routing-group", "data"),
        Output("routing-group", "value"),
        Input("routing-quantity", "value"),
        State("routing-groups", "data"),
        State("routing-group", "value"),
        prevent_initial_call=True,
    )
    def offer_groups(quantity: str, groups: list[str], group: str) -> tuple[Any, Any]:
        options = group_options(groups, quantity)
        known = {item["value"] for part in options for item in part["items"]}
        return options, no_update if group in known else "all"

    @bind.on(
        Output("routing-expert", "children"),
        Output("routing-drawer", "opened"),
        Input("routing-heatmap", "clickData"),
        State("routing-run", "data"),
        prevent_initial_call=True,
    )
    def open_expert(click: dict[str, Any] | None, run: dict[str, Any]) -> tuple[Any, Any]:
        if not click:
            return no_update, no_update
        point = click["points"][0]
        return expert_summary(services, run["run"], int(point["y"]), int(point["x"])), True

    bind.in_browser(
        "showView",
        Output("routing-picture", "hidden"),
        Output("routing-numbers", "hidden"),
        Input("routing-view", "value"),
        prevent_initial_call=True,
    )
    bind.in_browser(
        "rememberRouting",
        Output("routing-address", "data"),
        Input("routing-quantity", "value"),
        Input("routing-group", "value"),
        Input("routing-window", "value"),
        Input("routing-view", "value"),
        Input("routing-drawer", "opened"),
        Input("routing-heatmap", "clickData"),
        prevent_initial_call=True,
    )
