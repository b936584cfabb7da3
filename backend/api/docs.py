"""/api/docs: the API's documentation, from this server alone. FastAPI's own page would load it from another host."""

from pathlib import Path

from fastapi import APIRouter, Response
from starlette.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from backend.reports import report_schema

FILES = Path(__file__).parents[2] / "static" / "swagger-ui"
router = APIRouter()
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ExpertScope API</title>
<link rel="stylesheet" href="/api/docs/files/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<main id="swagger-ui"></main>
<script src="/api/docs/files/swagger-ui-bundle.js"></script>
<script src="/api/docs/files/start.js"></script>
</body>
</html>
"""


@router.get("/api/docs", include_in_schema=False)
async def read_docs() -> HTMLResponse:
    return HTMLResponse(_PAGE)


@router.get(
    "/api/v1/report.schema.json",
    tags=["results"],
    response_class=Response,
    responses={200: {"content": {"application/schema+json": {}}}},
)
async def read_report_schema() -> JSONResponse:
    """JSON Schema of report.json."""
    return JSONResponse(report_schema(), media_type="application/schema+json")


def files() -> StaticFiles:
    """Swagger UI's files, to be mounted at /api/docs/files."""
    return StaticFiles(directory=FILES)
