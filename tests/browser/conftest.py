"""The real product in a real browser: `expertscope serve` with its worker, and Chromium that reaches nobody else."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from tests.conftest import CHROMIUM, ROOT

FIRST_AUDIT_SECONDS = 240
SLOWEST_ANSWER = 30_000
"""Milliseconds that a page may take on two cores while the worker computes."""
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]


@dataclass
class Product:
    """A server that runs, and the first audit that it made by itself."""

    url: str
    run: dict[str, Any]

    @cached_property
    def others(self) -> dict[str, dict[str, Any]]:
        """A small finished run of every other kind, made through the API when it is first asked for."""
        rows = self.api(f"/prompt-sets/{self.run['prompt_set']['id']}/prompts?limit=24").json()["items"]
        prompts = [{name: row[name] for name in ("text", "label", "topic", "pair_id")} for row in rows]
        few = [{"prompt": row.pop("text"), **row} for row in prompts]
        stored = self.post("/prompt-sets", {"name": "few", "prompts": few})
        common = {"model": self.run["model"]["id"], "prompt_set_id": stored["id"], "preset": "quick"}
        started = {kind: self.post("/runs", {**common, "kind": kind, **own}) for kind, own in self._own().items()}
        return {kind: self.finished(run["id"]) for kind, run in started.items()}

    def _own(self) -> dict[str, dict[str, Any]]:
        source = {"experts_from": self.run["id"]}
        return {
            "trace": {"max_new_tokens": 4},
            "mask": {**source, "max_new_tokens": 8},
            "detect": {"detector": "router_logits"},
            "tune": {**source, "steps": 2, "controls": 2},
        }

    @cached_property
    def second_audit(self) -> dict[str, Any]:
        """Another finished audit of the same model: fewer of the same prompts, and another seed."""
        few = self.others["trace"]["prompt_set"]["id"]
        body = {"model": self.run["model"]["id"], "prompt_set_id": few, "preset": "quick", "seed": 1}
        return self.finished(self.post("/runs", body)["id"])

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = httpx.post(f"{self.url}/api/v1{path}", json=body, timeout=30).raise_for_status().json()
        return found

    def finished(self, run_id: str) -> dict[str, Any]:
        """The run, once it is done."""
        until = time.monotonic() + FIRST_AUDIT_SECONDS
        while time.monotonic() < until:
            run: dict[str, Any] = self.api(f"/runs/{run_id}").json()
            if run["status"] not in ("queued", "running"):
                assert run["status"] == "done", run["error"]
                return run
            time.sleep(0.5)
        raise AssertionError(f"run {run_id} was not finished in {FIRST_AUDIT_SECONDS} s")

    def api(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/api/v1{path}", timeout=30).raise_for_status()

    def tab(self, name: str = "") -> str:
        return f"{self.url}/ui/runs/{self.run['id']}{name}"


@dataclass
class Watch:
    """What a page did that no page may do."""

    url: str
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("request", self._request)
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.foreign.append(request.url)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """`expertscope serve` on a free port with an empty data folder, once its first audit is finished.

    PRODUCT_URL names a server that runs already, for whoever writes a test and does not want to wait for an audit.
    """
    if running := os.environ.get("PRODUCT_URL"):
        runs = httpx.get(f"{running}/api/v1/runs", params={"status": "done", "kind": "audit"}).json()["items"]
        yield Product(running, runs[-1])
        return
    folder = tmp_path_factory.mktemp("product")
    port = free_port()
    command = [sys.executable, "-c", "from backend.cli import main; main()", "serve", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data")], cwd=ROOT, env=_environment(), stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            yield Product(url, _first_audit(url, process, folder / "log"))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "EXPERTSCOPE_LOG_LEVEL": "warning"}


def _first_audit(url: str, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    until = time.monotonic() + FIRST_AUDIT_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
        try:
            runs = httpx.get(f"{url}/api/v1/runs", params={"status": "done", "kind": "audit"}, timeout=10).json()[
                "items"
            ]
        except httpx.TransportError:
            runs = []
        if runs:
            first: dict[str, Any] = runs[0]
            return first
        time.sleep(0.5)
    raise AssertionError(f"no audit was finished in {FIRST_AUDIT_SECONDS} s:\n{log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def base_url() -> None:
    """Stands in for the plugin's own, whose shape pytest calls deprecated: tests name whole addresses."""


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": CHROMIUM, "args": SWITCHES}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1280, "height": 900}}


@pytest.fixture(autouse=True)
def watched(page: Page, product: Product) -> Iterator[Watch]:
    """Every test fails when its page asked another host for anything, or wrote an error to the console."""
    watch = Watch(product.url)
    watch.follow(page)
    page.set_default_timeout(SLOWEST_ANSWER)
    expect.set_options(timeout=SLOWEST_ANSWER)
    yield watch
    assert watch.foreign == []
    assert watch.errors == []
