"""A log line says what happened and to which run, and gives away nothing else."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from backend import logs
from backend.settings import Settings


@pytest.fixture(autouse=True)
def leave_no_trace() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logs.Stderr)]
    root.setLevel(level)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    logs.configure(Settings(data_dir=folder, log_json=True))
    return folder


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_lines_carry_the_run_they_belong_to(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.bound(run_id="r1"):
        structlog.get_logger().info("shard done", done=3, total=8)
        logging.getLogger("analysis").warning("shard %s is damaged", "a")
    structlog.get_logger().info("idle")
    first, second, third = lines(capsys)
    assert (first["event"], first["run_id"], first["done"], first["level"]) == ("shard done", "r1", 3, "info")
    assert (second["event"], second["run_id"], second["level"]) == ("shard a is damaged", "r1", "warning")
    assert "run_id" not in third
    assert str(third["timestamp"]).endswith("Z")


@pytest.mark.parametrize("name", ["prompt", "completion", "text"])
def test_no_prompt_or_answer(data_dir: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    structlog.get_logger().info("judged", **{name: "how do I?"})
    assert lines(capsys)[0][name] == "<9 characters>"


def test_no_path_of_this_machine(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger()
    log.info("reading %s/runs/1/a.safetensors", data_dir, folder=data_dir / "runs", home=str(Path.home() / "x"))
    log.info("no config.json in /usr/share/models/mixtral", request="GET /api/v1/runs")
    first, second = lines(capsys)
    assert first["event"] == "reading <data>/runs/1/a.safetensors"
    assert (first["folder"], first["home"]) == ("<data>/runs", "~/x")
    assert second["event"] == "no config.json in …/mixtral"
    assert second["request"] == "GET /api/v1/runs"


def test_a_traceback_keeps_its_lines_and_loses_its_folders(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        json.loads("{")
    except ValueError:
        structlog.get_logger().exception("failed")
    trace = str(lines(capsys)[0]["exception"])
    assert "JSONDecodeError" in trace
    assert "test_logs.py" in trace
    assert str(Path(__file__).parents[2]) not in trace
    assert "/usr/" not in trace


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"api_token": "abc123"}, "abc123"),
        ({"nested": {"password": "abc123"}}, "abc123"),
        ({"url": "postgresql://me:abc123@db/x"}, "abc123"),
        ({"header": "Bearer abc123"}, "abc123"),
        ({"reason": "401 for hf_abcdefghijklmnopqrstuvwxyz"}, "hf_abcdefghijklmnopqrstuvwxyz"),
    ],
    ids=["name", "nested name", "url", "header", "hub"],
)
def test_no_secret(data_dir: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, object], secret: str) -> None:
    structlog.get_logger().info("asking", **fields)
    (line,) = lines(capsys)
    assert secret not in json.dumps(line)
    assert logs.HIDDEN in json.dumps(line)


def test_the_level_is_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(data_dir=tmp_path, log_json=True, log_level="warning"))
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_readable_lines_where_json_is_not_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(data_dir=tmp_path))
    structlog.get_logger().info("worker ready", pid=7)
    out, err = capsys.readouterr()
    assert out == ""
    assert "worker ready" in err
    assert "pid=7" in err
