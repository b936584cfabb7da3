"""`make audit-dependencies` tells known vulnerabilities, none, and not having been able to ask, apart."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests import vulnerabilities
from tests.vulnerabilities import CLEAN, FOUND, UNKNOWN, judge, main

FLAW = {
    "id": "PYSEC-0000-1",
    "aliases": ["CVE-0000-0001"],
    "summary": "Made up for this test.",
    "affected": [
        {
            "package": {"name": "h11", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.17.0"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Answers as OSV does: an empty object for what it knows nothing about."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {"h11": {"vulns": [FLAW]}}
        body = json.dumps(known.get(asked["package"]["name"], {})).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Database) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def pins(folder: Path, *lines: str) -> str:
    path = folder / "constraints.txt"
    path.write_text("# a comment\n" + "\n".join(lines) + "\n")
    return str(path)


def test_no_known_vulnerability(tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([pins(tmp_path, "idna==3.20", "zipp==4.1.2"), "--osv-url", osv]) == CLEAN
    assert capsys.readouterr().out == "2 packages, 0 known vulnerabilities, 0 accepted\n"


def test_a_known_one_is_named_with_its_remedy(tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([pins(tmp_path, "h11==0.16.0", "idna==3.20"), "--osv-url", osv]) == FOUND
    assert capsys.readouterr().out.splitlines() == [
        "h11 0.16.0: PYSEC-0000-1, CVE-0000-0001, fixed in 0.17.0",
        "2 packages, 1 known vulnerabilities, 0 accepted",
    ]


def test_an_accepted_one_is_told_and_fails_nothing(
    tmp_path: Path, osv: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vulnerabilities, "ACCEPTED", {"CVE-0000-0001": "the part is not used"})
    assert main([pins(tmp_path, "h11==0.16.0"), "--osv-url", osv]) == CLEAN
    assert "(accepted: the part is not used)" in capsys.readouterr().out


def test_a_database_that_cannot_be_reached_is_no_good_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1/query"
    assert main([pins(tmp_path, "idna==3.20"), "--osv-url", url]) == UNKNOWN
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: the database of vulnerabilities at {url} could not be asked: ")
    assert err.endswith("nothing is known about the dependencies: try again where it can be reached\n")


def test_a_package_that_was_not_looked_up_is_no_good_news() -> None:
    skipped = {"name": "odd", "skip_reason": "not found"}
    looked_up = {"name": "idna", "version": "3.20", "vulns": []}
    assert judge({"dependencies": [looked_up, skipped]})[0] == UNKNOWN


def test_what_was_accepted_stands_in_the_security_policy(repository: Path) -> None:
    text = (repository / "SECURITY.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\b(?:CVE|GHSA|PYSEC)-[\w-]+", text)) == set(vulnerabilities.ACCEPTED)
