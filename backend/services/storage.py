"""What happens to a run after it has ended: it is deleted, archived, brought back, or loses the shards that nobody
needs any more."""

import shutil
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from backend.access import require
from backend.db import Database
from backend.db.tables import RunRow
from backend.services.audit_log import AuditLog
from backend.services.documents import Documents
from backend.services.integrity import DELETED, Integrity, StoredFault
from backend.services.records import ENDED
from backend.services.results import Results
from backend.services.run_rows import conflict, lock
from backend.settings import Settings


class Storage:
    """Deletes and sweeps."""

    def __init__(
        self, database: Database, settings: Settings, results: Results, documents: Documents, audit_log: AuditLog
    ) -> None:
        self._database = database
        self._settings = settings
        self._results = results
        self._documents = documents
        self._audit_log = audit_log
        self._integrity = Integrity(database, settings)

    def delete(self, run_id: str) -> None:
        """Delete a run that has ended, with everything of it: result, answers, labels, events, files and shards.

        Raises NotFoundError for an unknown run, ConflictError for one that waits or runs, ForbiddenError for a viewer.
        """
        require("runs.write")
        with self._database.write() as session:
            row = lock(session, run_id)
            if row.status not in ENDED:
                raise conflict(row, "deleted", "done, failed or cancelled: cancel it first")
            details = {"kind": row.kind, "name": row.name, "status": row.status}
            session.delete(row)
            self._audit_log.append_in(session, DELETED, run_id, details)
        self._results.forget()
        self._documents.forget()
        # Whatever a kill leaves of the folder now is an orphan that the worker sweeps away.
        shutil.rmtree(self._settings.run_dir(run_id), ignore_errors=True)

    def faults(self) -> list[StoredFault]:
        """Everything stored that is not as it has to be."""
        return [*self._integrity.faults()]

    def repair(self) -> list[StoredFault]:
        """Delete what can be made again or belongs to nothing; what was deleted."""
        return self._integrity.repair()

    def sweep(self) -> int:
        """What the worker does once an hour: orphans, shards past their time, and pages of the database that still hold
        what was deleted. Returns how many things were deleted."""
        count = len(self._integrity.sweep()) + self._forget_shards()
        self._database.truncate_journal()
        return count

    def _forget_shards(self) -> int:
        """Delete the shards of runs that were done longer ago than the settings keep them. Results stay whole."""
        days = self._settings.retention_days
        if not days:
            return 0
        before = datetime.now(UTC) - timedelta(days=days)
        query = select(RunRow.id).where(RunRow.status == "done", RunRow.finished < before)
        with self._database.read() as session:
            old = [*session.scalars(query)]
        folders = [self._settings.run_dir(run_id) / "shards" for run_id in old]
        there = [folder for folder in folders if folder.is_dir()]
        for folder in there:
            shutil.rmtree(folder, ignore_errors=True)
        return len(there)
