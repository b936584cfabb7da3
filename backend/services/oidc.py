"""Signing in at an identity provider: OpenID Connect's authorization code flow with PKCE, state and nonce.

The protocol is Authlib's, the ID token's signature and claims are joserfc's to check. The only requests go to the
issuer that the settings name and to the endpoints that it publishes itself, which have to be on HTTPS unless the issuer
is on this machine.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from analysis.errors import ForbiddenError, NotReadyError, UnauthorizedError
from backend.access import Role
from backend.settings import Settings

SCOPE = "openid profile email"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a key pair: a provider's public key must never pass for a shared secret."""
_TIMEOUT = 10.0
_LEEWAY = 60


@dataclass(frozen=True)
class Started:
    """What has to be remembered between leaving for the provider (at `url`) and coming back."""

    url: str
    state: str
    nonce: str
    verifier: str
    redirect: str


@dataclass(frozen=True)
class Identity:
    """Whom the provider vouches for."""

    issuer: str
    subject: str
    name: str
    role: Role


class IdentityProvider:
    """The provider of the settings. What it publishes is fetched when it is first needed, and anew for new keys."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metadata: dict[str, Any] | None = None

    @property
    def issuer(self) -> str:
        return self._settings.oidc_issuer or ""

    async def start(self, redirect: str) -> Started:
        """Where to send the browser. `redirect` is this server's address to come back to."""
        metadata = await self._published()
        nonce, verifier = secrets.token_urlsafe(24), generate_token(64)
        async with self._client(redirect) as client:
            url, state = client.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
        return Started(url, state, nonce, verifier, redirect)

    async def finish(self, started: Started, query: Mapping[str, str]) -> Identity:
        """Who came back. Raises UnauthorizedError for anything that does not fit what was begun, ForbiddenError for
        somebody without a role here, NotReadyError where the provider does not answer."""
        if not secrets.compare_digest(query.get("state", ""), started.state):
            raise UnauthorizedError("the answer of the identity provider belongs to another attempt: sign in again")
        if "error" in query:
            raise UnauthorizedError(f"the identity provider refused: {query['error'][:80]}")
        metadata = await self._published()
        try:
            async with self._client(started.redirect) as client:
                token = await client.fetch_token(
                    metadata["token_endpoint"], code=query.get("code", ""), code_verifier=started.verifier
                )
                claims = await self._checked(client, token.get("id_token", ""), started.nonce)
                if self._settings.oidc_role_claim not in claims and "userinfo_endpoint" in metadata:
                    claims |= await self._asked(client, metadata["userinfo_endpoint"], claims["sub"])
        except OAuthError as error:
            raise UnauthorizedError(f"the identity provider refused the code: {error.error}") from error
        except httpx.HTTPError as error:
            raise NotReadyError(f"the identity provider does not answer ({type(error).__name__})") from error
        return Identity(self.issuer, claims["sub"], _name(claims), self._role(claims))

    def _client(self, redirect: str) -> AsyncOAuth2Client:
        secret = self._settings.oidc_client_secret
        return AsyncOAuth2Client(
            self._settings.oidc_client_id,
            secret.get_secret_value() if secret else None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=SCOPE,
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_TIMEOUT,
            follow_redirects=False,
        )

    async def _published(self) -> dict[str, Any]:
        if self._metadata is None:
            metadata = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer", "").rstrip("/") != self.issuer.rstrip("/"):
                raise NotReadyError("the identity provider calls itself by another name than EXPERTSCOPE_OIDC_ISSUER")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._check(metadata.get(name))
            self._metadata = metadata
        return self._metadata

    def _check(self, address: Any) -> None:
        """A published endpoint has to be as safe as the issuer: plain HTTP is for a provider on this machine."""
        parts = urlsplit(address if isinstance(address, str) else "")
        plain = urlsplit(self.issuer)
        if parts.scheme == "https" and parts.hostname:
            return
        if parts.scheme == plain.scheme == "http" and parts.hostname == plain.hostname:
            return
        raise NotReadyError("the identity provider publishes an endpoint that is not on HTTPS")

    async def _get(self, address: str, **headers: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
                answer = await client.get(address, headers=headers)
                found = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise NotReadyError(f"the identity provider does not answer ({type(error).__name__})") from error
        if not isinstance(found, dict):
            raise NotReadyError("the identity provider answers with something that is no JSON object")
        return found

    async def _checked(self, client: AsyncOAuth2Client, id_token: str, nonce: str) -> dict[str, Any]:
        """The claims of a token that this provider signed for this client and this attempt, and that is not over."""
        published = await self._published()
        try:
            keys = KeySet.import_key_set(await self._get(published["jwks_uri"]))  # type: ignore[arg-type]
            claims = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
            wanted = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "value": published["issuer"]},
                sub={"essential": True},
                aud={"essential": True, "value": self._settings.oidc_client_id or ""},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            wanted.validate(claims)
        except (JoseError, ValueError, KeyError) as error:
            raise UnauthorizedError(f"the identity provider's token does not hold ({type(error).__name__})") from error
        if (
            isinstance(claims["aud"], list)
            and len(claims["aud"]) > 1
            and claims.get("azp") != self._settings.oidc_client_id
        ):
            raise UnauthorizedError("the identity provider's token is for another client")
        return dict(claims)

    async def _asked(self, client: AsyncOAuth2Client, address: str, subject: str) -> dict[str, Any]:
        """What the provider says beside the token. It has to speak of the same person."""
        self._check(address)
        answer = await client.get(address)
        found = answer.json() if answer.is_success else {}
        return found if isinstance(found, dict) and found.get("sub") == subject else {}

    def _role(self, claims: Mapping[str, Any]) -> Role:
        value = claims.get(self._settings.oidc_role_claim, [])
        values = value if isinstance(value, list) else [value]
        roles = [Role(self._settings.oidc_roles[one]) for one in values if one in self._settings.oidc_roles]
        if not roles:
            raise ForbiddenError(
                "the identity provider knows you, and none of your groups has a role here: ask an admin of this server"
            )
        return max(roles, key=list(Role).index)


def _name(claims: Mapping[str, Any]) -> str:
    for key in ("preferred_username", "email", "name", "sub"):
        if isinstance(claims.get(key), str) and claims[key].strip():
            return str(claims[key])
    return "user"
