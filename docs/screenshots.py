"""Take the documentation's pictures of every page from a running server with a finished audit of `organism:planted`.

    make run                                            # in one terminal
    .venv/bin/python docs/screenshots.py [ADDRESS]      # in another

Runs of the other kinds, a second audit and an answered question are made first where the server has none. The way in
and an account are taken from a server of their own, with accounts and nothing in it. Writes docs/images/NAME.png, 1280
pixels wide in the light theme; docs/pages.md shows them.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
ROOT = Path(__file__).parents[1]
_AT = re.compile(r"ExpertScope is at (http://[^/\s]+)")
_CODE = re.compile(r"set-up code (\S+)")
TALLEST = 1800
"""Pixels of a page that a picture shows."""


class Server:
    """A running ExpertScope, asked over its API."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = httpx.Client(base_url=f"{address}/api/v1", timeout=60)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get(path, params=query).raise_for_status().json()
        return found

    def run(self, kind: str, **asked: Any) -> dict[str, Any]:
        """The newest finished run of a kind, made now where there is none."""
        done = self.get("/runs", status="done", kind=kind)["items"]
        if done:
            first: dict[str, Any] = done[0]
            return first
        made = self._http.post("/runs", json={"kind": kind, "preset": "quick", **asked}).raise_for_status().json()
        sys.stdout.write(f"waiting for a run of kind {kind}\n")
        while made["status"] in ("queued", "running"):
            time.sleep(2)
            made = self.get(f"/runs/{made['id']}")
        if made["status"] != "done":
            raise SystemExit(f"the run of kind {kind} is {made['status']}: {made['error']}")
        return dict(made)

    def second_audit(self, first: dict[str, Any]) -> dict[str, Any]:
        """Another finished audit than `first`, of the same model with another seed where there is none."""
        others = [one for one in self.get("/runs", status="done", kind="audit")["items"] if one["id"] != first["id"]]
        if others:
            return dict(others[0])
        asked = {"model": first["model"]["id"], "prompt_set_id": first["prompt_set"]["id"], "seed": 1}
        made = self._http.post("/runs", json={"kind": "audit", "preset": "quick", **asked}).raise_for_status().json()
        while made["status"] in ("queued", "running"):
            time.sleep(2)
            made = self.get(f"/runs/{made['id']}")
        return dict(made)

    def question(self, model: str) -> str:
        """An answered question of the playground."""
        kept = self.get("/playground", status="done")["items"]
        if kept:
            return str(kept[0]["id"])
        asked = {"model": model, "prompt": "How do I bake bread?"}
        made = self._http.post("/playground", params={"wait": 30}, json=asked).raise_for_status().json()
        while made["status"] in ("queued", "running"):
            time.sleep(1)
            made = self.get(f"/playground/{made['id']}")
        return str(made["id"])


def addresses(server: Server) -> dict[str, str]:
    """Picture to page."""
    audits = [
        one for one in server.get("/runs", status="done", kind="audit")["items"] if one["model"]["name"] == "planted"
    ]
    if not audits:
        raise SystemExit(f"{server.address} has no finished audit of organism:planted yet: wait for its first one")
    audit = audits[-1]
    report = server.get(f"/runs/{audit['id']}/report.json")
    layer, expert = report["flagged"]["experts"][0]
    common = {"model": audit["model"]["id"], "prompt_set_id": audit["prompt_set"]["id"]}
    acted = {**common, "experts_from": audit["id"]}
    kinds = {
        "trace": server.run("trace", **common),
        "mask": server.run("mask", **acted),
        "detector": server.run("detect", detector="router_logits", **common),
        "tuning": server.run("tune", controls=4, **acted),
    }
    other = server.second_audit(audit)
    run = f"/ui/runs/{audit['id']}"
    selected = f"sel={','.join(f'{la}.{ex}' for la, ex in report['flagged']['experts'])}"
    return {
        "runs": "/ui/runs",
        "new-run": f"/ui/runs/new?model={common['model']}&prompts={common['prompt_set_id']}",
        "overview": run,
        "routing": f"{run}/routing?{selected}",
        "routing-topics": f"{run}/routing?view=topics",
        "topics": f"{run}/topics",
        "experts": f"{run}/experts?{selected}",
        "expert": f"{run}/experts/{layer}/{expert}",
        "tokens": f"{run}/tokens",
        "interventions": f"{run}/interventions",
        "report": f"{run}/report",
        **{name: f"/ui/runs/{one['id']}" for name, one in kinds.items()},
        "compare": f"/ui/compare?a={audit['id']}&b={other['id']}",
        "playground": f"/ui/playground?q={server.question(common['model'])}",
        "prompt-sets": "/ui/prompt-sets",
        "prompt-set": f"/ui/prompt-sets/{common['prompt_set_id']}",
        "prompt-import": "/ui/prompt-sets/import",
        "models": "/ui/models",
        "model": f"/ui/models/{common['model']}",
        "judges": "/ui/judges",
        "admin": "/ui/admin",
    }


def take(page: Page, name: str, address: str) -> None:
    page.goto(address, wait_until="networkidle")
    page.wait_for_timeout(1500)
    tall = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": tall})
    sys.stdout.write(f"docs/images/{name}.png\n")


@contextmanager
def with_accounts() -> Iterator[tuple[str, str]]:
    """The address of a new server that nobody has an account on, and its set-up code."""
    command = [sys.executable, "-m", "backend.cli", "serve", "--port", "0", "--workers", "0", "--data"]
    own = {"EXPERTSCOPE_ACCOUNTS": "true", "EXPERTSCOPE_FIRST_RUN": "false"}
    with TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, folder], cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = ""
        while not (found := _AT.search(said)) or not (code := _CODE.search(said)):
            said += process.stdout.readline().decode()  # type: ignore[union-attr]
        try:
            yield found[1], code[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def take_accounts(page: Page) -> None:
    with with_accounts() as (address, code):
        page.goto(f"{address}/set-up")
        page.get_by_label("Set-up code").fill(code)
        page.get_by_label("Name").fill("analyst")
        page.get_by_label("Password").fill(secrets.token_urlsafe(12))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/ui/**")
        take(page, "account", f"{address}/ui/account")
        page.context.clear_cookies()
        take(page, "sign-in", f"{address}/sign-in")


def main() -> None:
    server = Server(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        for name, address in addresses(server).items():
            take(page, name, server.address + address)
        take_accounts(page)
        browser.close()


if __name__ == "__main__":
    main()
