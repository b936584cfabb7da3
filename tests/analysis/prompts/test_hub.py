"""Against a small hub on the loopback interface that answers the three requests the hub's client makes."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from analysis.errors import InputError, NotFoundError, TooLargeError
from analysis.prompts.hub import load_dataset_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"---\nconfigs: [{config_name: pairs, data_files: [{split: evil, path: data/one.csv}]}]\n---\n",
    "data/one.csv": b"prompt,label\nHi,harmful\n",
    "data/two.csv": b"prompt,label\nHo,benign\n",
}


class Hub(BaseHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.requests.append(path)
        resolve = "/datasets/team/set/resolve/{}/"
        for revision in ("main", COMMIT):
            if path.startswith(resolve.format(revision)):
                return self._send(FILES.get(path.removeprefix(resolve.format(revision))), with_body)
        if path.startswith("/api/datasets/team/set"):
            siblings = [{"rfilename": name, "size": len(data), "blobId": "0"} for name, data in FILES.items()]
            return self._send(json.dumps({"id": "team/set", "sha": COMMIT, "siblings": siblings}).encode(), with_body)
        return self._send(None, with_body)

    def _send(self, data: bytes | None, with_body: bool) -> None:
        self.send_response(404 if data is None else 200)
        body = data or b""
        if data is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[tuple[str, list[str], ThreadingHTTPServer]]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    handler = type("OneHub", (Hub,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.requests, server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_named_part_is_downloaded_and_nothing_else(hub):
    endpoint, requests, _ = hub
    file = load_dataset_file("hf://team/set#pairs/evil", max_bytes=1000, endpoint=endpoint)
    assert (file.path, file.data) == ("data/one.csv", FILES["data/one.csv"])
    assert not [path for path in requests if "two.csv" in path]


def test_a_revision_is_asked_for_by_name(hub):
    endpoint, requests, _ = hub
    file = load_dataset_file(f"hf://datasets/team/set@{COMMIT}#data/two.csv", max_bytes=1000, endpoint=endpoint)
    assert file.data == FILES["data/two.csv"]
    assert any(COMMIT in path for path in requests)


def test_a_file_above_the_limit_is_not_downloaded(hub):
    endpoint, requests, _ = hub
    with pytest.raises(TooLargeError, match=r"data/one\.csv of the dataset team/set has 24 bytes; the limit is 10"):
        load_dataset_file("hf://team/set#data/one.csv", max_bytes=10, endpoint=endpoint)
    assert not [path for path in requests if path.endswith(".csv")]


def test_several_files_without_a_part_are_listed(hub):
    with pytest.raises(InputError, match=r"data/one\.csv, data/two\.csv; choose one"):
        load_dataset_file("hf://team/set", max_bytes=1000, endpoint=hub[0])


def test_an_unknown_dataset_is_not_found_on_one_line(hub):
    with pytest.raises(NotFoundError, match="the hub does not give the dataset team/other: ") as caught:
        load_dataset_file("hf://team/other", max_bytes=1000, endpoint=hub[0])
    assert "\n" not in caught.value.message


def test_offline_an_earlier_download_is_used_and_anything_else_is_not_found(hub):
    endpoint, _, server = hub
    first = load_dataset_file("hf://team/set#pairs/evil", max_bytes=1000, endpoint=endpoint)
    server.shutdown()
    server.server_close()
    assert load_dataset_file("hf://team/set#pairs/evil", max_bytes=1000, endpoint=endpoint) == first
    assert load_dataset_file(f"hf://team/set@{COMMIT}#data/one.csv", max_bytes=1000, endpoint=endpoint) == first
    with pytest.raises(
        NotFoundError, match="is not in the local cache and the hub cannot be reached; connect once, or"
    ):
        load_dataset_file("hf://team/other", max_bytes=1000, endpoint=endpoint)


def test_offline_without_any_cache_is_not_found(hub):
    endpoint, _, server = hub
    server.shutdown()
    server.server_close()
    with pytest.raises(NotFoundError, match="the dataset team/set at revision v2 is not in the local cache"):
        load_dataset_file("hf://team/set@v2", max_bytes=1000, endpoint=endpoint)
