"""Accounts: who comes in, who is kept out, and what is left of it in the audit log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from analysis.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
)
from backend.access import Principal, Role, acting_as, current
from backend.db.tables import ApiTokenRow, SessionRow, UserRow
from backend.services import Services, open_services
from backend.settings import Settings
from tests.backend.accounts import PASSWORD


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"accounts": True, "sign_in_attempts": 3})


@pytest.fixture
def admin(services: Services) -> Iterator[Principal]:
    made = services.accounts.create("ada", "admin", PASSWORD)
    principal = services.accounts.sign_in("ada", PASSWORD, "10.0.0.1").principal
    assert principal.user_id == made.id
    with acting_as(principal):
        yield principal


def actions(services: Services) -> list[tuple[str, str, str, str]]:
    entries = services.audit_log.entries(limit=100).items
    return [(one.action, one.subject, one.actor, one.address) for one in reversed(entries)]


def test_the_first_admin_is_made_with_the_code_and_only_once(services: Services) -> None:
    accounts = services.accounts
    code = accounts.set_up_code()
    assert code is not None
    assert accounts.set_up_code() == code
    with pytest.raises(UnauthorizedError, match="not the set-up code"):
        accounts.set_up("guess", "ada", PASSWORD)
    signed_in = accounts.set_up(code, " Ada ", PASSWORD, "10.0.0.1")
    assert (signed_in.principal.name, signed_in.principal.role) == ("ada", Role.ADMIN)
    assert accounts.set_up_code() is None
    with pytest.raises(ConflictError, match="there is an admin already"):
        accounts.set_up(code, "eve", PASSWORD)
    assert actions(services) == [("users.created", "ada", "ada", "10.0.0.1"), ("sign_in", "ada", "ada", "10.0.0.1")]


def test_name_and_password_open_a_session_that_sign_out_ends(services: Services, admin: Principal) -> None:
    signed_in = services.accounts.sign_in("ADA", PASSWORD)
    found = services.accounts.principal(signed_in.token, "10.0.0.9")
    assert found is not None
    assert (found.name, found.role, found.address) == ("ada", Role.ADMIN, "10.0.0.9")
    with acting_as(found):
        services.accounts.sign_out()
    assert services.accounts.principal(signed_in.token) is None


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("ada", "")])
def test_what_does_not_fit_is_refused_the_same_way_and_written_down(
    services: Services, admin: Principal, name: str, password: str
) -> None:
    with pytest.raises(UnauthorizedError, match="name and password do not fit"):
        services.accounts.sign_in(name, password, "10.0.0.66")
    subject = "ada" if name == "ada" else "(no such account)"
    assert actions(services)[-1] == ("sign_in.refused", subject, subject, "10.0.0.66")


def test_whoever_guesses_is_slowed_down_and_others_are_not(services: Services, admin: Principal) -> None:
    for _ in range(3):
        with pytest.raises(UnauthorizedError):
            services.accounts.sign_in("ada", "wrong", "10.0.0.66")
    with pytest.raises(TooManyRequestsError, match=r"try again in \d+ s") as refused:
        services.accounts.sign_in("ada", PASSWORD, "10.0.0.66")
    assert 0 < refused.value.retry_after <= 300
    assert services.accounts.sign_in("ada", PASSWORD, "10.0.0.1").principal.name == "ada"


def test_nothing_secret_is_stored(services: Services, admin: Principal) -> None:
    signed_in = services.accounts.sign_in("ada", PASSWORD)
    token = services.api_tokens.create("ci", "viewer", 1)
    with services.database.read() as session:
        rows = [
            *session.scalars(select(UserRow)),
            *session.scalars(select(SessionRow)),
            *session.scalars(select(ApiTokenRow)),
        ]
        stored = " ".join(str(vars(row)) for row in rows)
    for secret in (PASSWORD, signed_in.token, token.secret):
        assert secret not in stored
    assert "$argon2id$" in stored


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "password1234", "ada", "x" * 257, "Expertscope123!"])
def test_a_password_that_is_guessed_first_is_not_taken(services: Services, admin: Principal, password: str) -> None:
    with pytest.raises(InputError) as refused:
        services.accounts.create("bob", "viewer", password)
    assert refused.value.field == "password"
    assert password not in refused.value.message


@pytest.mark.parametrize("name", ["", " ", "-x", "a b", "a/b", "../a", "é", "x" * 65, "<b>"])
def test_a_name_that_is_not_taken_says_what_is(services: Services, admin: Principal, name: str) -> None:
    with pytest.raises(InputError, match="1 to 64 of a-z"):
        services.accounts.create(name, "viewer", PASSWORD)


def test_the_last_admin_stays(services: Services, admin: Principal) -> None:
    for change in ({"role": "viewer"}, {"active": False}):
        with pytest.raises(ConflictError, match="the last admin"):
            services.accounts.update(admin.user_id or "", **change)
    other = services.accounts.create("bob", "admin", PASSWORD)
    assert services.accounts.update(admin.user_id or "", role="viewer").role is Role.VIEWER
    assert other.active


def test_shutting_an_account_ends_its_sessions_and_silences_its_tokens(services: Services, admin: Principal) -> None:
    bob = services.accounts.create("bob", "analyst", PASSWORD)
    browser = services.accounts.sign_in("bob", PASSWORD)
    with acting_as(browser.principal):
        token = services.api_tokens.create("nightly", "analyst", 30).secret
    assert services.api_tokens.principal(token) is not None
    services.accounts.update(bob.id, active=False)
    assert services.accounts.principal(browser.token) is None
    assert services.api_tokens.principal(token) is None
    with pytest.raises(UnauthorizedError):
        services.accounts.sign_in("bob", PASSWORD)
    services.accounts.update(bob.id, active=True)
    assert services.accounts.principal(browser.token) is None, "a session that was ended stays ended"
    assert services.api_tokens.principal(token) is not None


def test_a_change_is_whole_or_not_at_all(services: Services, admin: Principal) -> None:
    bob = services.accounts.create("bob", "viewer", PASSWORD)
    before = len(actions(services))
    with pytest.raises(InputError):
        services.accounts.update(bob.id, role="admin", password="short")
    assert services.accounts.get(bob.id).role is Role.VIEWER
    assert len(actions(services)) == before


def test_ones_own_password_needs_the_old_one_and_ends_other_sessions(services: Services, admin: Principal) -> None:
    other = services.accounts.sign_in("ada", PASSWORD)
    with pytest.raises(UnauthorizedError, match="old password"):
        services.accounts.update(admin.user_id or "", password="another four words", old="wrong")
    services.accounts.update(admin.user_id or "", password="another four words", old=PASSWORD)
    assert services.accounts.principal(other.token) is None
    services.accounts.sign_in("ada", "another four words")


def test_log_out_everywhere(services: Services, admin: Principal) -> None:
    tokens = [services.accounts.sign_in("ada", PASSWORD).token for _ in range(3)]
    assert services.accounts.sign_out_everywhere(admin.user_id or "") == 4
    assert not any(map(services.accounts.principal, tokens))
    assert ("sign_out.everywhere", "ada", "ada", "10.0.0.1") in actions(services)


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    hasty = open_services(Settings(data_dir=tmp_path, accounts=True, session_hours=1e-9))
    hasty.accounts.create("ada", "admin", PASSWORD)
    assert hasty.accounts.principal(hasty.accounts.sign_in("ada", PASSWORD).token) is None
    hasty.close()


def test_a_token_does_at_most_what_its_owner_may_now(services: Services, admin: Principal) -> None:
    bob = services.accounts.create("bob", "analyst", PASSWORD)
    with acting_as(services.accounts.sign_in("bob", PASSWORD).principal):
        secret = services.api_tokens.create("ci", "analyst", 30).secret
        with pytest.raises(ForbiddenError, match="at most its owner's"):
            services.api_tokens.create("more", "admin", 30)
    services.accounts.update(bob.id, role="viewer")
    found = services.api_tokens.principal(secret)
    assert found is not None
    assert found.role is Role.VIEWER


def test_a_token_makes_no_token_and_cannot_be_seen_by_others(services: Services, admin: Principal) -> None:
    made = services.api_tokens.create("ci", "admin", 1)
    program = services.api_tokens.principal(made.secret)
    assert program is not None
    with acting_as(program), pytest.raises(ForbiddenError, match="sign in to make one"):
        services.api_tokens.create("another", "viewer", 1)
    services.accounts.create("bob", "viewer", PASSWORD)
    with acting_as(services.accounts.sign_in("bob", PASSWORD).principal):
        assert services.api_tokens.list().items == []
        with pytest.raises(NotFoundError):
            services.api_tokens.revoke(made.info.id)
    services.api_tokens.revoke(made.info.id)
    assert services.api_tokens.principal(made.secret) is None


@pytest.mark.parametrize(("name", "days"), [("", 1), ("x" * 65, 1), ("line\nbreak", 1), ("ci", 0), ("ci", 367)])
def test_a_token_needs_a_name_and_an_end(services: Services, admin: Principal, name: str, days: int) -> None:
    with pytest.raises(InputError):
        services.api_tokens.create(name, "viewer", days)


def test_the_provider_vouches_for_an_account_of_its_own(services: Services, admin: Principal) -> None:
    first = services.accounts.sign_in_external("https://id.example", "42", "ADA", Role.ANALYST)
    assert first.principal.name == "ada-2", "an account here is not taken over by its name"
    again = services.accounts.sign_in_external("https://id.example", "42", "renamed", Role.VIEWER)
    assert (again.principal.user_id, again.principal.role) == (first.principal.user_id, Role.VIEWER)
    with pytest.raises(UnauthorizedError):
        services.accounts.sign_in("ada-2", "")
    services.accounts.update(first.principal.user_id or "", active=False)
    with pytest.raises(UnauthorizedError, match="shut"):
        services.accounts.sign_in_external("https://id.example", "42", "ada", Role.ADMIN)


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_only_an_admin_manages_accounts(services: Services, admin: Principal, role: str) -> None:
    bob = services.accounts.create("bob", role, PASSWORD)
    with acting_as(services.accounts.sign_in("bob", PASSWORD).principal):
        for attempt in (
            services.accounts.list,
            lambda: services.accounts.create("eve", "admin", PASSWORD),
            lambda: services.accounts.update(bob.id, role="admin"),
            lambda: services.accounts.update(admin.user_id or "", password="another four words"),
            lambda: services.accounts.sign_out_everywhere(admin.user_id or ""),
            services.audit_log.entries,
        ):
            with pytest.raises(ForbiddenError, match=f"bob has the role {role}"):
                attempt()
        assert services.accounts.get(bob.id).name == "bob"
        assert current().name == "bob"
