"""Accounts: who may come in, what they may do, and the browsers they are signed in with.

There is nobody to ask when a server with accounts starts for the first time, so `set_up_code` gives a code that only
whoever started it sees; with it the first admin is made. The last active admin can neither be made less nor shut out.
"""

import re
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from analysis.errors import ConflictError, InputError, NotFoundError, UnauthorizedError
from backend.access import Principal, Role, acting_as, current, require
from backend.db import Database
from backend.db.tables import SessionRow, UserRow
from backend.services.audit_log import AuditLog
from backend.services.ids import new_id
from backend.services.paging import page_of
from backend.services.passwords import digest, fits, hash_password, is_dated
from backend.services.records import Page
from backend.services.throttle import Throttle
from backend.settings import Settings

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_WRONG = "name and password do not fit, or the account is shut: try again, or ask an admin"
_SET_UP, _UNKNOWN = "(set-up)", "(no such account)"
_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class UserInfo:
    """An account. `external` ones sign in at the identity provider and have no password here."""

    id: str
    name: str
    role: Role
    external: bool
    active: bool
    created: datetime
    seen: datetime | None
    sessions: int


@dataclass(frozen=True)
class SignedIn:
    """What the browser keeps (`token`, of which only a digest is stored), until when, and who it is."""

    token: str
    expires: datetime
    principal: Principal


class Accounts:
    """Accounts and their sessions. Every change is in the audit log, in the same transaction."""

    def __init__(self, database: Database, settings: Settings, audit_log: AuditLog) -> None:
        self._database, self._settings, self._audit_log = database, settings, audit_log
        self._throttle = Throttle(settings.sign_in_attempts)
        self._set_up = threading.Lock()
        self._code: str | None = None

    # --- the first one -------------------------------------------------------------------------------------------

    def empty(self) -> bool:
        """Whether nobody has an account yet."""
        with self._database.read() as session:
            return not session.scalar(select(func.count()).select_from(UserRow))

    def set_up_code(self) -> str | None:
        """The code that makes the first admin, the same for as long as the process lives; None once there is one."""
        with self._set_up:
            if not self.empty():
                return None
            self._code = self._code or secrets.token_urlsafe(12)
            return self._code

    def set_up(self, code: str, name: str, password: str, address: str = "") -> SignedIn:
        """Make the first admin and sign them in. Raises ConflictError where there is an account already,
        UnauthorizedError for another code."""
        self._throttle.check(_SET_UP, address)
        expected = self.set_up_code()
        if expected is None:
            raise ConflictError("there is an admin already: sign in, or ask them for an account")
        if not secrets.compare_digest(code.strip().encode(), expected.encode()):
            self._throttle.count(_SET_UP, address)
            raise UnauthorizedError("that is not the set-up code that the server printed when it started", field="code")
        with self._database.write() as session:
            if session.scalar(select(func.count()).select_from(UserRow)):
                raise ConflictError("there is an admin already: sign in, or ask them for an account")
            row = self._add(session, name, Role.ADMIN, hash_password(name, password))
            with acting_as(Principal(row.name, Role.ADMIN, "session", address, row.id)):
                self._audit_log.append_in(session, "users.created", row.name, {"role": row.role, "by": "set-up code"})
            return self._begin(session, row, address, "set-up")

    # --- coming and going ----------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str = "") -> SignedIn:
        """Raises UnauthorizedError where name and password do not fit, TooManyRequestsError after too many tries."""
        name = name.strip().lower()[:64]
        self._throttle.check(name, address)
        with self._database.read() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == name)).first()
        if not fits(row.password if row and row.active else None, password) or row is None:
            self._throttle.count(name, address)
            # Somebody may have typed a password where the name belongs: what is no account's name is not written down.
            tried = row.name if row else _UNKNOWN
            with acting_as(Principal(tried, Role.VIEWER, "session", address)):
                self._audit_log.append("sign_in.refused", tried)
            raise UnauthorizedError(_WRONG)
        self._throttle.forget(name, address)
        with self._database.write() as session:
            kept = session.get_one(UserRow, row.id)
            if kept.password and is_dated(kept.password):
                kept.password = hash_password(kept.name, password)
            return self._begin(session, kept, address, "password")

    def sign_in_external(self, issuer: str, subject: str, name: str, role: Role, address: str = "") -> SignedIn:
        """Sign in somebody whom the identity provider vouches for; an account is made at the first time.

        The provider decides the role each time. Raises UnauthorizedError for an account that an admin has shut.
        """
        with self._database.write() as session:
            query = select(UserRow).where(UserRow.issuer == issuer, UserRow.subject == subject)
            row = session.scalars(query).first()
            if row is None:
                row = self._add(session, self._free(session, name), role, None, issuer=issuer, subject=subject)
                with acting_as(Principal(row.name, role, "session", address, row.id)):
                    self._audit_log.append_in(session, "users.created", row.name, {"role": row.role, "by": issuer})
            if not row.active:
                raise UnauthorizedError("this account is shut: ask an admin")
            if row.role != role:
                with acting_as(Principal(row.name, role, "session", address, row.id)):
                    change = {"from": row.role, "to": role.value, "by": issuer}
                    self._audit_log.append_in(session, "users.role", row.name, change)
                row.role = role.value
            return self._begin(session, row, address, issuer)

    def principal(self, token: str, address: str = "") -> Principal | None:
        """Who a browser's token belongs to; None for one that is unknown, over or of an account that is shut."""
        now = datetime.now(UTC)
        query = (
            select(SessionRow, UserRow)
            .join(UserRow, UserRow.id == SessionRow.user_id)
            .where(SessionRow.token_sha256 == digest(token), SessionRow.expires > now, UserRow.active)
        )
        with self._database.read() as session:
            found = session.execute(query).first()
        if found is None:
            return None
        kept, user = found
        if user.seen is None or now - user.seen > _SEEN_EVERY:
            with self._database.write() as session:
                session.get_one(UserRow, user.id).seen = now
        return Principal(user.name, Role(user.role), "session", address, user.id, kept.id)

    def sign_out(self) -> None:
        """End the session that acts."""
        principal = current()
        if principal.session_id is None:
            return
        with self._database.write() as session:
            session.execute(delete(SessionRow).where(SessionRow.id == principal.session_id))
            self._audit_log.append_in(session, "sign_out", principal.name)

    def sign_out_everywhere(self, user_id: str) -> int:
        """End every session of an account: one's own, or anybody's as an admin. Returns how many there were."""
        if current().user_id != user_id:
            require("users.manage")
        with self._database.write() as session:
            row = _found(session, user_id)
            ended = self._end(session, user_id)
            self._audit_log.append_in(session, "sign_out.everywhere", row.name, {"sessions": ended})
            return ended

    # --- what admins do ------------------------------------------------------------------------------------------

    def list(self, limit: int = 50, cursor: str | None = None) -> Page[UserInfo]:
        require("users.manage")
        query: Select[tuple[UserRow]] = select(UserRow)
        with self._database.read() as session:
            return page_of(session, query, UserRow, limit, cursor, lambda row: _show(session, row))

    def get(self, user_id: str) -> UserInfo:
        if current().user_id != user_id:
            require("users.manage")
        with self._database.read() as session:
            return _show(session, _found(session, user_id))

    def find(self, name: str) -> UserInfo:
        """By name. Raises NotFoundError."""
        require("users.manage")
        with self._database.read() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == name.strip().lower())).first()
            if row is None:
                raise NotFoundError(f"there is no account '{name[:64]}': 'expertscope users list' names them")
            return _show(session, row)

    def create(self, name: str, role: str, password: str) -> UserInfo:
        """Raises InputError for a name or password that is not taken, ConflictError for a name that is."""
        require("users.manage")
        chosen = as_role(role)
        hashed = hash_password(name, password)
        with self._database.write() as session:
            row = self._add(session, name, chosen, hashed)
            self._audit_log.append_in(session, "users.created", row.name, {"role": row.role})
            session.flush()
            return _show(session, row)

    def update(
        self,
        user_id: str,
        *,
        role: str | None = None,
        active: bool | None = None,
        password: str | None = None,
        old: str | None = None,
    ) -> UserInfo:
        """Change what is given, all of it or nothing.

        Shutting an account ends its sessions and silences its tokens. A new password ends every session but the one
        that asks; whoever changes their own gives the old one too. Raises ConflictError where it would leave no admin
        or the account has its password elsewhere, UnauthorizedError where the old password does not fit.
        """
        own = current().user_id == user_id
        if not own or role is not None or active is not None:
            require("users.manage")
        chosen = as_role(role) if role is not None else None
        with self._database.write() as session:
            row = _found(session, user_id)
            if password is not None:
                self._replace_password(session, row, password, old, own=own)
            if chosen is not None and row.role != chosen:
                self._audit_log.append_in(session, "users.role", row.name, {"from": row.role, "to": chosen.value})
                row.role = chosen.value
            if active is not None and row.active != active:
                row.active = active
                self._audit_log.append_in(session, "users.opened" if active else "users.shut", row.name)
                if not active:
                    self._end(session, row.id)
            session.flush()
            admins = select(func.count()).select_from(UserRow).where(UserRow.active, UserRow.role == Role.ADMIN)
            if not session.scalar(admins):
                raise ConflictError(f"{row.name} is the last admin: make another one first")
            return _show(session, row)

    # --- inside --------------------------------------------------------------------------------------------------

    def _replace_password(self, session: Session, row: UserRow, password: str, old: str | None, *, own: bool) -> None:
        if row.issuer is not None:
            raise ConflictError(f"{row.name} signs in at the identity provider and has no password here")
        if own:
            address = current().address
            self._throttle.check(row.name, address)
            if not fits(row.password, old or ""):
                self._throttle.count(row.name, address)
                raise UnauthorizedError("the old password does not fit", field="old")
        row.password = hash_password(row.name, password)
        self._end(session, row.id, but=current().session_id)
        self._audit_log.append_in(session, "users.password", row.name)

    def _add(
        self,
        session: Session,
        name: str,
        role: Role,
        password: str | None,
        issuer: str | None = None,
        subject: str | None = None,
    ) -> UserRow:
        name = name.strip().lower()
        if not _NAME.fullmatch(name):
            raise InputError(
                "the name has to be 1 to 64 of a-z, 0-9 and . _ @ + -, the first a letter or figure", field="name"
            )
        if session.scalar(select(func.count()).select_from(UserRow).where(UserRow.name == name)):
            raise ConflictError(f"there is an account '{name}' already: choose another name", field="name")
        row = UserRow(
            id=new_id(),
            name=name,
            role=role.value,
            password=password,
            issuer=issuer,
            subject=subject,
            active=True,
            created=datetime.now(UTC),
            seen=None,
        )
        session.add(row)
        session.flush()
        return row

    def _free(self, session: Session, name: str) -> str:
        """A name like the provider's that nobody has: an account here is never taken over by its name alone."""
        plain = re.sub(r"[^a-z0-9._@+-]", "-", name.strip().lower()).lstrip("._@+-")[:56] or "user"
        taken = set(session.scalars(select(UserRow.name).where(UserRow.name.startswith(plain, autoescape=True))))
        return next(one for one in (plain, *(f"{plain}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)

    def _begin(self, session: Session, row: UserRow, address: str, how: str) -> SignedIn:
        now = datetime.now(UTC)
        session.execute(delete(SessionRow).where(SessionRow.expires <= now))
        token, expires = secrets.token_urlsafe(32), now + timedelta(hours=self._settings.session_hours)
        kept = SessionRow(
            id=new_id(), user_id=row.id, token_sha256=digest(token), address=address, created=now, expires=expires
        )
        session.add(kept)
        row.seen = now
        principal = Principal(row.name, Role(row.role), "session", address, row.id, kept.id)
        with acting_as(principal):
            self._audit_log.append_in(session, "sign_in", row.name, {"with": how})
        return SignedIn(token, expires, principal)

    def _end(self, session: Session, user_id: str, but: str | None = None) -> int:
        ended = delete(SessionRow).where(SessionRow.user_id == user_id)
        if but is not None:
            ended = ended.where(SessionRow.id != but)
        found = session.execute(ended)
        count: int = found.rowcount  # type: ignore[attr-defined]
        return count


def as_role(text: str) -> Role:
    """Raises InputError for a word that is no role."""
    try:
        return Role(text)
    except ValueError:
        raise InputError(f"role is '{text[:40]}': expected one of {', '.join(Role)}", field="role") from None


def _found(session: Session, user_id: str) -> UserRow:
    row = session.get(UserRow, user_id)
    if row is None:
        raise NotFoundError(f"there is no account with the id '{user_id[:40]}'")
    return row


def _show(session: Session, row: UserRow) -> UserInfo:
    alive = select(func.count()).select_from(SessionRow)
    alive = alive.where(SessionRow.user_id == row.id, SessionRow.expires > datetime.now(UTC))
    return UserInfo(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        external=row.issuer is not None,
        active=row.active,
        created=row.created,
        seen=row.seen,
        sessions=session.scalar(alive) or 0,
    )
