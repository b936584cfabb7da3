"""`expertscope users` and `expertscope audit-log`, as processes on a data folder of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backend.accounts import PASSWORD
from tests.conftest import ROOT


@pytest.fixture
def command(tmp_path: Path):
    def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "backend.cli", *arguments, "--data", str(tmp_path)],
            input=typed,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "EXPERTSCOPE_ACCOUNTS": "true"},
        )

    return run


def test_an_account_is_made_changed_and_leaves_its_trace(command) -> None:
    made = command("users", "add", "ada", "--role", "admin", typed=f"{PASSWORD}\n")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "ada is admin and can sign in\n")
    assert command("users", "add", "bob", typed=f"{PASSWORD}\n").returncode == 0
    changed = command("users", "change", "bob", "--role", "analyst", "--shut")
    assert changed.stderr == "bob is analyst, shut\n"
    listed = json.loads(command("users", "list", "--json").stdout)
    assert [(one["name"], one["role"], one["state"]) for one in listed] == [
        ("bob", "analyst", "shut"),
        ("ada", "admin", "open"),
    ]
    entries = [json.loads(line) for line in command("audit-log", "export").stdout.splitlines()]
    assert [one["action"] for one in entries] == [
        "users.created",
        "users.created",
        "users.role",
        "users.shut",
        "exports.audit_log",
    ]
    assert PASSWORD not in json.dumps(entries)
    verified = json.loads(command("audit-log", "verify", "--json").stdout)
    assert (verified["intact"], verified["entries"]) == (True, 5)
    assert verified["head"] == f"5:{entries[-1]['hash']}"
    assert command("audit-log", "verify", "--head", verified["head"]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "typed", "status", "said"),
    [
        (("users", "add", "ada"), "short\n", 1, "12 to 256 are taken"),
        (("users", "add", "a b"), f"{PASSWORD}\n", 1, "1 to 64 of a-z"),
        (("users", "add", "ada", "--role", "root"), "", 2, "root"),
        (("users", "change", "nobody", "--role", "admin"), "", 1, "there is no account 'nobody'"),
        (("users", "change", "ada"), "", 2, "give what to change"),
        (("audit-log", "verify", "--head", "nonsense"), "", 1, "expected ID:HASH"),
    ],
)
def test_what_cannot_be_done_is_one_line(command, arguments, typed: str, status: int, said: str) -> None:
    done = command(*arguments, typed=typed)
    assert done.returncode == status
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
