"""The API's own description, served without any other host."""

import re
from pathlib import Path

from starlette.testclient import TestClient

from backend.reports import report_schema

RESOURCES = ("prompt-sets", "models", "runs", "playground")


def test_the_page_asks_only_this_server(client: TestClient) -> None:
    page = client.get("/api/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert link.startswith(("/api/docs/files/", "data:"))
        if link.startswith("/"):
            assert client.get(link).status_code == 200
    assert "<script>" not in page.text


def test_the_licence_lies_beside_swagger_ui(client: TestClient) -> None:
    assert "Apache License" in client.get("/api/docs/files/LICENSE").text


def test_nothing_beside_those_files_is_served(client: TestClient) -> None:
    assert client.get("/api/docs/files/../../../settings.py").status_code == 404
    assert client.get("/api/docs/files/%2e%2e/%2e%2e/backend/settings.py").status_code == 404


def test_openapi_describes_every_resource(client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    for resource in RESOURCES:
        assert "get" in document["paths"][f"/api/v1/{resource}"]
        assert "post" in document["paths"][f"/api/v1/{resource}"]
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(set(names)) == len(names)
    upload = document["paths"]["/api/v1/prompt-sets"]["post"]["requestBody"]["content"]
    assert set(upload) == {"multipart/form-data", "application/json"}


def test_frameworks_own_pages_are_off(client: TestClient) -> None:
    """They load scripts from another host."""
    for path in ("/docs", "/redoc"):
        assert client.get(path).status_code == 404


def test_the_reports_schema_is_published(client: TestClient, repository: Path) -> None:
    assert client.get("/api/v1/report.schema.json").json() == report_schema()
    published = repository / "docs" / "report.schema.json"
    used = repository / "backend" / "reports" / "report.schema.json"
    assert published.read_bytes() == used.read_bytes()
