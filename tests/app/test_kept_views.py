"""A view of a finished run is made once, and again as soon as anything that it shows has changed."""

import json
import threading
import time

import pytest
from plotly.io.json import to_json_plotly

from app.kept_views import KeptViews
from app.pages import PAGES
from app.router import Page, Router, View, Visit
from backend.access import Principal, Role, acting_as
from backend.db.tables import RunRow
from backend.services import NewRun, NotFoundError, RunInfo, Services

TABS = ("", "/routing", "/topics", "/experts", "/interventions", "/report")


class Counting(Router):
    """Counts how often a view was made."""

    made = 0

    def show(self, services: Services, pathname: str, search: str) -> View:
        self.made += 1
        return super().show(services, pathname, search)


@pytest.fixture
def router() -> Counting:
    return Counting(PAGES)


@pytest.fixture
def views(router: Counting, services: Services) -> KeptViews:
    return KeptViews(router, services)


@pytest.mark.parametrize("tab", TABS)
def test_the_browser_gets_the_same_the_second_time(
    views: KeptViews, router: Counting, services: Services, done: RunInfo, tab: str
) -> None:
    address = f"/ui/runs/{done.id}{tab}"
    expected = json.loads(to_json_plotly(Router(PAGES).show(services, address, "").body))
    for _ in range(2):
        assert json.loads(to_json_plotly(views.show(address, "").body)) == expected
    assert router.made == 1


def test_each_address_has_a_view_of_its_own(views: KeptViews, router: Counting, done: RunInfo) -> None:
    for search in ("", "?expert=1.2", "?view=table"):
        views.show(f"/ui/runs/{done.id}/routing", search)
    assert router.made == 3


def test_a_role_sees_its_own_buttons(views: KeptViews, done: RunInfo) -> None:
    texts = {}
    for role in Role:
        with acting_as(Principal("somebody", role, "session")):
            texts[role] = json.dumps(views.show(f"/ui/runs/{done.id}", "").body)
    assert "Delete for good" in texts[Role.ANALYST]
    assert "Delete for good" not in texts[Role.VIEWER]


def test_a_run_that_was_made_from_it_shows(
    views: KeptViews, router: Counting, services: Services, done: RunInfo
) -> None:
    address = f"/ui/runs/{done.id}"
    views.show(address, "")
    asked = NewRun(model=done.model.id, prompt_set_id=done.prompt_set.id, kind="mask", parameters={"experts": [[0, 1]]})
    made = services.runs.create(asked)
    with services.database.write() as session:
        session.get_one(RunRow, made.id).parameters = {"experts": [[0, 1]], "experts_from": done.id}
    assert made.id in json.dumps(views.show(address, "").body)
    services.runs.cancel(made.id)
    views.show(address, "")
    assert router.made == 3


def test_a_run_that_goes_on_and_other_pages_are_always_made_anew(
    views: KeptViews, router: Counting, queued: RunInfo
) -> None:
    for address in (f"/ui/runs/{queued.id}", "/ui/runs", "/ui/nowhere"):
        views.show(address, "")
        views.show(address, "")
    assert router.made == 6


def test_a_deleted_run_is_gone(views: KeptViews, services: Services, done: RunInfo) -> None:
    address = f"/ui/runs/{done.id}"
    assert views.show(address, "").title != "Not found"
    services.storage.delete(done.id)
    assert views.show(address, "").title == "Not found"


def test_a_failure_is_not_kept(services: Services, done: RunInfo) -> None:
    tries: list[int] = []

    def show(services: Services, visit: Visit) -> View:
        tries.append(1)
        raise NotFoundError("not now")

    views = KeptViews(Router([Page("/runs/{run_id}", show)]), services)
    for _ in range(2):
        assert views.show(f"/ui/runs/{done.id}", "").title == "Not found"
    assert len(tries) == 2


def test_the_oldest_go_where_there_is_no_room(router: Counting, services: Services, done: RunInfo) -> None:
    views = KeptViews(router, services, most_bytes=100_000)
    for number in range(30):
        views.show(f"/ui/runs/{done.id}", f"?n={number}")
    views.show(f"/ui/runs/{done.id}", "?n=29")
    assert router.made == 30
    views.show(f"/ui/runs/{done.id}", "?n=0")
    assert router.made == 31


def test_many_who_ask_at_once_wait_for_one(services: Services, done: RunInfo) -> None:
    made: list[int] = []

    def show(services: Services, visit: Visit) -> View:
        made.append(1)
        time.sleep(0.2)
        return View("slow", PAGES[0].show(services, Visit()).body)

    views = KeptViews(Router([Page("/runs/{run_id}", show)]), services)
    threads = [threading.Thread(target=views.show, args=(f"/ui/runs/{done.id}", "")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
