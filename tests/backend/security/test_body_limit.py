"""Bodies that are too large, announced honestly, dishonestly or not at all, over a real connection."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI

from backend.main import create_app
from backend.services import Services
from backend.settings import Settings

LIMIT = 100_000
BODY_LIMIT = LIMIT * 4 // 3 + (1 << 20)


@pytest.fixture
def app(settings: Settings, services: Services) -> FastAPI:
    return create_app(settings.model_copy(update={"upload_limit_bytes": LIMIT}), services)


@pytest.fixture
def port(app: FastAPI) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def talk(port: int, head: str, chunks: Iterator[bytes]) -> bytes:
    """Send a raw request and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        start = (
            f"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
        )
        connection.sendall(start.encode())
        for chunk in chunks:
            connection.sendall(chunk)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


def chunked(total: int, size: int = 65_536) -> Iterator[bytes]:
    for _ in range(total // size + 1):
        yield f"{size:x}\r\n".encode() + b"x" * size + b"\r\n"
    yield b"0\r\n\r\n"


def test_a_body_that_announces_its_size_is_refused(port: int) -> None:
    size = BODY_LIMIT + 1
    answer = talk(port, f"Content-Length: {size}\r\nConnection: close", iter([b"x" * size]))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'{"error":{"code":"too_large"' in answer
    assert b"content-security-policy" in answer.lower()


def test_a_body_that_does_not_announce_its_size_is_counted(port: int) -> None:
    answer = talk(port, "Transfer-Encoding: chunked\r\nConnection: close", chunked(BODY_LIMIT + 1))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'{"error":{"code":"too_large"' in answer


def test_a_body_without_end_is_cut_off(port: int) -> None:
    """The server reads on for a while to be polite, then answers and closes."""

    def without_end() -> Iterator[bytes]:
        while True:
            yield b"10000\r\n" + b"x" * 65_536 + b"\r\n"

    with pytest.raises(OSError, match=r"[Rr]eset|[Bb]roken|[Aa]bort"):
        talk(port, "Transfer-Encoding: chunked", without_end())


def test_a_client_that_asks_first_need_not_send(port: int) -> None:
    head = f"Content-Length: {BODY_LIMIT + 1}\r\nExpect: 100-continue\r\nConnection: close"
    answer = talk(port, head, iter([]))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_within_the_limit_passes(port: int) -> None:
    body = b'{"model": "' + b"m" * LIMIT + b'"}'
    answer = talk(port, f"Content-Length: {len(body)}\r\nConnection: close", iter([body]))
    assert answer.startswith(b"HTTP/1.1 422")
