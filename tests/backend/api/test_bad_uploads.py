"""Uploads that nobody should send: wrong encodings, huge cells, nulls, nesting, bombs, formulas, paths for names.

Whatever comes, the answer is no server error, it names the fault in one line, and the server's memory stays bounded.
BAD_UPLOADS says how many are made up (`make fuzz`: ten thousand).
"""

import gzip
import io
import json
import os
import socket
import subprocess
import sys
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT

UPLOADS = int(os.environ.get("BAD_UPLOADS", "120"))
MOST_BYTES_ABOVE_IDLE = 200 << 20
PATHS = ("/api/v1/prompt-sets", "/api/v1/prompt-sets/preview", "/api/v1/labels/import", "/api/v1/runs/import")
LIMIT = 2_000_000
LARGEST = 50_000_000

words = st.text(max_size=30)
SIGNS = [
    "",
    "\x00",
    "\ufeff",
    "=HYPERLINK(1)",
    "+1+1",
    "@SUM(A1)",
    "-2+3",
    '"',
    "'",
    "\r",
    "\n",
    "\u2028",
    "\ud7ff",
    "ÿ",
]
SPELLS = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "%00",
    "{{7*7}}",
    "${jndi:x}",
    "NaN",
    "1e999",
    "null",
    "🙂" * 50,
]
nasty = st.sampled_from([*SIGNS, *SPELLS])
cells = st.one_of(words, nasty, st.integers(1, 60_000).map(lambda size: "a" * size))
HEADERS = ["prompt", "label", "topic", "pair_id", "id", "completion", "human", "text", "Goal", "", "prompt"]
rows = st.lists(st.lists(cells, min_size=0, max_size=6), max_size=8)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis"]


def encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, errors="replace")


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """CSV that is nearly right: separators, quotes and encodings as they come."""
    separator = draw(st.sampled_from([",", ";", "\t", "|", "\x00"]))
    header = draw(st.lists(st.sampled_from(HEADERS), min_size=0, max_size=6))
    quote = draw(st.sampled_from(['"', "'", "", '""']))
    lines = [separator.join(header)]
    lines += [separator.join(f"{quote}{cell}{quote}" for cell in row) for row in draw(rows)]
    return encoded(draw(st.sampled_from(["\n", "\r\n", "\r", ""])).join(lines), draw(st.sampled_from(ENCODINGS)))


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON and lines of it, whole or cut off, with anything for a prompt."""
    value = st.recursive(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), cells),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(HEADERS) | words, inner, max_size=3)
        ),
        max_leaves=8,
    )
    items = draw(st.lists(value, max_size=4))
    text = draw(
        st.sampled_from(
            [
                json.dumps(items),
                "\n".join(map(json.dumps, items)),
                json.dumps({"prompts": items}),
                json.dumps(items)[:-1],
            ]
        )
    )
    return encoded(text, draw(st.sampled_from(ENCODINGS)))


@st.composite
def nested(draw: st.DrawFn) -> bytes:
    depth = draw(st.integers(10, 50_000))
    opening, closing = draw(st.sampled_from([("[", "]"), ('{"a":', "}"), ("[", ""), ('{"prompt":[', "]}")]))
    return (opening * depth + "1" + closing * depth).encode()


@st.composite
def bombs(draw: st.DrawFn) -> bytes:
    """A little that becomes a lot, under names that lead elsewhere."""
    size = draw(st.sampled_from([10_000, 1_000_000, LARGEST]))
    data = b"\0" * size
    if draw(st.booleans()):
        return gzip.compress(data)
    buffer = io.BytesIO()
    names = ["manifest.json", "run.json", "../../../tmp/x", "/etc/passwd", "a/" * 200, "CON", "x\x00y", "manifest.json"]
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # a name twice is what is meant
        for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=4)):
            archive.writestr(name, data if draw(st.booleans()) else b'{"format": "expertscope.run/1", "files": []}')
    whole = buffer.getvalue()
    return whole[: draw(st.integers(1, len(whole)))] if draw(st.booleans()) else whole


huge = st.integers(1, 3 * LIMIT).map(lambda size: b"prompt\n" + b"x" * size)
contents = st.one_of(st.binary(max_size=3000), tables(), tables(), documents(), documents(), nested(), bombs(), huge)
USUAL = ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.xlsx", "a.zip", "a.csv.gz", "a.CSV ", "a.pkl", ".csv", ""]
ODD = ["../../a.csv", "C:\\a.csv", "a" * 300 + ".csv", "a\x00.csv", "=1+1.csv", "ä\u202efdp.csv", "a\r\nX-Y: z.csv"]
names = st.one_of(st.sampled_from([*USUAL, *ODD]), words)
fields = st.dictionaries(
    st.sampled_from(["name", "columns", "labels", "duplicates", "conflicts", "model", "column"]),
    st.one_of(words, nasty, st.sampled_from(["{}", '{"prompt": "prompt"}', "[]", '{"prompt": 3}', "keep", "[" * 2000])),
    max_size=2,
)


PROGRAM = """
import sys, uvicorn
from pathlib import Path
from backend.main import create_app
from backend.settings import Settings
app = create_app(Settings(data_dir=Path(sys.argv[1]), upload_limit_bytes=int(sys.argv[3])))
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


@dataclass(frozen=True)
class Server:
    """A process that serves the API."""

    url: str
    process: "subprocess.Popen[bytes]"

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most memory that it has had at once since then, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of another process is read from /proc")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("uploads")
    command = [sys.executable, "-c", PROGRAM, str(folder / "data"), str(port), str(LIMIT)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 120
            while time.monotonic() < until:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    httpx.get(f"{url}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield Server(url, process)
        finally:
            process.terminate()
            process.wait(30)


def test_no_upload_is_too_much(server: Server) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for path in PATHS:  # what is imported late is imported now
            client.post(path, files={"file": ("a.csv", b"prompt\nhello\n")})
        server.forget_peak()
        idle = server.peak()

        @settings(
            max_examples=UPLOADS, deadline=None, suppress_health_check=[*HealthCheck], database=None, derandomize=True
        )
        @given(path=st.sampled_from(PATHS), name=names, content=contents, form=fields)
        def send(path: str, name: str, content: bytes, form: dict[str, str]) -> None:
            files = {"file": (name.encode("utf-8", "replace").decode(), content)}
            data = {key: value.encode("utf-8", "replace").decode() for key, value in form.items()}
            answer = client.post(path, files=files, data=data)
            seen[path, answer.status_code] += 1
            assert answer.status_code < 500, (path, name, content[:200], answer.text[:500])
            if answer.status_code >= 400:
                error = answer.json()["error"]
                assert len(error["message"]) > 15, error
                assert "\n" not in error["message"]
                assert "Traceback" not in answer.text

        send()
        assert client.get("/healthz").status_code == 200
    assert sum(seen.values()) >= UPLOADS
    assert {path for path, status in seen if status >= 400} == set(PATHS)
    above = server.peak() - idle
    print(f"{sum(seen.values())} uploads, {above >> 20} MiB above idle: {dict(seen)}")
    assert above < MOST_BYTES_ABOVE_IDLE, f"{above >> 20} MiB above idle after {dict(seen)}"
