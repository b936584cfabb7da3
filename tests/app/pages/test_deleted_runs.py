"""A run that is deleted while somebody looks at it: the page says so, and nothing breaks."""

from collections.abc import Callable
from typing import Any

from backend.services import RunInfo, Services

Call = Callable[..., dict[str, Any]]


def test_the_page_of_a_run_that_was_deleted_is_drawn_anew_and_says_so(
    call: Call, show: Callable[..., str], services: Services, queued: RunInfo
) -> None:
    services.runs.cancel(queued.id)
    services.storage.delete(queued.id)
    told = call(
        "run-progress.children", {"run-poll.n_intervals": 3, "run-polled.data": queued.id}, "run-poll.n_intervals"
    )
    assert f"{queued.id} gone 3" in str(told)
    assert f"no run has the id '{queued.id}'" in show(f"/ui/runs/{queued.id}")


def test_the_report_page_leads_to_the_archive(show: Callable[..., str], client: Any, done: RunInfo) -> None:
    page = show(f"/ui/runs/{done.id}/report")
    address = f"/api/v1/runs/{done.id}/archive.zip?download=true"
    assert f'"{address}"' in page
    assert client.get(address).headers["content-type"] == "application/zip"
