"""Do pages stay quick for a hundred people while the worker computes, and does the worker go on?

    python -m benchmarks.load [--users 100] [--seconds 60] [--pause 2] [--audits 2] [--json]

`expertscope serve` on a new data folder, with its worker. Two audits are timed alone, then the same two again while
each user asks for a page of a finished run, or for its heatmap, every two seconds, over a connection of their own.
Errors are answers other than 200; latencies are what a client on the same machine waits.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

ROOT = Path(__file__).parents[1]
TABS = ("", "/routing", "/topics", "/experts", "/interventions", "/report")
QUANTITIES = ("frequency", "probability", "lift", "difference")
WINDOWS = ("prompt", "boundary", "response")
PATIENCE = 900


@dataclass
class Load:
    """What the users saw. `seconds` by kind of request; `answers` counts statuses, "broken" for a lost connection."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"page": [], "heatmap": []})
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        return sum(count for status, count in self.answers.items() if status != "200")


@dataclass(frozen=True)
class Found:
    """Latencies in milliseconds, times in seconds. `slower` is the audits' time over their time alone, less 1."""

    users: int
    requests: int
    errors: int
    p50: float
    p95: float
    p99: float
    page_p95: float
    heatmap_p95: float
    alone: float
    under_load: float
    slower: float


@contextmanager
def product(folder: Path) -> Any:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "backend.cli", "serve", "--port", str(port), "--data", str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "EXPERTSCOPE_LOG_LEVEL": "warning"}
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def finished(client: httpx.Client, run_ids: Sequence[str]) -> float:
    """Seconds that the worker was at these runs, once all of them are done."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        runs = [client.get(f"/api/v1/runs/{run_id}").json() for run_id in run_ids]
        if all(run["status"] == "done" for run in runs):
            return sum(_seconds(run) for run in runs)
        if any(run["status"] in ("failed", "cancelled") for run in runs):
            raise SystemExit(f"an audit ended as {[run['status'] for run in runs]}: {[run['error'] for run in runs]}")
        time.sleep(0.5)
    raise SystemExit(f"the audits were not done in {PATIENCE} s")


def _seconds(run: dict[str, Any]) -> float:
    from datetime import datetime

    started, ended = (datetime.fromisoformat(run[name]) for name in ("started", "finished"))
    return (ended - started).total_seconds()


def first_audit(url: str) -> str:
    """The id of the audit that a new installation makes by itself, once it is done."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            runs = httpx.get(f"{url}/api/v1/runs", params={"status": "done"}, timeout=10).json()["items"]
        except httpx.TransportError:
            runs = []
        if runs:
            return str(runs[0]["id"])
        time.sleep(0.5)
    raise SystemExit(f"there was no audit in {PATIENCE} s")


def start_audits(client: httpx.Client, count: int) -> list[str]:
    body = {"model": "organism:planted", "prompt_set_id": "builtin:organism", "preset": "quick"}
    return [client.post("/api/v1/runs", json={**body, "seed": seed}).json()["id"] for seed in range(1, count + 1)]


async def storm(url: str, run: str, users: int, seconds: float, pause: float) -> Load:
    """All users at once, each at a moment of their own, for `seconds`."""
    # A client makes a TLS context, which takes tens of milliseconds: a hundred of them would hold up the first answers,
    # and that wait is not the server's.
    tls = httpx.create_ssl_context()
    clients = [httpx.AsyncClient(base_url=url, timeout=30, verify=tls) for _ in range(users)]
    load, until = Load(), time.monotonic() + seconds
    await asyncio.gather(*(_user(client, run, number, pause, until, load) for number, client in enumerate(clients)))
    for client in clients:
        await client.aclose()
    return load


async def _user(client: httpx.AsyncClient, run: str, number: int, pause: float, until: float, load: Load) -> None:
    chance = random.Random(number)
    await asyncio.sleep(chance.uniform(0, pause))
    while time.monotonic() < until:
        kind = chance.choice(("page", "heatmap"))
        began = time.perf_counter()
        try:
            status = await (_page if kind == "page" else _heatmap)(client, run, chance)
        except httpx.TransportError:
            status = "broken"
        took = time.perf_counter() - began
        load.seconds[kind].append(took)
        load.answers[status] += 1
        await asyncio.sleep(max(0.0, pause - took))


async def _page(client: httpx.AsyncClient, run: str, chance: random.Random) -> str:
    """What the browser asks for when somebody goes to a tab."""
    visit = {"pathname": f"/ui/runs/{run}{chance.choice(TABS)}", "search": ""}
    body = {
        "output": "..content.children...page-title.data..",
        "outputs": [{"id": "content", "property": "children"}, {"id": "page-title", "property": "data"}],
        "inputs": [{"id": "visit", "property": "data", "value": visit}],
        "changedPropIds": ["visit.data"],
    }
    answer = await client.post("/ui/_dash-update-component", json=body)
    return str(answer.status_code) if run in answer.text else "another page"


async def _heatmap(client: httpx.AsyncClient, run: str, chance: random.Random) -> str:
    query = {"quantity": chance.choice(QUANTITIES), "window": chance.choice(WINDOWS), "group": "all"}
    answer = await client.get(f"/api/v1/runs/{run}/heatmap", params=query)
    return str(answer.status_code) if "values" in answer.text else "another answer"


def measure(users: int, seconds: float, pause: float, audits: int) -> Found:
    with tempfile.TemporaryDirectory() as folder, product(Path(folder) / "data") as url:
        run = first_audit(url)
        with httpx.Client(base_url=url, timeout=60) as client:
            alone = finished(client, start_audits(client, audits))
            again = start_audits(client, audits)
            # The storm lasts as long as the audits do, and `seconds` at least.
            load = asyncio.run(storm(url, run, users, max(seconds, alone * 1.4), pause))
            under_load = finished(client, again)
    every = np.array([*load.seconds["page"], *load.seconds["heatmap"]]) * 1e3
    p50, p95, p99 = (float(value) for value in np.percentile(every, (50, 95, 99)))
    page, heatmap = (float(np.percentile(load.seconds[kind], 95)) * 1e3 for kind in ("page", "heatmap"))
    slower = under_load / alone - 1
    return Found(users, len(every), load.errors, p50, p95, p99, page, heatmap, alone, under_load, slower)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=2)
    parser.add_argument("--audits", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    found = measure(chosen.users, chosen.seconds, chosen.pause, chosen.audits)
    if chosen.json:
        print(json.dumps(asdict(found), indent=2))
        return
    print(f"{found.users} users, {found.requests} requests, {found.errors} errors")
    print(f"latency: p50 {found.p50:.0f} ms, p95 {found.p95:.0f} ms, p99 {found.p99:.0f} ms")
    print(f"p95 of pages {found.page_p95:.0f} ms, of heatmaps {found.heatmap_p95:.0f} ms")
    print(f"audits: {found.alone:.0f} s alone, {found.under_load:.0f} s under load ({found.slower:+.0%})")


if __name__ == "__main__":
    main()
