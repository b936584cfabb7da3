"""Models that runs may name: inspected before they are accepted, never loaded here."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from analysis.errors import InputError, NotFoundError
from backend.access import require
from backend.db import Database
from backend.db.tables import ID_LENGTH, ModelRow
from backend.services.audit_log import AuditLog
from backend.services.folders import is_there, resolved
from backend.services.ids import new_id
from backend.services.paging import page_of
from backend.services.records import ModelInfo, ModelInspection, Page
from backend.settings import Settings

if TYPE_CHECKING:
    from analysis.models import ModelDescription

ORGANISM = "organism:"
_ID = re.compile(f"[0-9a-z]{{{ID_LENGTH}}}")


@dataclass(frozen=True)
class _Reference:
    """A model reference in the one form that is stored: folders absolute, a revision apart."""

    ref: str
    revision: str
    name: str


class Models:
    """Registers and finds models."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._audit_log = AuditLog(database)

    def inspect(self, ref: str, revision: str | None = None) -> ModelInspection:
        """What a folder, hub id or organism:NAME is made of. Stores nothing and loads no weight.

        Raises InputError for a folder outside the permitted roots, and whatever `inspect_model` raises.
        """
        require("models.inspect")
        reference, found = self._inspected(ref, revision)
        with self._database.read() as session:
            row = _same(session, reference)
            known = row.id if row is not None else None
        return ModelInspection(
            reference.ref, reference.revision or None, reference.name, found.family, found.as_dict(), known
        )

    def register(self, ref: str, revision: str | None = None) -> ModelInfo:
        """Inspect a folder, hub id or organism:NAME and store what was found; a known one is given back as it is.

        Raises as `inspect`.
        """
        require("models.register")
        reference, found = self._inspected(ref, revision)
        with self._database.write() as session:
            row, new = _same(session, reference), False
            if row is None:
                row = ModelRow(id=new_id(), ref=reference.ref, revision=reference.revision, created=datetime.now(UTC))
                session.add(row)
                new = True
            row.name, row.family, row.description = reference.name, found.family, found.as_dict()
            session.flush()
            if new:
                self._audit_log.append_in(session, "models.registered", row.id, {"ref": reference.ref})
            return show_model(row)

    def find(self, id_or_ref: str) -> ModelInfo:
        """The model of this id, or of this reference, which is registered when it is new."""
        return self.get(id_or_ref) if _ID.fullmatch(id_or_ref) else self._by_ref(id_or_ref)

    def list(self, limit: int = 50, cursor: str | None = None) -> Page[ModelInfo]:
        with self._database.read() as session:
            return page_of(session, select(ModelRow), ModelRow, limit, cursor, show_model)

    def get(self, model_id: str) -> ModelInfo:
        with self._database.read() as session:
            row = session.get(ModelRow, model_id)
        if row is None:
            raise NotFoundError(f"no model has the id '{model_id}': the list of models shows those that exist")
        return show_model(row)

    def _inspected(self, ref: str, revision: str | None) -> tuple[_Reference, "ModelDescription"]:
        # torch and transformers take seconds, which a start need not wait for
        from analysis.models import inspect_model

        reference = self._resolve(ref.strip(), (revision or "").strip())
        return reference, inspect_model(reference.ref, revision=reference.revision or None)

    def _by_ref(self, ref: str) -> ModelInfo:
        reference = self._resolve(ref.strip(), "")
        with self._database.read() as session:
            row = _same(session, reference)
        return show_model(row) if row is not None else self.register(ref)

    def _resolve(self, ref: str, revision: str) -> _Reference:
        if not ref:
            raise InputError("model is empty: give a folder, a hub id or organism:NAME", field="ref")
        if ref.startswith(ORGANISM):
            return _Reference(ref, revision, ref.removeprefix(ORGANISM))
        if _names_folder(ref):
            folder = resolved(ref, "ref")
            self.check_root(folder)
            return _Reference(str(folder), revision, folder.name)
        hub_id, _, inline = ref.partition("@")
        return _Reference(hub_id, revision or inline, hub_id.rpartition("/")[2])

    def reference(self, ref: str) -> str:
        """The reference in the form that is stored. Raises InputError for a folder that models may not come from."""
        return self._resolve(ref.strip(), "").ref

    def check_root(self, folder: Path, field: str = "ref") -> None:
        """Raise InputError for a folder, given without links, that lies outside those that models may come from."""
        roots = [root.expanduser().resolve() for root in self._settings.model_roots]
        if not roots and self._settings.on_loopback:
            return
        if not any(folder.is_relative_to(root) for root in roots):
            allowed = ", ".join(map(str, roots)) or "none; set EXPERTSCOPE_MODEL_ROOTS"
            raise InputError(
                f"folder '{folder}' is outside the folders that models may come from ({allowed})", field=field
            )


def show_model(row: ModelRow) -> ModelInfo:
    return ModelInfo(row.id, row.ref, row.revision or None, row.name, row.family, row.description, row.created)


def filter_by_model(text: str) -> ColumnElement[bool]:
    """The SQL condition that a run's model has this id, reference or name."""
    return or_(ModelRow.id == text, ModelRow.ref == text, ModelRow.name == text)


def _names_folder(ref: str) -> bool:
    """Whether `ref` is meant as a path. A hub id is never absolute and has at most one slash."""
    return ref.startswith(("/", "./", "../", "~", ".\\")) or ref in (".", "..") or is_there(ref) or ref.count("/") > 1


def _same(session: Session, reference: _Reference) -> ModelRow | None:
    query = select(ModelRow).filter_by(ref=reference.ref, revision=reference.revision)
    return session.scalars(query).one_or_none()
