"""Requests that schemathesis makes up from the API's own description: no server error, no answer that it does not hold.

With a token of an admin, and as a stranger, who gets 401 wherever there is something to get. GENERATED_REQUESTS says
how many are made up for each operation (`make fuzz` asks for many more than the few of an ordinary run).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.access import acting_as
from backend.main import create_app
from backend.services import Services, open_services
from backend.settings import Settings
from tests.backend.accounts import PASSWORD

EXAMPLES = int(os.environ.get("GENERATED_REQUESTS", "3"))
HOST = {"Host": "127.0.0.1:8000"}
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
OPEN = ("/healthz", "/readyz")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, Services, str]]:
    folder: Path = tmp_path_factory.mktemp("generated")
    # The worker of this test beats once, and is to count as alive to its end.
    chosen = Settings(
        data_dir=folder, accounts=True, requests_per_minute=0, model_roots=[folder], worker_stale_seconds=3_600
    )
    services = open_services(chosen)
    services.accounts.create("ada", "admin", PASSWORD)
    services.workers.beat("worker", os.getpid(), {})
    with acting_as(services.accounts.sign_in("ada", PASSWORD).principal):
        token = services.api_tokens.create("generated", "admin", 1).secret
    yield create_app(chosen, services), services, token
    services.close()


def ask_everything(app: FastAPI, headers: dict[str, str], seen: list[Any]) -> list[str]:
    """What went wrong, an operation at a time; `seen` gets path and status of each answer."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=headers)
    wrong = []
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck], database=None, derandomize=True
        )
        @given(case=operation.as_strategy())
        def run(case: schemathesis.Case) -> None:
            answer = case.call(headers=headers)
            seen.append((operation.path, answer.status_code))  # noqa: B023
            case.validate_response(answer, checks=CHECKS)

        try:
            run()
        except (Failure, BaseExceptionGroup) as error:
            parts = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            wrong += [f"{operation.label}: {' '.join(str(part).split())[:500]}" for part in parts]
    return wrong


def test_an_admins_requests_get_what_is_described(guarded: tuple[FastAPI, Services, str]) -> None:
    app, _, token = guarded
    seen: list[Any] = []
    headers = {**HOST, "Authorization": f"Bearer {token}"}
    # The token itself must outlive what is made up: only operations on other tokens and accounts are asked for.
    assert ask_everything(app, headers, seen) == []
    assert len(seen) >= 60
    assert {status for _, status in seen} >= {200, 404, 422}
    assert not [path for path, status in seen if status == 401 and not path.endswith("/me")]


def test_a_strangers_requests_get_401(guarded: tuple[FastAPI, Services, str]) -> None:
    app, _, token = guarded
    seen: list[Any] = []

    class Described:
        """The description itself needs a token; the requests go without."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] != "/api/v1/openapi.json":
                scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
            await app(scope, receive, send)

    wrapped: Any = Described()
    assert ask_everything(wrapped, {**HOST, "Authorization": f"Bearer {token}"}, seen) == []
    assert [(path, status) for path, status in seen if status != 401 and path not in OPEN] == []
    assert re.match(r"es_", token)
