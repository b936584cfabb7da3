"""The Δ heatmap of the compare page: B − A for every layer and expert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import dcc, html
from dash.development.base_component import Component
from plotly.graph_objects import Figure

from app import addresses, wording
from app.components import graph, info
from app.components.states import withheld
from app.figures import heatmap
from app.pages.routing.cells import UNITS, group_options
from app.quantities import QUANTITIES
from backend import formats
from backend.services import ExpertScopeError, Services

SHOWN = ("frequency", "probability", "lift")
Document = Mapping[str, Any]
Ids = tuple[str, str]


@dataclass(frozen=True)
class Cells:
    """What the heatmap is set to."""

    quantity: str = "frequency"
    group: str = "all"
    window: str = "prompt"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Cells":
        return cls(**{name: query[name] for name in ("quantity", "group", "window") if name in query})


@dataclass(frozen=True)
class Drawn:
    figure: Figure
    caption: str
    groups: list[str]
    windows: list[str]


def heatmap_section(services: Services, ids: Ids, document: Document, chosen: Cells) -> Component:
    """Picture, controls and the experts whose use changed most; a reason where the models have other experts."""
    title = html.H2(["Routing, B − A ", info("compare_change")])
    why = next((one["why"] for one in document["withheld"] if one["what"] == "routing.groups"), None)
    if why:
        return html.Section([title, withheld("Change of routing", why)], className="stack-2")
    places = [[one["layer"], one["expert"]] for one in document["flagged"]["experts"]]
    try:
        drawn = draw_cells(services, ids, places, chosen)
    except ExpertScopeError as error:
        return html.Section([title, withheld("Change of routing", error.message)], className="stack-2")
    text = "Change of every expert's use from A to B, layers down and experts across; the list below names the largest"
    return html.Section(
        [
            dcc.Store(id="compare-runs", data={"a": ids[0], "b": ids[1], "flagged": places}),
            html.Div([title, _controls(drawn, chosen)], className="spread"),
            graph(drawn.figure, f"{ids[0]}-{ids[1]}-change", text, id="compare-heatmap"),
            html.P(drawn.caption, id="compare-caption", className="dim small"),
            *_moved(document, ids),
        ],
        className="stack",
    )


def draw_cells(services: Services, ids: Ids, flagged: Sequence[Sequence[int]], chosen: Cells) -> Drawn:
    """Raises as `Comparisons.heatmap`."""
    cells = services.comparisons.heatmap(*ids, chosen.quantity, chosen.group, chosen.window)
    name = QUANTITIES[chosen.quantity].name.lower()
    figure = heatmap(
        cells.values,
        cells.layers,
        cells.experts,
        quantity="change",
        label=f"Δ {name}",
        unit=UNITS[chosen.quantity],
        flagged=[(int(layer), int(expert)) for layer, expert in flagged],
    )
    caption = (
        f"Amber: more in B. Slate: more in A. White: no change. {formats.plural(len(cells.layers), 'MoE layer')} × "
        f"{len(cells.experts)} experts; {wording.WINDOW_NOTES[chosen.window]}."
    )
    if np.isnan(cells.values).any():
        caption += " Hatched: one of the two observed nothing."
    if flagged:
        caption += " Outlined: flagged in A or B."
    return Drawn(figure, caption, cells.groups, cells.windows)


def _controls(drawn: Drawn, chosen: Cells) -> Component:
    return html.Div(
        [
            dmc.Select(
                id="compare-quantity",
                value=chosen.quantity,
                data=[{"value": key, "label": QUANTITIES[key].name} for key in SHOWN],
                allowDeselect=False,
                size="xs",
                **{"aria-label": "Quantity"},
            ),
            dmc.Select(
                id="compare-group",
                value=chosen.group,
                data=group_options(drawn.groups, chosen.quantity),
                allowDeselect=False,
                searchable=True,
                size="xs",
                nothingFoundMessage="No such topic",
                **{"aria-label": "Prompts"},
            ),
            dmc.Select(
                id="compare-window",
                value=chosen.window,
                data=[{"value": window, "label": f"{wording.WINDOWS[window]} tokens"} for window in drawn.windows],
                allowDeselect=False,
                size="xs",
                **{"aria-label": "Tokens"},
            ),
        ],
        className="row",
    )


def _moved(document: Document, ids: Ids) -> list[Component]:
    groups = document["routing"]["groups"]
    shown = [
        f"{name} {formats.number(groups[key]['mean_abs_frequency'])}, JSD {formats.number(groups[key]['jsd'])}"
        for key, name in (("all", "all prompts"), ("harmful", "harmful"), ("benign", "benign"))
        if groups[key]["mean_abs_frequency"] is not None
    ]
    largest = document["routing"]["largest"]
    moved = html.P(["Mean |Δ selection frequency| ", info("compare_moved"), f": {'; '.join(shown)}."], className="num")
    if not largest:
        return [moved, html.P("No expert's selection frequency changed at all.", className="dim")]
    return [
        moved,
        html.H3("Experts whose use changed most, all prompts"),
        html.Ol([_largest(one, ids) for one in largest], className="largest num"),
    ]


def _largest(one: Document, ids: Ids) -> Component:
    name = formats.place(one["layer"], one["expert"])
    change = f"{formats.number(one['a'])} → {formats.number(one['b'])}"
    return html.Li(
        [
            html.Strong(name),
            html.Span(change, className="dim"),
            *expert_links(ids, one["layer"], one["expert"]),
        ]
    )


def expert_links(ids: Ids, layer: int, expert: int) -> list[Component]:
    """The expert's page in A and in B."""
    name = formats.place(layer, expert)
    return [
        dcc.Link(
            ["in ", side, html.Span(f", {name}", className="sr-only")], href=addresses.expert(run_id, layer, expert)
        )
        for side, run_id in zip(("A", "B"), ids, strict=True)
    ]
