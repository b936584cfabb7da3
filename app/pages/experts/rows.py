"""The rows of the table of experts, as the grid asks for them while somebody scrolls, sorts and filters.

An address of its own, which static/js/expert_rows.js reads: as a callback each block would pass through all that Dash
keeps of the page on its way there and back, which takes several times what the rows do.
"""

import json
from typing import Annotated, Any

from fastapi import FastAPI, Query

from app import addresses
from app.pages.experts import table as table_of
from backend import formats
from backend.services import InputError, Services

MOST = 1_000
"""Rows of one answer."""


def add_route(server: FastAPI, services: Services) -> None:
    def read(
        run_id: str,
        start: Annotated[int, Query(ge=0)] = 0,
        end: Annotated[int, Query(ge=0)] = table_of.BLOCK,
        sort: str = "[]",
        filters: Annotated[str, Query(alias="filter")] = "{}",
        criteria: str = "",
        topic: str | None = None,
    ) -> dict[str, Any]:
        """Rows `start` to `end` of those that pass, and how many pass. `sort` and `filter` are the grid's models as
        JSON, `criteria` names with commas between them."""
        table = services.results.expert_table(run_id)
        names = [name for name in criteria.split(",") if name in table.criteria]
        wanted, model = _json(sort, list, "sort"), _json(filters, dict, "filter")
        end = min(end, start + MOST)
        page = services.results.experts_page(run_id, start, end, table_of.orders(wanted), model, topic or None)
        lift = services.results.topic_lift(run_id, topic) if topic else None
        return {
            "rows": table_of.rows(table, page.rows, names, lift),
            "count": page.count,
            "text": _counted(page.count, len(table)),
        }

    server.add_api_route(f"{addresses.PREFIX}/runs/{{run_id}}/experts/rows", read, include_in_schema=False)


def _json(text: str, kind: type[Any], field: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise InputError(f"{field} is no JSON {'list' if kind is list else 'object'}", field=field)
    return found


def _counted(passing: int, everyone: int) -> str:
    if passing == everyone:
        return formats.plural(everyone, "expert")
    return f"{formats.count(passing)} of {formats.plural(everyone, 'expert')}"
