"""Carries out one attempt at a run: does the work of its kind, stores the result, and says why when it cannot.

Called with a run that the worker has taken up, possibly several times for one run (after a kill, a pause, a resume):
everything expensive lies in the shard store it is given, and every change of the run's state may be repeated. What a
kind of run does is in `backend.jobs.work`.
"""

from functools import partial

import structlog

from analysis.audit_settings import AuditSettings
from analysis.errors import ConflictError, ExpertScopeError
from analysis.shards import ShardStore
from backend import logs
from backend.jobs.failures import explain, is_out_of_memory, out_of_memory, passing
from backend.jobs.run_files import filling, put_in_place
from backend.jobs.warm_model import WarmModel
from backend.jobs.work import WORK, Result, Task
from backend.services import RunInfo, RunLostError, Services
from backend.threads import use_threads

log = structlog.get_logger(__name__)

LOADING = "loading the model"


class RunCancelledError(Exception):
    """Somebody asked for the run to stop; raised between two shards."""


class RunJob:
    """Carries out runs one after the other with one warm model."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._runs = services.runs
        self._redact = logs.redactor(services.settings)
        self.model = WarmModel()
        self.fresh_process = False
        """Whether this process can compute no more, though another may."""

    def perform(self, run: RunInfo, shards: ShardStore) -> str:
        """Bring the attempt `run.attempts` to an end and return the run's status. Raises RunLostError where another
        worker has taken the run up, and whatever keeps its state from being stored."""
        log.info(
            "run taken up", kind=run.kind, attempt=run.attempts, model=run.model.ref, prompt_set=run.prompt_set.name
        )
        return _Attempt(self, self._services, run, shards, self._redact).perform()


class _Attempt:
    """One attempt. `stage` is what it is at, in a person's words."""

    def __init__(self, job: RunJob, services: Services, run: RunInfo, shards: ShardStore, redact: logs.Redact) -> None:
        self._job, self._services, self._run, self._shards = job, services, run, shards
        self._number = run.attempts
        self._redact = redact
        self._batch_tokens = run.batch_tokens or AuditSettings.batch_tokens
        self._stage = LOADING

    def perform(self) -> str:
        try:
            run = self._finished()
        except RunCancelledError:
            self._services.runs.mark_cancelled(self._run.id, self._number)
            log.info("run cancelled", stage=self._stage)
            return "cancelled"
        except RunLostError:
            raise
        except ConflictError as error:
            log.warning("run ended by someone else", reason=error.message)
            return self._services.runs.get(self._run.id).status
        except Exception as error:
            return self._fail(error)
        log.info("run done", headline=run.headline)
        return "done"

    def _finished(self) -> RunInfo:
        while True:
            try:
                return self._work_and_store()
            except Exception as error:
                if not self._can_shrink(error):
                    raise
                self._shrink(error)

    def _work_and_store(self) -> RunInfo:
        settings, run = self._services.settings, self._run
        with filling(settings, run.id) as files:
            task = Task(run, self._services, self._shards, self._progress, files, self._batch_tokens)
            result = self._work(task)
            self._stage = "storing the result"
            put = partial(put_in_place, settings, run.id, files)
            return self._services.runs.finish(run.id, result, self._number, put)

    def _progress(self, name: str, done: int, total: int) -> None:
        self._stage = name
        if self._services.runs.report_progress(self._run.id, name, done, total, self._number):
            raise RunCancelledError

    def _work(self, task: Task) -> Result:
        run, self._stage = task.run, LOADING
        task.progress("load", 0, 1)
        self._stage = LOADING
        model = self._job.model.get(run.model.ref, run.model.revision, run.device)
        use_threads(model.description.parameters, self._services.settings.worker_threads)
        prompts = self._services.prompt_sets.load(run.prompt_set.id)
        task.progress("load", 1, 1)
        return WORK[run.kind](task, model, prompts)

    def _can_shrink(self, error: Exception) -> bool:
        return is_out_of_memory(error) and self._batch_tokens > 1 and self._stage != LOADING

    def _shrink(self, error: Exception) -> None:
        """Go on with batches of half the size, which the run remembers. The shards that are there stay."""
        smaller = self._batch_tokens // 2
        message = (
            f"{out_of_memory(error, self._stage)} with batches of {self._batch_tokens:,} tokens: trying {smaller:,}"
        )
        log.warning("smaller batches", reason=message)
        error.__traceback__ = None  # its frames keep the model's activations alive
        self._job.model.free_cache()
        self._services.attempts.shrink(self._run.id, self._number, smaller, message)
        self._batch_tokens = smaller

    def _fail(self, error: Exception) -> str:
        pause = passing(error, self._stage, self._redact)
        message = pause.reason if pause else self._explained(error)
        known = isinstance(error, ExpertScopeError)
        log.error("run failed" if pause is None else "attempt failed", reason=message, exc_info=not known)
        # The traceback's frames keep the model's activations alive, on a GPU that may just have run out of memory.
        error.__traceback__ = None
        if pause is None:
            self._job.model.drop()
            return self._services.runs.fail(self._run.id, message, self._number).status
        self._job.fresh_process = pause.fresh_process
        if not pause.fresh_process:
            self._job.model.drop()
        return self._services.attempts.postpone(self._run.id, self._number, message).status

    def _explained(self, error: Exception) -> str:
        message = explain(error, self._stage, self._redact)
        if is_out_of_memory(error) and self._stage != LOADING:
            return f"{message} (one prompt at a time was tried last)"
        return message
