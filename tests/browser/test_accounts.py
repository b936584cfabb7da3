"""A server with accounts, from its first minute on: set-up, roles, tokens, and the way out. Axe looks at each form."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.backend.accounts import PASSWORD
from tests.browser.conftest import Watch, free_port
from tests.conftest import ROOT


@dataclass(frozen=True)
class Guarded:
    """A server that nobody has an account on yet, and what it printed."""

    url: str
    code: str


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    command = [sys.executable, "-c", "from backend.cli import main; main()", "serve", "--port", str(port)]
    environment = {
        **os.environ,
        "EXPERTSCOPE_ACCOUNTS": "true",
        "EXPERTSCOPE_FIRST_RUN": "false",
        "EXPERTSCOPE_LOG_LEVEL": "warning",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            yield Guarded(f"http://127.0.0.1:{port}", _printed_code(folder / "log"))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _printed_code(log: Path) -> str:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        found = re.search(r"set-up code (\S+)", log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.fixture
def watched(page: Page, guarded: Guarded) -> Iterator[Watch]:
    """As for every page, on this server. A 401 or 403 that is meant to be stands in the console as one line."""
    watch = Watch(guarded.url)
    watch.follow(page)
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield watch
    assert watch.foreign == []
    assert [line for line in watch.errors if not re.search(r"status of 40[13]", line)] == []


def violations(page: Page) -> list[str]:
    page.wait_for_timeout(500)  # colours fade from one theme to the other
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in Axe().run(page).response["violations"]]


def sign_in(page: Page, guarded: Guarded, name: str, then: str = "/ui/runs") -> None:
    page.goto(f"{guarded.url}{then}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#nav-account")).to_have_text(name)


def test_the_first_admin_sets_up_and_lets_somebody_in(page: Page, guarded: Guarded) -> None:
    page.goto(f"{guarded.url}/ui/runs")
    expect(page.get_by_role("heading", name="Set up")).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.reload()
        assert violations(page) == []
    page.get_by_label("Set-up code").fill("a guess")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the first admin").click()
    expect(page.get_by_role("alert")).to_contain_text("not the set-up code")
    page.get_by_label("Set-up code").fill(guarded.code)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#nav-account")).to_have_text("ada")
    page.goto(f"{guarded.url}/ui/models")
    page.locator("#register-ref").fill("organism:planted")
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.locator("#models-list")).to_contain_text("planted")
    page.goto(f"{guarded.url}/ui/admin")
    page.get_by_text("Add an account").click()
    page.get_by_label("Name", exact=True).fill("vera")
    page.locator("#account-password").fill(PASSWORD)
    page.get_by_role("button", name="Add the account").click()
    expect(page.locator("#accounts-message")).to_contain_text("vera can sign in")
    expect(page.get_by_role("region", name="Accounts").get_by_role("row")).to_have_count(3)
    page.reload()
    expect(page.locator("#audit-log")).to_be_visible()
    for words in ("users.created", "sign_in"):
        expect(page.get_by_role("region", name="Audit log, newest first")).to_contain_text(words)
    assert violations(page) == []


def test_a_viewer_reads_and_is_told_what_is_not_hers(page: Page, guarded: Guarded) -> None:
    sign_in(page, guarded, "vera", then="/ui/models?from=a+colleague")
    assert page.url == f"{guarded.url}/ui/models?from=a+colleague", "the way in leads back to what was asked for"
    expect(page.locator("#nav-admin")).to_have_count(0)
    page.goto(f"{guarded.url}/ui/admin")
    expect(page.get_by_role("heading", name="You may not see this")).to_be_visible()
    expect(page.locator("#content")).to_contain_text("needs the role admin, and vera has the role viewer")
    for path in ("models", "runs/new", "prompt-sets/import", "playground"):
        page.goto(f"{guarded.url}/ui/{path}")
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("#content")).to_contain_text("takes an analyst: ask an admin", use_inner_text=True)
        assert violations(page) == [], path
    for path in ("runs", "prompt-sets", "compare", "judges"):
        page.goto(f"{guarded.url}/ui/{path}")
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("#content :is(.primary, .drop)")).to_have_count(0)


def test_a_token_is_shown_once_and_revoked(page: Page, guarded: Guarded) -> None:
    sign_in(page, guarded, "ada", then="/ui/account")
    page.get_by_text("Make a token").first.click()
    page.get_by_label("What it is for").fill("nightly audit")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator("#token-secret").inner_text()
    own = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{guarded.url}/api/v1/me", headers=own).json()["kind"] == "token"
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert violations(page) == []
    page.reload()
    expect(page.get_by_role("button", name="Revoke the token for nightly audit")).to_be_visible()
    expect(page.locator("#token-secret")).to_have_count(0)
    page.get_by_role("button", name="Revoke the token for nightly audit").click()
    expect(page.locator("#token-message")).to_contain_text("opens nothing now")
    assert httpx.get(f"{guarded.url}/api/v1/me", headers=own).status_code == 401


def test_a_role_that_changes_takes_hold_at_once(page: Page, guarded: Guarded) -> None:
    sign_in(page, guarded, "ada", then="/ui/admin")
    page.get_by_role("textbox", name="Role of vera").click()
    page.get_by_role("option", name="Analyst").locator("visible=true").click()
    expect(page.locator("#accounts-message")).to_contain_text("vera is analyst")
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, guarded, "vera", then="/ui/account")
    expect(page.locator("#content")).to_contain_text("upload, run and label")


def test_whoever_is_signed_out_meanwhile_is_told_and_led_back(page: Page, guarded: Guarded) -> None:
    sign_in(page, guarded, "ada")
    page.context.clear_cookies()
    page.locator("#nav-models").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_way_in_fits_a_phone(page: Page, guarded: Guarded) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{guarded.url}/sign-in")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
