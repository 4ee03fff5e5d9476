"""Tokens of an identity provider (OIDC): signed JWTs, checked with the keys that the provider publishes."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import jwt
from pydantic import BaseModel, ConfigDict, Field

from osteon.core.errors import OsteonError, StoreError
from osteon.serve.callers import ROLES, Caller

# Asymmetric ones only: with HS256 the provider's public key would do as the secret (RFC 8725, 2.1).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_S = 30
_TIMEOUT_S = 5
_MAX_NAME = 200  # a caller's name becomes part of keys in a store


class TokenSettings(BaseModel):
    """The provider whose tokens are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(description="the token's iss, exactly")
    audience: str = Field(description="the token's aud: this service")
    jwks_url: str = Field(pattern=r"^https://", description="where the provider publishes its public keys")
    roles_claim: str = Field(
        default="roles", description="the claim that lists roles of Osteon; others in it are ignored"
    )


class Tokens:
    """Lets in who holds a valid token; the provider's keys are kept for five minutes (PyJWKClient)."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._keys = jwt.PyJWKClient(settings.jwks_url, timeout=_TIMEOUT_S)

    async def find(self, token: str) -> Caller:
        """Whom the token lets in, as ``oidc:`` and its subject; off the event loop, as keys may have to be fetched.

        Raises:
            OsteonError: ``wrong-token``.
            StoreError: ``no-keys``: the provider does not answer.
        """
        try:
            claims = await asyncio.to_thread(self._decode, token)
        except jwt.PyJWKClientConnectionError:
            raise StoreError("no-keys", "the identity provider does not give its keys") from None
        except jwt.PyJWTError as error:
            raise _wrong(type(error).__name__) from None
        return self._caller(claims)

    def _decode(self, token: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            self._keys.get_signing_key_from_jwt(token),
            algorithms=ALGORITHMS,
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )

    def _caller(self, claims: dict[str, Any]) -> Caller:
        name = f"oidc:{quote(claims['sub'], safe='@')}"
        if len(name) > _MAX_NAME:
            raise _wrong("its subject is too long")
        listed = claims.get(self._settings.roles_claim)
        return Caller(name=name, roles=frozenset(role for role in ROLES if role in _words(listed)))


def _words(claim: object) -> list[object]:
    """A claim that lists names as JSON or, like OAuth's scope, between blanks."""
    if isinstance(claim, str):
        return list(claim.split())
    return claim if isinstance(claim, list) else []


def _wrong(reason: str) -> OsteonError:
    return OsteonError("wrong-token", f"the token is not valid here ({reason})", remedy="sign in again")
