"""docs/api.md names every route and every error code, and none that does not exist."""

import re
from pathlib import Path

from starlette.testclient import TestClient

from analysis import errors
from backend.envelope import STATUS_CODES


def test_every_route_is_documented(client: TestClient, repository: Path) -> None:
    text = (repository / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(GET|POST|PATCH|DELETE) (\S+)` \|", text, re.MULTILINE))
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert documented == {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_code_of_our_errors_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "api.md").read_text(encoding="utf-8").split("## Errors")[1]
    raised = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    assert {f"`{code}`" for code in raised - {"error"}} <= set(re.findall(r"`\w+`", text))
    unused = {STATUS_CODES[status] for status in (415,)}
    assert not unused & set(re.findall(r"`(\w+)`", text))
