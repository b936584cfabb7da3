"""Addresses and the pages they lead to."""

import pytest

from app import addresses
from app.pages import PAGES
from app.router import Router

ROUTER = Router(PAGES)


@pytest.mark.parametrize(
    ("address", "pattern", "params"),
    [
        ("/ui/", "/", {}),
        ("/ui", "/", {}),
        ("/ui/runs", "/runs", {}),
        ("/ui/runs/", "/runs", {}),
        ("/ui/runs/new", "/runs/new", {}),
        ("/ui/runs/abc", "/runs/{run_id}", {"run_id": "abc"}),
        ("/ui/runs/abc/experts", "/runs/{run_id}/experts", {"run_id": "abc"}),
        (
            "/ui/runs/abc/experts/3/12",
            "/runs/{run_id}/experts/{layer:int}/{expert:int}",
            {"run_id": "abc", "layer": 3, "expert": 12},
        ),
    ],
)
def test_an_address_leads_to_its_page(address: str, pattern: str, params: dict) -> None:
    found = ROUTER.match(address)
    assert found is not None
    assert (found[0].pattern, found[1]) == (pattern, params)


@pytest.mark.parametrize("address", ["/ui/nope", "/ui/runs/abc/nope", "/ui/runs/abc/experts/x/1", "/ui/runs/a/b/c/d/e"])
def test_other_addresses_lead_nowhere(address: str) -> None:
    assert ROUTER.match(address) is None


def test_every_address_that_is_written_is_one_that_is_read() -> None:
    written = [addresses.RUNS, addresses.NEW_RUN, addresses.PROMPT_SETS, addresses.MODELS, addresses.expert("r", 1, 2)]
    written += [addresses.run("r", tab) for tab in ("", "routing", "topics", "experts", "report")]
    assert [address for address in written if ROUTER.match(address) is None] == []


def test_a_query_leaves_out_what_is_not_given() -> None:
    assert addresses.runs("done", None) == "/ui/runs?status=done"
    assert addresses.run("r", "routing", group="topic:a b") == "/ui/runs/r/routing?group=topic%3Aa+b"
    assert addresses.new_run() == "/ui/runs/new"
