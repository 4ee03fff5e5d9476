"""Tokens of an identity provider: a real one's keys over HTTPS, and every forgery that is known by name."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from https import HttpsServer, give, lead_here, serve_https
from pydantic import ValidationError

from osteon.core.errors import OsteonError, StoreError
from osteon.serve.callers import Caller
from osteon.serve.tokens import Tokens, TokenSettings

KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
ISSUER = "https://id.hospital.example"


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    rsa_key = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "1", "use": "sig"}
    ec_key = jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True) | {"kid": "2", "use": "sig"}
    with serve_https(tmp_path_factory.mktemp("https"), "id.test") as server:
        server.answers["/keys"] = give(json.dumps({"keys": [rsa_key, ec_key]}).encode())
        yield server


@pytest.fixture
def settings(https: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> TokenSettings:
    lead_here("id.test", https, monkeypatch)
    https.asked.clear()
    return TokenSettings(issuer=ISSUER, audience="osteon", jwks_url=f"https://id.test:{https.port}/keys")


def _claims(**changes: Any) -> dict[str, Any]:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    claims = {"iss": ISSUER, "aud": "osteon", "sub": "ann", "exp": soon, "roles": ["read", "segment"]} | changes
    return {name: value for name, value in claims.items() if value is not None}


def _token(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "1", **changes: Any) -> str:
    return jwt.encode(_claims(**changes), key, algorithm, {"kid": kid} if kid else None)


def _find(settings: TokenSettings, token: str) -> Caller:
    return asyncio.run(Tokens(settings).find(token))


def test_a_valid_token_lets_its_subject_in(settings: TokenSettings) -> None:
    caller = _find(settings, _token())
    assert (caller.name, sorted(caller.roles)) == ("oidc:ann", ["read", "segment"])
    assert _find(settings, _token(CURVE, "ES256", "2")).name == "oidc:ann"


@pytest.mark.parametrize(
    ("claim", "roles"),
    [
        (["admin", "other", 7], {"admin"}),
        ("read other", {"read"}),
        (None, set()),
        ("readable", set()),
        ({"read": True}, set()),
        (7, set()),
    ],
)
def test_only_roles_of_osteon_count(settings: TokenSettings, claim: object, roles: set[str]) -> None:
    assert _find(settings, _token(roles=claim)).roles == roles


def test_a_subject_cannot_be_part_of_a_path(settings: TokenSettings) -> None:
    assert _find(settings, _token(sub="auth0|../ann doe")).name == "oidc:auth0%7C..%2Fann%20doe"


def _hidden_in_public() -> str:
    """The provider's public key as the secret of HS256 (RFC 8725, 2.1); PyJWT refuses to make it, so by hand."""
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = _claims()
    body = claims | {"exp": int(claims["exp"].timestamp())}
    head = part(json.dumps({"alg": "HS256", "kid": "1"}).encode()) + "." + part(json.dumps(body).encode())
    return f"{head}.{part(hmac.new(pem, head.encode(), hashlib.sha256).digest())}"


def _tampered() -> str:
    head, _, signature = _token(roles=["read"]).split(".")
    return ".".join((head, _token(roles=["admin"]).split(".")[1], signature))


def test_forgeries_are_refused(settings: TokenSettings) -> None:
    now = datetime.now(UTC)
    forgeries = {
        "another key": _token(OTHER),
        "no signature": jwt.encode(_claims(), "", "none", {"kid": "1"}),
        "public key as secret": _hidden_in_public(),
        "changed claims": _tampered(),
        "expired": _token(exp=now - timedelta(minutes=5)),
        "no expiry": _token(exp=None),
        "not yet": _token(nbf=now + timedelta(minutes=5)),
        "another audience": _token(aud="other"),
        "no audience": _token(aud=None),
        "another issuer": _token(iss="https://evil.example"),
        "no subject": _token(sub=None),
        "long subject": _token(sub="a" * 300),
        "unknown key": _token(kid="3"),
        "no key named": _token(kid=None),
        "its own keys": jwt.encode(_claims(), OTHER, "RS256", {"kid": "9", "jku": "https://evil.example/keys"}),
        "no token": "osteon",
        "nothing in it": "..",
    }
    tokens = Tokens(settings)
    for name, token in forgeries.items():
        with pytest.raises(OsteonError) as caught:
            asyncio.run(tokens.find(token))
        assert caught.value.code == "wrong-token", name
        assert token not in str(caught.value), name


def test_unknown_keys_do_not_make_the_server_ask_each_time(settings: TokenSettings, https: HttpsServer) -> None:
    tokens = Tokens(settings)
    for number in range(10):
        with pytest.raises(OsteonError, match="wrong-token"):
            asyncio.run(tokens.find(_token(kid=f"unknown-{number}")))
    assert len(https.asked) <= 2


def test_a_provider_that_is_away_is_no_fault_of_the_token(settings: TokenSettings) -> None:
    away = settings.model_copy(update={"jwks_url": settings.jwks_url + "-missing"})
    with pytest.raises(StoreError, match="no-keys"):
        _find(away, _token())


def test_keys_are_fetched_over_https_only(tmp_path: Path) -> None:
    for url in ("http://id.test/keys", f"file://{tmp_path}/keys"):
        with pytest.raises(ValidationError):
            TokenSettings(issuer=ISSUER, audience="osteon", jwks_url=url)
