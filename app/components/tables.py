"""Two kinds of table: a plain HTML one for a few rows, and the sortable, filterable grid for many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_ag_grid as dag
from dash import html
from dash.development.base_component import Component

from app.components.aria import aria, dataset
from app.components.scripted import scripted

# Every colour is a variable of static/css/10-tokens.css, so the grid follows light and dark by itself.
_THEME = """themeQuartz.withParams({
  fontFamily: 'inherit', fontSize: 13, headerFontSize: 12, headerFontWeight: 500, spacing: 6, wrapperBorderRadius: 6,
  backgroundColor: 'var(--surface)', foregroundColor: 'var(--ink)', headerBackgroundColor: 'var(--surface)',
  headerTextColor: 'var(--ink-3)', borderColor: 'var(--line)', chromeBackgroundColor: 'var(--surface)',
  rowHoverColor: 'var(--hover)', oddRowBackgroundColor: 'var(--surface)', accentColor: 'var(--ink)',
  selectedRowBackgroundColor: 'var(--sunken)', inputBackgroundColor: 'var(--surface)',
  menuBackgroundColor: 'var(--surface)', browserColorScheme: 'inherit', textColor: 'var(--ink)'
})"""


@dataclass(frozen=True)
class Column:
    """A column of a plain table; numbers stand at the right."""

    title: str | Component
    numeric: bool = False


def plain_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Any]],
    caption: str,
    name: str = "table",
    *,
    marks: Sequence[Mapping[str, Any]] = (),
    light: bool = False,
) -> Component:
    """A table that scrolls sideways where it must; `caption` is read out and not shown. `marks` are attributes of each
    row, such as {"data-place": "2.5"} for one that lights up when its expert is selected. A `light` one, for a row a
    layer, is made in the browser and has only text, links and buttons of scripts in its cells."""
    head = [html.Th(column.title, className="right" if column.numeric else None, scope="col") for column in columns]
    body = [
        html.Tr(
            [
                html.Td(cell, className="right num" if col.numeric else None)
                for col, cell in zip(columns, row, strict=True)
            ],
            **(marks[index] if marks else {}),
        )
        for index, row in enumerate(rows)
    ]
    rest = html.Tbody(**dataset(scripted=scripted(body))) if light else html.Tbody(body)
    table = html.Table([html.Caption(caption, className="sr-only"), html.Thead(html.Tr(head)), rest], className=name)
    return html.Div(table, className="table-box", tabIndex=0, role="region", **aria(label=caption))


def grid(
    rows: Sequence[Mapping[str, Any]] | None,
    columns: Sequence[Mapping[str, Any]],
    label: str,
    *,
    height: str | None = None,
    options: Mapping[str, Any] | None = None,
    **grid_props: Any,
) -> Component:
    """A sortable, filterable grid; without `height` it is as tall as its rows. Without `rows` it asks for them as it
    shows them."""
    settings = {
        "theme": {"function": _THEME},
        "domLayout": "normal" if height else "autoHeight",
        "ensureDomOrder": True,
        "suppressColumnVirtualisation": True,
        "animateRows": False,
        # Arrows move inside and Tab leaves: one stop, not hundreds.
        "tabToNextHeader": {"function": "tabLeaves()"},
        "tabToNextCell": {"function": "tabLeaves()"},
        "rowHeight": 36,
        "headerHeight": 36,
        **(options or {}),
    }
    return html.Div(
        dag.AgGrid(
            **({} if rows is None else {"rowData": list(rows)}),
            columnDefs=list(columns),
            defaultColDef={"sortable": True, "filter": True, "resizable": True, "minWidth": 76},
            dashGridOptions=settings,
            style={"height": height, "width": "100%"},
            **grid_props,
        ),
        className="grid-box",
        role="region",
        **aria(label=label),
    )
