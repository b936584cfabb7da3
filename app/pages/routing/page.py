"""/ui/runs/{id}/routing: one quantity for every layer and expert, as a picture, topic by topic, or as a table.

Everything chosen stands in the address: quantity, group, minus, window, order, view, layer, and the expert that is open
at the side. The selection that all pages of a run share decides with which prompts the page begins.
static/js/routing.js keeps the address.
"""

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from plotly.graph_objects import Figure

from app import wording
from app.callbacks import Binder
from app.components import graph
from app.pages.experts.summary import expert_summary
from app.pages.routing.cells import NOTHING, Choice, Drawn, draw, group_options
from app.pages.routing.cells_table import cells_rows, cells_table
from app.pages.routing.layer_profile import layer_profile, spread
from app.pages.routing.layer_table import layer_finding, layer_table
from app.pages.routing.rail import rail, view_switch
from app.pages.routing.topic_maps import Maps, draw_maps, maps_title
from app.pages.run.frame import Finished, run_view
from app.router import Page, View, Visit
from app.selection import Selection
from backend import formats
from backend.services import ExpertScopeError, Heatmap, Services


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "routing", lambda finished: _routing(services, finished, visit))


PAGE = Page("/runs/{run_id}/routing", show)


def _routing(services: Services, finished: Finished, visit: Visit) -> Component:
    run_id, selected = finished.run.id, Selection.of(visit.query)
    choice = Choice.of(visit.query, finished.report["prompts"]["topics"])
    cells = services.results.heatmap(run_id, *choice.cells)
    places = wording.flagged_places(finished.report)
    drawn = draw(services, run_id, cells, places, choice.order)
    found = layer_finding(finished.report["routing"]["per_layer"])
    return html.Div(
        [
            dcc.Store(id="routing-run", data={"run": run_id, "flagged": places}),
            dcc.Store(id="routing-address"),
            dcc.Store(id="routing-open"),
            dcc.Store(id="routing-refreshed"),
            html.Div(
                [html.H1(found.sentence), html.P(found.doubt, className="dim") if found.doubt else None],
                className="stack",
            ),
            html.Div(
                [
                    rail(cells, choice, services.results.orders(run_id), drawn.csv),
                    html.Div(
                        [
                            html.Section(
                                [
                                    html.Div(
                                        [html.H2(_title(drawn, choice), id="routing-title"), view_switch(choice)],
                                        className="spread",
                                    ),
                                    _picture(drawn, choice),
                                    _maps(services, run_id, choice, selected),
                                    _table(run_id, cells, choice),
                                ],
                                className="stack",
                            ),
                            layer_profile(services, finished, cells),
                            html.Section(
                                [
                                    html.H2("Largest cells"),
                                    html.Ol(drawn.largest, id="routing-largest", className="largest num"),
                                ],
                                className="stack",
                            ),
                        ],
                        className="stack-3 routing-main",
                    ),
                ],
                className="routing",
            ),
            layer_table(run_id, finished.report),
            _drawer(services, run_id, visit.query.get("expert")),
        ],
        className="stack-3",
    )


def _title(drawn: Drawn, choice: Choice) -> str:
    return maps_title(choice) if choice.view == "topics" else drawn.title


def _picture(drawn: Drawn, choice: Choice) -> Component:
    text = "Heatmap with layers down and experts across; the table view has the same cells as numbers"
    shown = choice.view == "picture"
    return html.Div(
        [
            graph(drawn.figure if shown else Figure(), "routing", text, table=False, id="routing-heatmap"),
            html.P(drawn.caption, id="routing-caption", className="dim small"),
            dcc.Store(id="routing-drawn", data=_key(choice) if shown else None),
        ],
        id="routing-picture",
        className="stack scrolls",
        hidden=not shown,
    )


def _maps(services: Services, run_id: str, choice: Choice, selected: Selection) -> Component:
    shown = choice.view == "topics"
    maps = _try_maps(services, run_id, choice, selected.label) if shown else Maps(Figure(), "")
    text = "One small heatmap for each topic, layers down and experts across; the table view has a topic's cells"
    return html.Div(
        [
            graph(maps.figure, "routing-topics", text, table=False, id="routing-maps"),
            html.P(maps.caption, id="routing-maps-caption", className="dim small"),
            dcc.Store(id="routing-maps-drawn", data=_maps_key(choice, selected.label) if shown else None),
        ],
        id="routing-topics",
        className="stack scrolls",
        hidden=not shown,
    )


def _try_maps(services: Services, run_id: str, choice: Choice, label: str | None) -> Maps:
    try:
        return draw_maps(services, run_id, choice, label)
    except ExpertScopeError as reason:
        return Maps(Figure(layout={"height": 80}), f"Withheld: {reason.message}.")


def _table(run_id: str, cells: Heatmap, choice: Choice) -> Component:
    return html.Div(
        [
            cells_table(run_id),
            html.P(
                [
                    html.Span(formats.plural(cells.values.size, "cell"), id="routing-count", role="status"),
                    "; Enter opens a row's expert.",
                ],
                className="dim small",
            ),
        ],
        id="routing-numbers",
        className="stack",
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


def _tall(figure: Figure) -> dict[str, str]:
    """The box of a chart that was empty before does not grow with its figure by itself."""
    return {"height": f"{figure.layout.height}px"}


def _key(choice: Choice) -> list[str | None]:
    """What the picture depends on, so that it is not drawn and sent twice."""
    return [*choice.cells, choice.order]


def _maps_key(choice: Choice, label: str | None) -> list[str | None]:
    return [choice.quantity, choice.window, choice.minus, label]


def _choice(quantity: str, group: str, minus: str | None, window: str, order: str = "index", view: str = "") -> Choice:
    """The rail as it stands: a difference of harmful and benign has no second group."""
    second = None if quantity == "difference" or minus == NOTHING else minus or None
    return Choice(quantity, group, window, view, second, order)


CELLS = ("routing-quantity", "routing-group", "routing-minus", "routing-window")


def register(bind: Binder) -> None:
    _register_pictures(bind)
    _register_table(bind)
    _register_rail(bind)
    _register_address(bind)


def _register_pictures(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("routing-heatmap", "figure"),
        Output("routing-heatmap", "style"),
        Output("routing-drawn", "data"),
        Output("routing-title", "children"),
        Output("routing-caption", "children"),
        Output("routing-csv", "href"),
        Output("routing-largest", "children"),
        *(Input(name, "value") for name in CELLS),
        Input("routing-order", "value"),
        Input("routing-view", "value"),
        State("routing-run", "data"),
        State("routing-drawn", "data"),
        prevent_initial_call=True,
    )
    def redraw(
        quantity: str, group: str, minus: str | None, window: str, order: str, view: str, run: Any, key: Any
    ) -> tuple[Any, ...]:
        choice = _choice(quantity, group, minus, window, order, view)
        cells = services.results.heatmap(run["run"], *choice.cells)
        drawn = draw(services, run["run"], cells, run["flagged"], order)
        again = view == "picture" and key != _key(choice)
        picture = (drawn.figure, _tall(drawn.figure), _key(choice)) if again else (no_update,) * 3
        return *picture, _title(drawn, choice), drawn.caption, drawn.csv, drawn.largest

    @bind.on(
        Output("routing-maps", "figure"),
        Output("routing-maps", "style"),
        Output("routing-maps-caption", "children"),
        Output("routing-maps-drawn", "data"),
        *(Input(name, "value") for name in CELLS),
        Input("routing-view", "value"),
        Input("selection", "data"),
        State("routing-run", "data"),
        State("routing-maps-drawn", "data"),
        prevent_initial_call=True,
    )
    def redraw_maps(
        quantity: str, group: str, minus: str | None, window: str, view: str, selection: Any, run: Any, key: Any
    ) -> tuple[Any, ...]:
        choice = _choice(quantity, group, minus, window)
        label = (selection or {}).get("label")
        wanted = _maps_key(choice, label)
        if not run or view != "topics" or key == wanted:
            return (no_update,) * 4
        maps = _try_maps(services, run["run"], choice, label)
        return maps.figure, _tall(maps.figure), maps.caption, wanted

    @bind.on(
        Output("routing-spread", "figure"),
        Output("routing-spread-title", "children"),
        Output("routing-spread-caption", "children"),
        *(Input(name, "value") for name in CELLS),
        State("routing-run", "data"),
        prevent_initial_call=True,
    )
    def respread(quantity: str, group: str, minus: str | None, window: str, run: Any) -> tuple[Any, ...]:
        choice = _choice(quantity, group, minus, window)
        return spread(services, run["run"], services.results.heatmap(run["run"], *choice.cells))


def _register_table(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("routing-table", "getRowsResponse"),
        Output("routing-count", "children"),
        Output("notice", "children", allow_duplicate=True),
        Input("routing-table", "getRowsRequest"),
        *(State(name, "value") for name in CELLS),
        State("routing-run", "data"),
        prevent_initial_call=True,
    )
    def fetch(
        request: Mapping[str, Any] | None, quantity: str, group: str, minus: str | None, window: str, run: Any
    ) -> tuple[Any, ...]:
        if not request:
            return no_update, no_update, no_update
        cells = services.results.heatmap(run["run"], *_choice(quantity, group, minus, window).cells)
        try:
            found = cells_rows(services, run["run"], cells, request)
        except ExpertScopeError as error:
            return {"rowData": [], "rowCount": 0}, "No cell", error.message
        return found, _counted(found["rowCount"], cells.values.size), no_update


def _register_rail(bind: Binder) -> None:
    services = bind.services

    @bind.on(
        Output("routing-group", "data"),
        Output("routing-group", "value"),
        Output("routing-minus", "disabled"),
        Input("routing-quantity", "value"),
        State("routing-groups", "data"),
        State("routing-group", "value"),
        prevent_initial_call=True,
    )
    def offer_groups(quantity: str, groups: list[str], group: str) -> tuple[Any, Any, bool]:
        options = group_options(groups, quantity)
        known = {item["value"] for part in options for item in part["items"]}
        return options, no_update if group in known else "all", quantity == "difference"

    @bind.on(
        Output("routing-expert", "children"),
        Output("routing-drawer", "opened"),
        Input("routing-open", "data"),
        State("routing-run", "data"),
        prevent_initial_call=True,
    )
    def open_expert(clicked: dict[str, Any] | None, run: dict[str, Any]) -> tuple[Any, Any]:
        place = parse_place((clicked or {}).get("place"))
        if place is None:
            return no_update, no_update
        return expert_summary(services, run["run"], *place), True


def _register_address(bind: Binder) -> None:
    bind.in_browser(
        "showView",
        Output("routing-picture", "hidden"),
        Output("routing-topics", "hidden"),
        Output("routing-numbers", "hidden"),
        Input("routing-view", "value"),
        prevent_initial_call=True,
    )
    bind.in_browser(
        "rememberRouting",
        Output("routing-address", "data"),
        *(Input(name, "value") for name in CELLS),
        Input("routing-order", "value"),
        Input("routing-view", "value"),
        Input("routing-drawer", "opened"),
        prevent_initial_call=True,
    )
    bind.in_browser(
        "refreshCells", Output("routing-refreshed", "data"), Input("routing-csv", "href"), prevent_initial_call=True
    )


def _counted(passing: int, everyone: int) -> str:
    if passing == everyone:
        return formats.plural(everyone, "cell")
    return f"{formats.count(passing)} of {formats.plural(everyone, 'cell')}"
