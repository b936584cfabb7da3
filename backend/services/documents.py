"""The results of runs that are no audits: one document each, and the files that belong to it."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from analysis.errors import NotFoundError
from analysis.outcomes.transitions import Transitions
from backend.db import Database
from backend.db.tables import RunDocumentRow, RunFileRow, RunRow
from backend.services.answer_changes import document_changes
from backend.services.results import not_ready
from backend.services.run_files import files_folder, verify_file
from backend.services.run_rows import find
from backend.services.stored_result import unpack_report
from backend.settings import Settings

NAMES = {"trace": "trace.json", "mask": "mask.json", "detect": "detector.json", "tune": "tune.json"}
"""What the document of each kind is called, on the command line as here."""
DETECTOR_FILE = "detector.safetensors"
FILES = {"detect": (DETECTOR_FILE,), "tune": ("adapter.zip",)}
"""What a run of each kind may leave beside its document."""
_KEPT = 4


class Documents:
    """Reads documents. Every method raises NotFoundError for an unknown run, ConflictError for one without a result.

    A document never changes once it is there, so the last few stay unpacked; nobody may change what comes back.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._unpacked = lru_cache(maxsize=_KEPT)(self._read)

    def get(self, run_id: str) -> dict[str, Any]:
        """The run's document, whatever its kind. Raises NotFoundError for an audit, whose result is a report."""
        return self._unpacked(run_id)

    def answer_tables(self, run_id: str) -> dict[str, Transitions] | None:
        """Labels of the answers before by after, for harmful and benign prompts; None where the document lists none."""
        answers = self.get(run_id).get("answers")
        if not isinstance(answers, list) or not answers:
            return None
        with self._database.read() as session:
            return document_changes(session, find(session, run_id), answers)

    def named(self, run_id: str, name: str) -> dict[str, Any]:
        """The document under its own name, such as mask.json. Raises NotFoundError for a run of another kind."""
        with self._database.read() as session:
            run = find(session, run_id)
        own = NAMES.get(run.kind, "report.json")
        if own != name:
            raise NotFoundError(f"run '{run_id}' is of kind {run.kind} and has no {name}: its result is {own}")
        return self.get(run_id)

    def file(self, run_id: str, name: str) -> Path:
        """A file that the run left beside its document. Raises NotFoundError for one that it did not, DamagedError for
        one that is no longer what it was when the run ended."""
        with self._database.read() as session:
            run, written = find(session, run_id), session.get(RunFileRow, (run_id, name))
            if run.status != "done":
                raise not_ready(run)
        path = files_folder(self._settings, run_id) / name
        if name not in FILES.get(run.kind, ()) or not path.is_file():
            raise NotFoundError(f"run '{run_id}' left no {name}")
        if written is not None:
            verify_file(written, path)
        return path

    def forget(self) -> None:
        """Drop what is kept unpacked: a run was deleted, and its id may come back with another document."""
        self._unpacked.cache_clear()

    def has_file(self, run_id: str, name: str) -> bool:
        return (files_folder(self._settings, run_id) / name).is_file()

    def _read(self, run_id: str) -> dict[str, Any]:
        with self._database.read() as session:
            row = session.get(RunDocumentRow, run_id)
            if row is None:
                raise _without_document(find(session, run_id))
            return unpack_report(row.document)


def _without_document(run: RunRow) -> Exception:
    if run.kind == "audit" and run.status == "done":
        return NotFoundError(f"run '{run.id}' is an audit: its result is report.json")
    return not_ready(run)
