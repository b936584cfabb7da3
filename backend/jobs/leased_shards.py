"""The shards of one attempt at a run: files in the run's folder, receipts in the application database.

A shard is computed only while the attempt is the run's newest, and put in its place in the transaction that asks so
once more and notes its sha256. Whoever goes on with the run after a kill finds file and receipt, reads it, and computes
what is missing: at most the one shard that was in work.
"""

from collections.abc import Callable
from pathlib import Path

import structlog

from analysis.shards import FolderShards, Shard
from backend.services import Attempts
from backend.settings import Settings

log = structlog.get_logger(__name__)


class LeasedShards:
    """The store of attempt `attempt` at a run. `once` raises RunLostError as soon as another worker has the run."""

    def __init__(self, attempts: Attempts, run_id: str, attempt: int, folder: Path) -> None:
        self._attempts = attempts
        self._run_id = run_id
        self._attempt = attempt
        self._files = FolderShards(folder, damaged=_warn)
        attempts.check(run_id, attempt)
        self._files.clear_drafts()
        self._receipts = attempts.receipts(run_id)

    def once(self, key: str, compute: Callable[[], Shard]) -> Shard:
        stored, receipt = self._files.read(key), self._receipts.get(key)
        if stored is not None and receipt == stored.sha256:
            return stored
        if stored is not None and receipt is None:  # a kill fell between the file and its receipt
            self._attempts.keep(self._run_id, self._attempt, key, stored.sha256)
            return stored
        if stored is not None:
            _warn(key, "it is not the one that was recorded when it was stored")
        self._attempts.check(self._run_id, self._attempt)
        log.debug("shard begun", shard=key)
        shard = compute()
        with self._files.draft(key, shard) as put:
            self._attempts.keep(self._run_id, self._attempt, key, shard.sha256, put)
        log.debug("shard kept", shard=key)
        return shard


def shard_folder(settings: Settings, run_id: str) -> Path:
    """Where the shards of a run lie."""
    return settings.run_dir(run_id) / "shards"


def _warn(key: str, reason: str) -> None:
    log.warning("damaged shard is computed again", shard=key, reason=reason)
