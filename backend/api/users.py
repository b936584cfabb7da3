"""/api/v1/me, /users and /tokens: who one is, who may come in, and what programs use."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from backend.access import Kind, Role, current
from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import Listing
from backend.services import ApiTokenInfo, UserInfo

router = APIRouter(prefix="/api/v1", tags=["accounts"])
Password = Annotated[str, Field(max_length=256, description="12 characters or more.")]


class Me(BaseModel):
    """Who asks."""

    name: str
    role: Role
    kind: Kind
    user_id: str | None


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(max_length=64)]
    role: Role
    password: Password


class UserChange(BaseModel):
    """What is given changes. One's own password needs the old one too."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    role: Role | None = None
    active: bool | None = None
    password: Password | None = None
    old: Annotated[str | None, Field(max_length=256, description="The old password.")] = None


class MyPassword(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    old: Annotated[str, Field(max_length=256, description="The old password.")]
    password: Password


class NewToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=64, description="What it is for.")]
    role: Role = Role.VIEWER
    days: Annotated[int, Field(ge=1, le=366, description="Days until it ends.")] = 90


class TokenMade(BaseModel):
    """`secret` is shown this once."""

    id: str
    name: str
    role: Role
    expires: datetime
    secret: str


class Ended(BaseModel):
    """How many sessions there were."""

    sessions: int


@router.get("/me")
def read_me() -> Me:
    """Who asks, and what they may do."""
    principal = current()
    return Me(name=principal.name, role=principal.role, kind=principal.kind, user_id=principal.user_id)


@router.post("/me/sign-out-everywhere")
def sign_out_everywhere(services: ServicesDep) -> Ended:
    """End every session of the account that asks. Its tokens stay."""
    principal = current()
    return Ended(sessions=services.accounts.sign_out_everywhere(principal.user_id) if principal.user_id else 0)


@router.patch("/me")
def change_me(change: MyPassword, services: ServicesDep) -> UserInfo:
    """A new password for the account that asks, which ends its other sessions."""
    return services.accounts.update(current().user_id or "", password=change.password, old=change.old)


@router.get("/users")
def list_users(services: ServicesDep, limit: LimitQuery = 50, cursor: CursorQuery = None) -> Listing[UserInfo]:
    """Every account, the newest first."""
    return Listing[UserInfo].of(services.accounts.list(limit, cursor))


@router.post("/users", status_code=201)
def create_user(new: NewUser, services: ServicesDep) -> UserInfo:
    """Let somebody in, with a password of theirs."""
    return services.accounts.create(new.name, new.role, new.password)


@router.get("/users/{user_id}")
def read_user(user_id: str, services: ServicesDep) -> UserInfo:
    """One account."""
    return services.accounts.get(user_id)


@router.patch("/users/{user_id}")
def change_user(user_id: str, change: UserChange, services: ServicesDep) -> UserInfo:
    """Change role or password, shut the account or open it again. Shutting ends sessions and silences tokens."""
    return services.accounts.update(user_id, **change.model_dump())


@router.post("/users/{user_id}/sign-out-everywhere")
def sign_user_out(user_id: str, services: ServicesDep) -> Ended:
    """End every session of an account."""
    return Ended(sessions=services.accounts.sign_out_everywhere(user_id))


@router.get("/tokens")
def list_tokens(services: ServicesDep, limit: LimitQuery = 50, cursor: CursorQuery = None) -> Listing[ApiTokenInfo]:
    """One's own tokens; an admin's list holds everybody's. Never a secret."""
    return Listing[ApiTokenInfo].of(services.api_tokens.list(limit, cursor))


@router.post("/tokens", status_code=201)
def create_token(new: NewToken, services: ServicesDep) -> TokenMade:
    """A token for a program. Its secret is in this answer and nowhere else."""
    made = services.api_tokens.create(new.name, new.role, new.days)
    info = made.info
    return TokenMade(id=info.id, name=info.name, role=info.role, expires=info.expires, secret=made.secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: str, services: ServicesDep) -> None:
    """From now on it opens nothing."""
    services.api_tokens.revoke(token_id)
