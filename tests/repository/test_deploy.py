"""The units and proxies of deploy/ start what exists, keep it locked in, and let through what the pages need."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml
from starlette.testclient import TestClient

from backend.cli import app
from backend.main import _BODY_OVERHEAD, create_app
from backend.settings import Settings

UNITS = ("expertscope-api.service", "expertscope-worker@.service")
# What each unit must not do without; `systemd-analyze security` weighs the same.
HARDENED = {
    "CapabilityBoundingSet": "",
    "LockPersonality": "true",
    "NoNewPrivileges": "true",
    "PrivateTmp": "true",
    "ProtectControlGroups": "true",
    "ProtectHome": "true",
    "ProtectKernelModules": "true",
    "ProtectKernelTunables": "true",
    "ProtectSystem": "strict",
    "RestrictNamespaces": "true",
    "RestrictSUIDSGID": "true",
    "StateDirectory": "expertscope",
    "SystemCallArchitectures": "native",
    "User": "expertscope",
}


def settings_of(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, repository: Path) -> Path:
    return repository / "deploy" / "systemd" / request.param


def test_a_unit_is_locked_in(unit: Path) -> None:
    found = settings_of(unit)
    assert {name: found.get(name) for name in HARDENED} == {name: [value] for name, value in HARDENED.items()}
    assert "@system-service" in found["SystemCallFilter"]


def test_a_unit_starts_a_command_that_exists_with_settings_that_exist(unit: Path) -> None:
    found = settings_of(unit)
    program, name, *options = found["ExecStart"][0].split()
    assert Path(program).name == "expertscope"
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    named = {one for one in options if one.startswith("-")}
    assert named <= {option for parameter in commands[name].params for option in parameter.opts}
    environment = dict(pair.split("=") for line in found["Environment"] for pair in line.split())
    known = {f"EXPERTSCOPE_{field.upper()}" for field in Settings.model_fields}
    assert {one for one in environment if one.startswith("EXPERTSCOPE_")} <= known
    assert environment["EXPERTSCOPE_DATA_DIR"] == f"/var/lib/{found['StateDirectory'][0]}"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_units(repository: Path, tmp_path: Path) -> None:
    """As they are, but for the place of the program, which has to exist."""
    paths = []
    for name in UNITS:
        text = (repository / "deploy" / "systemd" / name).read_text(encoding="utf-8")
        path = tmp_path / name.replace("@.", "@1.")
        path.write_text(text.replace("/opt/expertscope/bin/expertscope", sys.executable), encoding="utf-8")
        paths.append(path)
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    about_us = [line for line in done.stderr.splitlines() if "expertscope" in line]
    assert about_us == []


def largest_body() -> int:
    """The largest request that the server takes with its defaults: an upload from a page, four bytes for three."""
    return Settings().upload_limit_bytes * 4 // 3 + _BODY_OVERHEAD


def test_caddy_lets_through_what_the_server_takes(repository: Path) -> None:
    text = (repository / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    limit = re.search(r"max_size (\d+)MB", text)
    assert limit is not None
    assert int(limit[1]) * 1_000_000 >= largest_body()
    assert "reverse_proxy 127.0.0.1:8000 {" in text
    assert "flush_interval -1" in text
    assert "respond /metrics 404" in text
    assert text.count("{") == text.count("}")


def test_nginx_lets_through_what_the_server_takes(repository: Path) -> None:
    text = (repository / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    limit = re.search(r"client_max_body_size (\d+)m;", text)
    assert limit is not None
    assert int(limit[1]) * 1024**2 >= largest_body()
    directives = {" ".join(line.split()) for line in text.splitlines()}
    assert {
        "proxy_pass http://127.0.0.1:8000;",
        "proxy_http_version 1.1;",
        "proxy_buffering off;",
        "proxy_set_header Host $host;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $expertscope_connection;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "location = /metrics {",
    } <= directives
    # What a client sent is never passed on as if it were true.
    assert "$proxy_add_x_forwarded_for" not in text


def test_every_alert_asks_for_metrics_that_the_server_has(repository: Path, tmp_path: Path) -> None:
    rules = yaml.safe_load((repository / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 5
    with TestClient(create_app(Settings(data_dir=tmp_path)), base_url="http://127.0.0.1") as client:
        client.get("/healthz")
        offered = set(re.findall(r"^# TYPE (\S+)", client.get("/metrics").text, re.MULTILINE))
    for rule in alerts:
        named = set(re.findall(r"\bexpertscope_\w+", rule["expr"]))
        assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= offered, rule["alert"]
        assert named or "up{" in rule["expr"]
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_guide_names_every_metric(repository: Path, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data_dir=tmp_path)), base_url="http://127.0.0.1") as client:
        client.get("/healthz")
        offered = set(re.findall(r"^# TYPE (expertscope_\w+)", client.get("/metrics").text, re.MULTILINE))
    offered = {name for name in offered if not name.endswith("_created")}
    guide = (repository / "docs" / "operations.md").read_text(encoding="utf-8")
    assert offered == set(re.findall(r"`(expertscope_\w+)`", guide.partition("## Watch")[2].partition("## Upgrade")[0]))
