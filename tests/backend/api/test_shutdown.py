"""A page that watches a run must not keep the server from stopping."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from backend.services import RunInfo, Services

SERVER = """
import sys, uvicorn
from backend.main import create_app
from backend.settings import Settings
uvicorn.run(create_app(Settings(data_dir=sys.argv[1])), host="127.0.0.1", port=0, log_level="info")
"""


def address(log: Path, server: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        for word in log.read_text().split():
            if word.startswith("http://127.0.0.1:"):
                return word
        assert server.poll() is None, log.read_text()
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def test_an_open_event_stream_ends_when_the_server_is_told_to_stop(
    services: Services, running: RunInfo, tmp_path: Path
) -> None:
    log = tmp_path / "server.log"
    environment = {**os.environ, "EXPERTSCOPE_DATABASE_URL": services.settings.database}
    with log.open("wb") as out:
        command = [sys.executable, "-c", SERVER, str(services.settings.data_dir)]
        server = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        url = f"{address(log, server)}/api/v1/runs/{running.id}/events"
        with httpx.stream("GET", url, timeout=10) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "id: 1"
            server.send_signal(signal.SIGTERM)
            assert [line for line in lines if line.startswith("event:")][-1] == "event: started"
        server.wait(timeout=10)
    finally:
        server.kill()
        server.wait()
    assert "ERROR" not in log.read_text()
