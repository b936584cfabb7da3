"""Cursor pagination over real rows."""

import pytest

from analysis.errors import InputError
from backend.services import NewRun, Services


def test_pages_give_every_run_once_newest_first(services: Services, new_run: NewRun) -> None:
    created = [services.runs.create(new_run).id for _ in range(5)]
    seen, cursor, sizes = [], None, []
    while True:
        page = services.runs.list(limit=2, cursor=cursor)
        assert page.count == 5
        seen += [run.id for run in page.items]
        sizes.append(len(page.items))
        cursor = page.next
        if cursor is None:
            break
    assert seen == created[::-1]
    assert sizes == [2, 2, 1]


def test_a_full_last_page_has_no_next(services: Services, new_run: NewRun) -> None:
    for _ in range(2):
        services.runs.create(new_run)
    assert services.runs.list(limit=2).next is None


def test_runs_that_arrive_meanwhile_do_not_shift_the_pages(services: Services, new_run: NewRun) -> None:
    created = [services.runs.create(new_run).id for _ in range(3)]
    first = services.runs.list(limit=2)
    services.runs.create(new_run)
    assert [run.id for run in services.runs.list(limit=2, cursor=first.next).items] == created[:1]


@pytest.mark.parametrize("cursor", ["nonsense", "", "é", "W10", "WyIyMDI2LTAxLTAxIiwgImEiXQ"])
def test_made_up_cursors_are_refused(services: Services, cursor: str) -> None:
    with pytest.raises(InputError, match="cursor"):
        services.runs.list(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_page_sizes_have_bounds(services: Services, limit: int) -> None:
    with pytest.raises(InputError, match="1 to 500"):
        services.runs.list(limit=limit)
