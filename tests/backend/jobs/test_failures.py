"""The one line that a person reads when a run has failed."""

import errno
import sqlite3

import pytest
import torch
from sqlalchemy.exc import OperationalError

from analysis.errors import ModelError
from backend.jobs.failures import explain


def line(error: BaseException) -> str:
    text = explain(error, "capture", lambda text: text.replace("/secret/", "…/"))
    assert "\n" not in text
    return text


def test_an_error_of_our_own_speaks_for_itself() -> None:
    assert line(ModelError("no config.json in /secret/model")) == "no config.json in …/model"


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("Tried to allocate 20.00 GiB"), RuntimeError("CUDA out of memory. Tried to allocate")],
    ids=["class", "text"],
)
def test_gpu_memory_is_named_with_what_to_do(error: Exception) -> None:
    text = line(error)
    assert text.startswith("the GPU ran out of memory during capture")
    assert "choose a smaller preset" in text


def test_a_tensor_larger_than_the_machine_is_named() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(2**45, dtype=torch.float64)
    assert line(caught.value).startswith("the machine ran out of memory during capture")


def test_a_full_disk_is_named() -> None:
    assert "disk of the data folder is full" in line(OSError(errno.ENOSPC, "No space left on device"))


def test_anything_else_keeps_its_name_and_loses_its_paths() -> None:
    text = line(ValueError("bad value\nin /secret/file"))
    assert text == "unexpected ValueError during capture: bad value in …/file; the worker's log says where"


def test_a_full_or_locked_database_says_what_to_do() -> None:
    full, locked = sqlite3.OperationalError("database or disk is full"), sqlite3.OperationalError("database is locked")
    full.sqlite_errorcode, locked.sqlite_errorcode = sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY
    for original, expected in ((full, "the disk of the database is full"), (locked, "the database is locked by")):
        line = explain(OperationalError("insert …", {}, original), "capture", str)
        assert line.startswith(expected)
        assert line.endswith("(capture was in progress); then resume the run")
        assert "insert" not in line
