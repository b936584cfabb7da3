"""The real server on a data folder, as a process, and its pages' callbacks as the browser calls them. It has no worker
beside it, which has nothing to do here and would take a core while it starts."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_PATIENCE = 400
_PROGRAM = """
import sys, uvicorn
from app.server import build
uvicorn.run(build(), port=int(sys.argv[1]), log_level="warning")
"""


@dataclass(frozen=True)
class Call:
    """One answer: seconds until it was there, its bytes, and what was in it."""

    seconds: float
    size: int
    answer: Any


class Served:
    """A server that runs, asked over one connection that stays open."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]") -> None:
        self.url = url
        self._process = process
        self._client = httpx.Client(base_url=url, timeout=120)
        self._callbacks: list[Mapping[str, Any]] = self._client.get("/ui/_dash-dependencies").json()

    def call(self, output: str, values: Mapping[str, Any], changed: str) -> Call:
        """The callback that fills `output` ("id.property"), with `values` for its inputs and states."""
        found = next(
            one
            for one in self._callbacks
            if output in one["output"].strip(".").split("...")
            and changed in [f"{item['id']}.{item['property']}" for item in one["inputs"]]
        )
        several = found["output"].startswith("..")
        names = found["output"].strip(".").split("...")
        outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
        body = {
            "output": found["output"],
            "outputs": outputs if several else outputs[0],
            "changedPropIds": [changed],
            **{
                name: [{**item, "value": values.get(f"{item['id']}.{item['property']}")} for item in found[part]]
                for name, part in (("inputs", "inputs"), ("state", "state"))
            },
        }
        start = time.perf_counter()
        answer = self._client.post("/ui/_dash-update-component", json=body)
        seconds = time.perf_counter() - start
        answer.raise_for_status()
        return Call(seconds, len(answer.content), answer.json()["response"] if answer.content else {})

    def get(self, path: str, query: Mapping[str, Any]) -> Call:
        """What is at an address."""
        start = time.perf_counter()
        answer = self._client.get(path, params=query)
        seconds = time.perf_counter() - start
        return Call(seconds, len(answer.raise_for_status().content), answer.json())

    def cpu_seconds(self) -> float:
        """What the server has computed so far, whoever else is on its cores."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self) -> tuple[float, float]:
        """The server's resident memory: now, and at most so far."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines())
        now, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, most

    def close(self) -> None:
        self._client.close()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """API and pages on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", _PROGRAM, str(port)]
    environment = {**os.environ, "EXPERTSCOPE_DATA_DIR": str(folder), "EXPERTSCOPE_LOG_LEVEL": "warning"}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        served = None
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            served = Served(url, process)
            yield served
        finally:
            if served is not None:
                served.close()
            process.terminate()
            process.wait(_PATIENCE)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"the server at {url} did not start: its words are in serve.log beside the database")
