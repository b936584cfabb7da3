"""Tokens with which programs use the API: random, kept as a digest, with a role and an end, shown once."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, select

from analysis.errors import ForbiddenError, InputError, NotFoundError
from backend.access import Principal, Role, require
from backend.db import Database
from backend.db.tables import ApiTokenRow, UserRow
from backend.services.accounts import as_role
from backend.services.audit_log import AuditLog
from backend.services.ids import new_id
from backend.services.paging import page_of
from backend.services.passwords import digest
from backend.services.records import Page

PREFIX = "es_"
"""What every secret begins with, so that a scanner finds one that was put where it does not belong."""
LONGEST_DAYS = 366
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class ApiTokenInfo:
    """A token without its secret. `owner` is the account's name."""

    id: str
    name: str
    owner: str
    role: Role
    created: datetime
    expires: datetime
    used: datetime | None
    revoked: datetime | None


@dataclass(frozen=True)
class NewApiToken:
    """A token that was just made, with the secret that is never shown again."""

    info: ApiTokenInfo
    secret: str


class ApiTokens:
    """Everybody sees and revokes their own; an admin everybody's."""

    def __init__(self, database: Database, audit_log: AuditLog) -> None:
        self._database, self._audit_log = database, audit_log

    def create(self, name: str, role: str, days: int) -> NewApiToken:
        """For the account that acts, at most with its own role.

        Raises ForbiddenError for more than that or where no account acts, InputError for a name or time not taken.
        """
        principal, chosen = require("tokens.own"), as_role(role)
        if principal.user_id is None or principal.kind != "session":
            raise ForbiddenError("a token belongs to an account: sign in to make one")
        if not principal.role.covers(chosen):
            raise ForbiddenError(f"a token's role is at most its owner's, which is {principal.role}", field="role")
        name = name.strip()
        if not 1 <= len(name) <= 64 or not name.isprintable():
            raise InputError("the token needs a name of 1 to 64 characters that says what it is for", field="name")
        if not 1 <= days <= LONGEST_DAYS:
            raise InputError(f"days is {days}: expected 1 to {LONGEST_DAYS}", field="days")
        secret, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        row = ApiTokenRow(
            id=new_id(),
            user_id=principal.user_id,
            name=name,
            role=chosen.value,
            token_sha256=digest(secret),
            created=now,
            expires=now + timedelta(days=days),
            used=None,
            revoked=None,
        )
        with self._database.write() as session:
            session.add(row)
            details = {"name": name, "role": chosen.value, "expires": row.expires.isoformat()}
            self._audit_log.append_in(session, "tokens.created", row.id, details)
        return NewApiToken(_show(row, principal.name), secret)

    def list(self, limit: int = 50, cursor: str | None = None) -> Page[ApiTokenInfo]:
        """One's own; an admin's list holds everybody's."""
        principal = require("tokens.own")
        query: Select[tuple[ApiTokenRow]] = select(ApiTokenRow)
        if principal.role is not Role.ADMIN:
            query = query.where(ApiTokenRow.user_id == principal.user_id)
        with self._database.read() as session:

            def show(row: ApiTokenRow) -> ApiTokenInfo:
                return _show(row, session.get_one(UserRow, row.user_id).name)

            return page_of(session, query, ApiTokenRow, limit, cursor, show)

    def revoke(self, token_id: str) -> ApiTokenInfo:
        """From now on it opens nothing. Raises NotFoundError for one that is not there or not one's own."""
        principal = require("tokens.own")
        with self._database.write() as session:
            row = session.get(ApiTokenRow, token_id)
            if row is None or (row.user_id != principal.user_id and principal.role is not Role.ADMIN):
                raise NotFoundError(f"there is no token with the id '{token_id[:40]}'")
            if row.revoked is None:
                row.revoked = datetime.now(UTC)
                self._audit_log.append_in(session, "tokens.revoked", row.id, {"name": row.name})
            return _show(row, session.get_one(UserRow, row.user_id).name)

    def principal(self, secret: str, address: str = "") -> Principal | None:
        """Who a secret speaks for; None for one that is unknown, revoked, over or of an account that is shut.

        Its role is never more than its owner's is now.
        """
        now = datetime.now(UTC)
        query = (
            select(ApiTokenRow, UserRow)
            .join(UserRow, UserRow.id == ApiTokenRow.user_id)
            .where(ApiTokenRow.token_sha256 == digest(secret), ApiTokenRow.expires > now)
            .where(ApiTokenRow.revoked.is_(None), UserRow.active)
        )
        with self._database.read() as session:
            found = session.execute(query).first()
        if found is None:
            return None
        row, user = found
        if row.used is None or now - row.used > _USED_EVERY:
            with self._database.write() as session:
                session.get_one(ApiTokenRow, row.id).used = now
        role, owners = Role(row.role), Role(user.role)
        return Principal(user.name, role if owners.covers(role) else owners, "token", address, user.id)


def _show(row: ApiTokenRow, owner: str) -> ApiTokenInfo:
    return ApiTokenInfo(row.id, row.name, owner, Role(row.role), row.created, row.expires, row.used, row.revoked)
