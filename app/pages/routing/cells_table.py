"""The heatmap's cells as a table. Rows are fetched as somebody scrolls, sorts and filters: there may be 48,128."""

from collections.abc import Mapping
from typing import Any

from dash.development.base_component import Component

from app import addresses
from app.components import grid
from app.pages.experts.table import orders
from backend import formats
from backend.services import Heatmap, Services

BLOCK = 100
_NUMBER = {"filter": "agNumberColumnFilter", "type": "rightAligned"}


def cells_table(run_id: str) -> Component:
    """An empty grid that asks for its rows."""
    columns = [
        {
            "field": "name",
            "headerName": "Expert",
            "cellRenderer": "Place",
            "cellRendererParams": {"base": addresses.run(run_id, "experts")},
            "filter": "agTextColumnFilter",
            "width": 110,
        },
        {"field": "layer", **_NUMBER, "width": 100},
        {"field": "expert", "headerName": "Index", **_NUMBER, "width": 100},
        {"field": "value", **_NUMBER, "valueFormatter": {"function": "cell(params.value)"}, "width": 140},
        {"field": "flagged", "headerName": "Flag", "filter": False, "flex": 1},
    ]
    options = {
        "rowModelType": "infinite",
        "cacheBlockSize": BLOCK,
        "maxBlocksInCache": 40,
        "maxConcurrentDatasourceRequests": 2,
        "blockLoadDebounceMillis": 40,
        "rowClassRules": {"lit": {"function": "lit(params.data)"}},
    }
    return grid(
        None,
        columns,
        "The heatmap's cells as a table",
        height="560px",
        options=options,
        id="routing-table",
        rowModelType="infinite",
        getRowId="params.data.name",
    )


def cells_rows(services: Services, run_id: str, cells: Heatmap, request: Mapping[str, Any]) -> dict[str, Any]:
    """The grid's answer to its own request. Raises InputError for a column or filter that does not exist."""
    page = services.results.cells_page(
        run_id,
        cells,
        request["startRow"],
        request["endRow"],
        orders(request.get("sortModel")),
        request.get("filterModel") or {},
    )
    rows = [
        {
            "name": formats.place(cell.layer, cell.expert),
            "layer": cell.layer,
            "expert": cell.expert,
            "value": cell.value,
            "flagged": "flagged" if cell.flagged else "",
        }
        for cell in page.items
    ]
    return {"rowData": rows, "rowCount": page.count}
