"""/ui/admin shows what the services say, and nothing secret."""

from collections.abc import Callable
from typing import Any

from backend.services import RunInfo, Services
from tests.app.conftest import Show


def test_an_empty_installation_says_what_is_missing(show: Show) -> None:
    page = show("/ui/admin")
    assert "Something needs attention" in page
    assert "No worker is running" in page
    assert "Nothing runs and nothing waits." in page
    assert "No entry yet" in page
    assert "There are no accounts. This server listens on this machine alone" in page


def test_a_living_worker_and_its_machine_stand_there(show: Show, services: Services) -> None:
    services.workers.beat(
        "worker", 4711, {"threads": 2, "gpus": [{"name": "Some GPU", "memory_bytes": 80_000_000_000}]}
    )
    page = show("/ui/admin")
    assert "Everything is running" in page
    assert "alive since" in page
    assert '"4711"' in page
    assert "Some GPU, 80 GB" in page


def test_every_setting_stands_there_by_its_variable(show: Show, services: Services) -> None:
    page = show("/ui/admin")
    for name in type(services.settings).model_fields:
        assert f'"EXPERTSCOPE_{name.upper()}"' in page
    assert "1 setting not at the default" in page


def test_a_waiting_run_is_cancelled_from_the_page(
    call: Callable[..., dict[str, Any]], show: Show, services: Services, queued: RunInfo
) -> None:
    services.workers.beat("worker", 1)
    assert "Next in the queue" in show("/ui/admin")
    assert f'"run": "{queued.id}", "type": "admin-cancel"' in show("/ui/admin").replace(
        f'"type": "admin-cancel", "run": "{queued.id}"', f'"run": "{queued.id}", "type": "admin-cancel"'
    )
    services.runs.cancel(queued.id)
    followed = call("admin-now.children", {"admin-poll.n_intervals": 1}, "admin-poll.n_intervals")
    assert "Nothing runs and nothing waits." in str(followed)


def test_the_audit_log_is_filtered_by_address_and_can_be_saved(show: Show, services: Services) -> None:
    for number, actor in enumerate(("local", "somebody")):
        services.audit_log.append("tuning.stress.started", f"model {number}", {"steps": 2}, actor=actor, role="admin")
    page = show("/ui/admin")
    assert "2 entries" in page
    assert "model 0" in page
    assert "/api/v1/audit-log.csv" in page
    narrowed = show("/ui/admin", "?actor=somebody")
    assert "1 entry" in narrowed
    assert "model 0" not in narrowed
    assert "/api/v1/audit-log.csv?actor=somebody" in narrowed
    assert "No entry is of this action and actor." in show("/ui/admin", "?actor=nobody")
