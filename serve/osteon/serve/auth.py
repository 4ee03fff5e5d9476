"""The door: decides from a request's head alone, before a byte of its body is read, who asks and whether he may.

Reading needs the role ``read``, everything else ``segment``, the metrics ``admin``. Whose segmentation it is, the
routes decide.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from osteon.core.errors import BadInput, OsteonError
from osteon.serve.callers import LOCAL, ROLES, Caller, Role
from osteon.serve.keys import PREFIX, KeyFile
from osteon.serve.tokens import Tokens, TokenSettings

PUBLIC = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})
PUBLIC_FOLDER = "/assets/"
_READING = ("GET", "HEAD")
_MAX_CREDENTIALS = 8192


class AuthSettings(BaseModel):
    """Who may enter; without keys and tokens everybody who reaches the loopback address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: Path | None = None
    tokens: TokenSettings | None = None
    public_metrics: bool = False  # for a Prometheus that cannot send a key, in a closed network

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a key."""
        return self.keys is None and self.tokens is None


def check_door(host: str, settings: AuthSettings) -> None:
    """Refuse to listen where others can reach a server without keys.

    Raises:
        BadInput: ``open-door``.
    """
    if settings.is_open and not _is_loopback(host):
        what = f"listening on {host} without keys would let everybody in"
        raise BadInput("open-door", what, remedy="make a key with osteon serve-key, or listen on 127.0.0.1")


def caller_of(request: Request) -> Caller:
    """Who the door let in."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


class Auth:
    """Middleware: puts the `Caller` into the request's state, or raises."""

    def __init__(self, app: ASGIApp, settings: AuthSettings) -> None:
        self._app = app
        self._settings = settings
        self._keys = KeyFile(settings.keys) if settings.keys else None
        self._tokens = Tokens(settings.tokens) if settings.tokens else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in.

        Raises:
            OsteonError: ``no-key``, ``wrong-key``, ``wrong-token``, ``missing-role``, ``foreign-host``,
                ``foreign-origin``.
        """
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # no route is one
            return
        if scope["type"] == "http" and not self._is_public(scope):
            caller = await self._identify(Headers(scope=scope))
            _check_role(caller, scope)
            scope["state"] = {**scope.get("state", {}), "caller": caller}
        await self._app(scope, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        path = route_path(scope)
        is_open = (
            path in PUBLIC or path.startswith(PUBLIC_FOLDER) or (path == "/metrics" and self._settings.public_metrics)
        )
        return is_open and scope["method"] in _READING and ".." not in path

    async def _identify(self, headers: Headers) -> Caller:
        if self._settings.is_open:
            _check_same_machine(headers)
            return Caller(name=LOCAL, roles=frozenset(ROLES))
        secret = _credentials(headers)
        if self._tokens is not None and not secret.startswith(PREFIX):
            return await self._tokens.find(secret)
        caller = self._keys.find(secret) if self._keys is not None else None
        if caller is None:
            raise OsteonError("wrong-key", "the key is not known here", remedy="ask the operator for one")
        return caller


def _credentials(headers: Headers) -> str:
    """The one bearer secret; header lines that contradict each other are refused."""
    lines = headers.getlist("authorization")
    scheme, _, secret = lines[0].partition(" ") if len(lines) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not 0 < len(secret) <= _MAX_CREDENTIALS:
        remedy = "send the header Authorization: Bearer KEY"
        raise OsteonError("no-key", "this server wants a key", remedy=remedy)
    return secret.strip()


def _check_role(caller: Caller, scope: Scope) -> None:
    role: Role = "read" if scope["method"] in _READING else "segment"
    role = "admin" if route_path(scope) == "/metrics" else role
    if not caller.may(role):
        what = f"{caller.name} does not have the role {role!r}"
        raise OsteonError("missing-role", what, remedy="ask the operator for a key with this role")


def _check_same_machine(headers: Headers) -> None:
    """Without keys a page of another site, open in the same browser, could ask in the user's name (DNS rebinding)."""
    host = headers.get("host", "")
    if not _is_loopback(urlsplit(f"//{host}").hostname or ""):
        what = "without keys this server answers to a loopback address only"
        raise OsteonError("foreign-host", what, remedy="open http://127.0.0.1 with its port")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        what = "without keys this server answers only its own page"
        raise OsteonError("foreign-origin", what, remedy="open the server's page, or make a key")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def route_path(scope: Scope) -> str:
    """The path as the routes see it, without the prefix that the application is mounted at."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
