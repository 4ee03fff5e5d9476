"""Bearer keys: random secrets, of which a YAML file keeps the hashes with a name, roles and limits.

A key holds 256 random bits, so that nobody can guess one from its SHA-256, nor list candidates as for a password: a
slow hash (scrypt) would add no safety, but 50 ms to each request and a way to keep the server busy without any key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from osteon.core.errors import BadInput
from osteon.serve.callers import Caller, CallerLimits, Role

PREFIX = "osteon_"  # lets scanners for leaked secrets, and people, know a key when they see one
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_WORLD_WRITABLE = 0o002


class Key(BaseModel):
    """A line of the keys file. Two keys of one name are one caller: the old and the new one while it is replaced."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    roles: frozenset[Role] = Field(min_length=1)
    limits: CallerLimits | None = None

    @property
    def caller(self) -> Caller:
        """Whom the key lets in."""
        return Caller(name=self.name, roles=self.roles, limits=self.limits)


_KEYS = TypeAdapter(tuple[Key, ...])


def hash_secret(secret: str) -> str:
    """What the keys file keeps of a secret."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}"


def load_keys(path: Path) -> tuple[Key, ...]:
    """The keys of a file.

    Raises:
        BadInput: ``keys-file``: it is missing, damaged, or anybody may write to it.
    """
    try:
        if path.stat().st_mode & _WORLD_WRITABLE:
            raise _bad_file(path, "anybody on the machine may write to it", f"chmod o-w {path}")
        return _KEYS.validate_python(yaml.safe_load(path.read_text("utf-8")) or ())
    except OSError as error:
        raise _bad_file(path, f"it cannot be read ({error.strerror})", "make a key with osteon serve-key") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise _bad_file(path, "it is no YAML", "mend it by hand") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _bad_file(path, f"entry {place}: {first['msg']}", "mend it by hand") from None


def add_key(path: Path, name: str, roles: frozenset[Role], *, again: bool = False) -> str:
    """Make a key, append its hash to the file (made if missing, for the owner's eyes only); the secret.

    ``again`` allows a second key for a name, to be used while the first one is being replaced.

    Raises:
        BadInput: ``key-exists``, ``key-name``, ``keys-file``.
    """
    if not again and path.exists() and any(key.name == name for key in load_keys(path)):
        remedy = "take another name; or --again to replace the key, then remove the old entry"
        raise BadInput("key-exists", f"there is a key for {name!r} already", where=str(path), remedy=remedy)
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        key = Key(name=name, hash=hash_secret(secret), roles=roles)
    except ValidationError:
        remedy = "use up to 64 letters, digits, dots, dashes and underscores, and at least one role"
        raise BadInput("key-name", f"{name!r} cannot name a caller", remedy=remedy) from None
    _append(path, key)
    return secret


def _append(path: Path, key: Key) -> None:
    entry = key.model_dump(mode="json", exclude_none=True) | {"roles": sorted(key.roles)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "rb+") as file:
        text = file.read()
        gap = b"\n" if text and not text.endswith(b"\n") else b""
        file.write(gap + yaml.safe_dump([entry], sort_keys=False).encode())


class KeyFile:
    """The keys of a file, read again whenever it changes: a key that is taken out is shut out at once.

    A file that turns bad or goes away lets nobody in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._keys: tuple[Key, ...] = ()

    def find(self, secret: str) -> Caller | None:
        """Whom the secret lets in; every key is compared in constant time.

        Raises:
            BadInput: ``keys-file`` if the file has turned bad.
        """
        self._refresh()
        given, found = hash_secret(secret), None
        for key in self._keys:
            if hmac.compare_digest(key.hash, given):
                found = key.caller
        return found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except OSError as error:
            raise _bad_file(self._path, f"it cannot be read ({error.strerror})", "put it back") from None
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
        if stamp != self._stamp:
            self._keys = load_keys(self._path)
            self._stamp = stamp


def _bad_file(path: Path, what: str, remedy: str) -> BadInput:
    return BadInput("keys-file", f"the keys file cannot be used: {what}", where=str(path), remedy=remedy)
