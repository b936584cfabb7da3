"""How the installation is doing: what is reachable, what waits, how much is stored, and what it runs with.

The API and the admin page show the same record. Everything is measured in a bounded way: a folder with a million
shards makes the answer incomplete, which it says, and never slow.
"""

import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from analysis.errors import NotReadyError
from backend.access import require
from backend.db import Database
from backend.db.tables import ModelRow, PromptRow, PromptSetRow
from backend.services.records import RunInfo
from backend.services.runs import Runs
from backend.services.sizes import database_bytes, folder_size, free_bytes
from backend.services.workers import WorkerInfo, Workers
from backend.settings import Settings

SHOWN_RUNS = 50
LOW_DISK = 1_000_000_000
PACKAGES = ("expertscope", "torch", "transformers", "peft", "fastapi", "dash", "sqlalchemy", "weasyprint")
HIDDEN = "set, not shown"
_SECRET_NAME = re.compile(r"secret|token|password|_key$")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")


@dataclass(frozen=True)
class Queue:
    """Runs in progress and those that wait, the next one first; `count` waiting runs in all."""

    running: list[RunInfo]
    waiting: list[RunInfo]
    count: int


@dataclass(frozen=True)
class Storage:
    """Sizes in bytes. `runs_complete` is false where there are more files than were looked at, so that `runs_bytes` is
    a lower bound. `free_bytes` is what the disk of the data folder has left."""

    data_dir: str
    database: str
    database_bytes: int | None
    runs_bytes: int
    runs_complete: bool
    free_bytes: int | None
    runs: int
    prompt_sets: int
    prompts: int
    models: int


@dataclass(frozen=True)
class SettingInForce:
    """One setting: its environment variable, the value in force as text (never a secret), whether that is the default,
    and what it is for."""

    name: str
    value: str
    default: bool
    description: str


@dataclass(frozen=True)
class StatusReport:
    """Everything that whoever runs the installation asks first. `problems` are sentences, empty when all is well.
    `worker` is the one heard last, `workers` are all that were heard lately."""

    time: datetime
    problems: list[str]
    worker: WorkerInfo | None
    workers: list[WorkerInfo]
    queue: Queue
    storage: Storage
    settings: list[SettingInForce]
    software: dict[str, str]
    cpus: int


class Status:
    """Reads the state of the installation; changes nothing."""

    def __init__(self, database: Database, settings: Settings, runs: Runs, workers: Workers) -> None:
        self._database = database
        self._settings = settings
        self._runs = runs
        self._workers = workers

    def read(self) -> StatusReport:
        """Raises NotReadyError where the database does not answer, ForbiddenError for whoever may not see settings."""
        require("status.read")
        try:
            worker, queue, storage = self._workers.latest(), self._queue(), self._storage()
        except SQLAlchemyError as fault:
            raise NotReadyError("the database does not answer: look at the server's log", field="database") from fault
        return StatusReport(
            time=datetime.now(UTC),
            problems=_problems(worker, storage),
            worker=worker,
            workers=self._workers.list(),
            queue=queue,
            storage=storage,
            settings=settings_in_force(self._settings),
            software=_software(),
            cpus=_cpus(),
        )

    def _queue(self) -> Queue:
        running, waiting = self._runs.list(status="running", limit=SHOWN_RUNS).items, self._runs.queued()
        return Queue(running, waiting[:SHOWN_RUNS], len(waiting))

    def _storage(self) -> Storage:
        folder = self._settings.data_dir.absolute()
        used, complete = folder_size(folder / "runs")
        with self._database.read() as session:
            prompt_sets, prompts, models = (
                session.scalar(select(func.count()).select_from(table)) or 0
                for table in (PromptSetRow, PromptRow, ModelRow)
            )
        return Storage(
            data_dir=str(folder),
            database=make_url(self._settings.database).render_as_string(hide_password=True),
            database_bytes=database_bytes(self._database, self._settings),
            runs_bytes=used,
            runs_complete=complete,
            free_bytes=free_bytes(folder),
            runs=sum(self._runs.counts().values()),
            prompt_sets=prompt_sets,
            prompts=prompts,
            models=models,
        )


def settings_in_force(settings: Settings) -> list[SettingInForce]:
    """Every setting in the order of their documentation; a secret says only that it is set."""
    shown = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        default = value == field.get_default(call_default_factory=True)
        text_ = _text(name, value)
        shown.append(SettingInForce(f"EXPERTSCOPE_{name.upper()}", text_, default, field.description or ""))
    return shown


def _problems(worker: WorkerInfo | None, storage: Storage) -> list[str]:
    problems = []
    if worker is None:
        problems.append("No worker is running: runs wait until one is started with 'expertscope worker'.")
    elif not worker.alive:
        problems.append(
            f"The worker was last heard at {worker.seen:%Y-%m-%d %H:%M:%S} UTC: runs wait until one is started with "
            "'expertscope worker'; its log says why it stopped."
        )
    if storage.free_bytes is not None and storage.free_bytes < LOW_DISK:
        problems.append("The disk of the data folder has less than 1 GB left: make room before starting further runs.")
    return problems


def _text(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, SecretStr) or _SECRET_NAME.search(name):
        return HIDDEN
    if name == "database_url":
        return make_url(value).render_as_string(hide_password=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return _CREDENTIALS.sub("…@", str(value))


def _software() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpus() -> int:
    """Processors that this process may use, which a container may have fewer of than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
