"""Writes and reads archives of runs: the service that routes, pages and the command line call."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from analysis.errors import ConflictError, ExpertScopeError, ForbiddenError, InputError
from backend.access import require
from backend.db import Database, known_revisions
from backend.db.tables import ID_LENGTH, ModelRow, PromptRow, PromptSetRow, RunRow
from backend.services.archives.content import FILES, ArchivedRun, document_name, pack_run, revision_of
from backend.services.archives.packing import Packer, Unpacker
from backend.services.audit_log import AuditLog
from backend.services.content import Content
from backend.services.documents import FILES as LEFT
from backend.services.documents import Documents
from backend.services.ids import new_id
from backend.services.models import Models
from backend.services.records import RunInfo
from backend.services.results import not_ready
from backend.services.run_files import files_folder, pieces_of, record_files
from backend.services.run_rows import find, show_run
from backend.settings import Settings

_ID = re.compile(f"[0-9a-z]{{1,{ID_LENGTH}}}")
FOREIGN = "imported:"
"""Before the name of a model whose folder is on another machine: its runs are shown, and nothing loads it."""


class Archives:
    """Finished runs as files."""

    def __init__(
        self, database: Database, settings: Settings, models: Models, documents: Documents, audit_log: AuditLog
    ) -> None:
        self._database = database
        self._settings = settings
        self._models = models
        self._documents = documents
        self._audit_log = audit_log

    def write(self, run_id: str, target: Path) -> None:
        """Write the archive of a finished run; it appears whole or not at all.

        Raises NotFoundError for an unknown run, ConflictError for one that is not done or where `target` exists,
        DamagedError for a run whose files are not what they were.
        """
        if target.exists():
            raise ConflictError(f"'{target.name}' exists: choose a new name")
        if not target.absolute().parent.is_dir():
            raise InputError(f"there is no folder '{target.parent}' to write the archive into: make it first")
        with _draft(target.absolute()) as file:
            self._pack(run_id, file)

    def read_out(self, run_id: str) -> IO[bytes]:
        """The same as an open temporary file, at its beginning, which is gone once it is closed. Raises as `write`, and
        ForbiddenError where the server hides what every archive holds."""
        content = Content(self._settings)
        if not (content.shows_prompts and content.shows_completions):
            raise ForbiddenError(
                "an archive holds prompts and answers, which this server hides: 'expertscope runs export' makes it on "
                "the server's machine"
            )
        file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        try:
            self._pack(run_id, file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def read(self, source: Path) -> RunInfo:
        """Store the run of an archive. Raises as `read_from`."""
        with source.open("rb") as file:
            return self.read_from(file)

    def read_from(self, source: IO[bytes]) -> RunInfo:
        """Store the run of an archive, under a new id where its own is taken; all of it or nothing.

        Raises InputError that names the fault, TooLargeError for more than the settings allow, ConflictError for an
        archive of a newer version.
        """
        require("runs.write")
        archive = Unpacker(source, self._settings.archive_limit_bytes)
        if archive.manifest.revision not in known_revisions():
            raise ConflictError(
                f"the archive is of ExpertScope {archive.manifest.expertscope} with the schema "
                f"'{archive.manifest.revision}', which this version does not know: use a newer one"
            )
        found = ArchivedRun(archive, self._settings.max_prompts)
        run_id = self._free_id(found.run["id"])
        try:
            run = self._store(found, run_id)
        except BaseException:
            self._remove_files(run_id)
            raise
        details = {"kind": run.kind, "name": run.name, "archived_as": found.run["id"]}
        self._audit_log.append("runs.imported", run_id, details)
        return run

    def _pack(self, run_id: str, target: IO[bytes]) -> None:
        with Packer(target) as packer:
            with self._database.read() as session:
                run = find(session, run_id)
                if run.status != "done":
                    raise not_ready(run)
                kind = run.kind
                pack_run(session, run, packer)
                revision = revision_of(session)
            for name in LEFT.get(kind, ()):
                if self._documents.has_file(run_id, name):
                    packer.add(f"{FILES}/{name}", pieces_of(self._documents.file(run_id, name)))
            packer.finish(revision, document_name(kind))

    def _free_id(self, run_id: str) -> str:
        """The archive's own id where it is one, and free in the database and on disk. Its folder is there afterwards,
        so that nobody else takes the id meanwhile."""
        with self._database.read() as session:
            taken = session.get(RunRow, run_id) is not None
        free = _ID.fullmatch(run_id) is not None and not taken
        for one in (*([run_id] if free else []), new_id()):
            try:
                self._settings.run_dir(one).mkdir(parents=True)
            except FileExistsError:
                continue
            return one
        raise ConflictError("no id is free for this run: import it again")

    def _store(self, found: ArchivedRun, run_id: str) -> RunInfo:
        self._write_files(found, run_id)
        with self._database.write() as session:
            own = {"id": run_id, "model_id": self._model(session, found), "prompt_set_id": _prompt_set(session, found)}
            session.execute(insert(RunRow), [found.run | own | {"cancel_requested": False}])
            for table, rows in found.rows(run_id):
                if rows:
                    session.execute(insert(table), rows)
            record_files(session, self._settings, run_id)
            session.flush()
            return show_run(find(session, run_id))

    def _write_files(self, found: ArchivedRun, run_id: str) -> None:
        folder = files_folder(self._settings, run_id)
        for name, data in found.files():
            if name not in LEFT.get(found.run["kind"], ()):
                raise InputError(f"the archive holds '{name}', which no run of this kind leaves", field="file")
            folder.mkdir(parents=True, exist_ok=True)
            try:
                (folder / name).write_bytes(data)
            except OSError as fault:
                raise ExpertScopeError(f"'{name}' could not be written: {fault.strerror}") from fault

    def _remove_files(self, run_id: str) -> None:
        folder = files_folder(self._settings, run_id)
        for path in folder.glob("*") if folder.is_dir() else ():
            path.unlink(missing_ok=True)
        for empty in (folder, self._settings.run_dir(run_id)):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()

    def _model(self, session: Session, found: ArchivedRun) -> str:
        """The model of the archive's reference, known or new."""
        values = dict(found.model)
        known = _same_model(session, values["ref"], values["revision"])
        if known is None:
            values["ref"] = self._reference(values["ref"], values["name"])
            known = _same_model(session, values["ref"], values["revision"])
        if known is not None:
            return known
        if session.get(ModelRow, values["id"]) is not None:
            values["id"] = new_id()
        session.execute(insert(ModelRow), [values])
        return str(values["id"])

    def _reference(self, ref: str, name: str) -> str:
        """A folder's path must not slip past the folders that models may come from."""
        try:
            return self._models.reference(ref)
        except ExpertScopeError:
            return f"{FOREIGN}{name}"


def _same_model(session: Session, ref: str, revision: str) -> str | None:
    return session.scalar(select(ModelRow.id).filter_by(ref=ref, revision=revision))


def _prompt_set(session: Session, found: ArchivedRun) -> str:
    values: dict[str, Any] = dict(found.prompt_set)
    same = select(PromptSetRow.id).filter_by(sha256=values["sha256"], name=values["name"])
    known = session.scalar(same)
    if known is not None:
        return known
    if session.get(PromptSetRow, values["id"]) is not None:
        values["id"] = new_id()
    session.execute(insert(PromptSetRow), [values | {"source": "upload"}])
    session.execute(insert(PromptRow), [one | {"prompt_set_id": values["id"]} for one in found.prompts])
    return str(values["id"])


@contextmanager
def _draft(target: Path) -> Iterator[IO[bytes]]:
    """A file beside `target`, which takes its name when the block ends well."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.rename(file.name, target)
        finally:
            Path(file.name).unlink(missing_ok=True)
