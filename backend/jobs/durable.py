"""Durable execution of runs with DBOS, on an SQLite file of its own.

Each run is one workflow and each of its shards one step. DBOS remembers which steps are done and the shard's bytes lie
in the run's folder; a step's recorded output is only the shard's key and sha256. A worker that starts after a kill
finds the unfinished workflow and goes on from its last shard.

One process per data folder may open `Jobs`: the executor id is fixed, so a second one would take up the same runs.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID, WorkflowStatus

from analysis.shards import FolderShards, Shard, ShardStore
from backend.settings import Settings

log = structlog.get_logger(__name__)

EXECUTOR_ID = "worker"
MAX_RECOVERIES = 10
MAX_ERRORS = 3
_ALIVE = ["PENDING", "ENQUEUED", "DELAYED"]
_EXHAUSTED = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"

Perform = Callable[[str, ShardStore], str]


class Receipt(TypedDict):
    """What a step leaves in the job database."""

    key: str
    sha256: str


class DurableShards:
    """A shard store whose shards are steps of the workflow that is running in this thread."""

    def __init__(self, folder: Path) -> None:
        self._files = FolderShards(folder, damaged=_warn)

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        receipt = DBOS.run_step({"name": f"shard {key}"}, functools.partial(self._keep, key, compute))
        shard = self._files.read(key)
        if shard is not None and shard.sha256 == receipt["sha256"]:
            return shard
        if shard is not None:
            _warn(key, "it is not the one that was recorded when it was stored")
        # The step is done and will not run again, so a shard that was lost since is made here.
        shard = compute()
        self._files.write(key, shard)
        return shard

    def _keep(self, key: str, compute: Callable[[], Shard]) -> Receipt:
        return Receipt(key=key, sha256=self._files.once(key, compute).sha256)


class Jobs:
    """The workflows of this data folder. `perform` is called in a thread of DBOS with a run's id and shard store."""

    def __init__(self, settings: Settings, perform: Perform) -> None:
        self.version = f"expertscope-{version('expertscope')}"
        DBOS(config=_configuration(settings, self.version))

        @DBOS.workflow(name="run", max_recovery_attempts=MAX_RECOVERIES)
        def workflow(run_id: str) -> str:
            return perform(run_id, DurableShards(shard_folder(settings, run_id)))

        self._workflow = workflow
        DBOS.launch()
        self._cancel_foreign()

    def start(self, run_id: str) -> None:
        """Begin a workflow for the run; one that exists from before is never begun twice."""
        with SetWorkflowID(f"{run_id}.{len(self._history(run_id)) + 1}"):
            DBOS.start_workflow(self._workflow, run_id)

    def busy(self) -> bool:
        """Whether some workflow is running or waits to be recovered."""
        return bool(DBOS.list_workflows(status=_ALIVE, app_version=self.version, load_input=False, load_output=False))

    def given_up(self, run_id: str) -> str | None:
        """Why no further attempt at this run makes sense; None when one does."""
        states = [workflow.status for workflow in self._history(run_id)]
        if states and states[-1] == _EXHAUSTED:
            return f"the worker died {MAX_RECOVERIES + 1} times during this run; too little memory is the usual cause"
        if states[-MAX_ERRORS:] == ["ERROR"] * MAX_ERRORS:
            return f"the worker could not store this run's state {MAX_ERRORS} times; its log says why"
        return None

    def close(self) -> None:
        """Let go of the database. A workflow that is running is left to the next start."""
        DBOS.destroy(destroy_registry=True)

    def _history(self, run_id: str) -> list[WorkflowStatus]:
        """The run's workflows, the oldest first."""
        return DBOS.list_workflows(workflow_id_prefix=f"{run_id}.", load_input=False, load_output=False)

    def _cancel_foreign(self) -> None:
        """Workflows of another version are never recovered; their runs are begun again, on the shards they have."""
        for workflow in DBOS.list_workflows(status=_ALIVE, load_input=False, load_output=False):
            if workflow.app_version != self.version:
                DBOS.cancel_workflow(workflow.workflow_id)


def shard_folder(settings: Settings, run_id: str) -> Path:
    """Where the shards of a run lie."""
    return settings.run_dir(run_id) / "shards"


def _configuration(settings: Settings, app_version: str) -> DBOSConfig:
    return DBOSConfig(
        name="expertscope",
        system_database_url=f"sqlite:///{settings.jobs_database}",
        application_version=app_version,
        executor_id=EXECUTOR_ID,
        serializer=DBOSPortableJSONSerializer(),  # the default is pickle, which whoever writes the file could abuse
        enable_otlp=False,
        log_level="WARNING",
    )


def _warn(key: str, reason: str) -> None:
    log.warning("damaged shard is computed again", shard=key, reason=reason)
