"""An S3 bucket as a store, through obstore: one PUT per object, conditional creation, retries with backoff.

Settings come from the environment, are read at every call and key the client cache, so that credentials can change
under a running process and no secret is ever part of a picklable object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from osteon.core.errors import OsteonError, StoreError
from osteon.storage.patience import patiently

T = TypeVar("T")
MAX_RETRIES = 8  # of 503, resets and timeouts; with the backoff below five to fifteen seconds before an error
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 4.0
PART_BYTES = 8 << 20  # held at once while an object is written to a file
LIST_ATTEMPTS = 4  # obstore retries everything but a listing whose body breaks off


@dataclass(frozen=True)
class S3Settings:
    """How to reach the object store; only what differs from the AWS defaults is set.

    Attributes:
        endpoint: base URL of an S3-compatible server, None for AWS itself.
        region: AWS region; any value will do for most other servers.
        access_key_id: None leaves it to the machine's own identity (instance or pod role).
        secret_access_key: belongs to the key id; never shown.
        session_token: of temporary credentials.
    """

    endpoint: str | None
    region: str
    access_key_id: str | None
    secret_access_key: str | None = field(repr=False)
    session_token: str | None = field(repr=False)

    @classmethod
    def from_environment(cls) -> S3Settings:
        """The settings of the ``AWS_*`` variables."""
        read = os.environ.get
        return cls(
            read("AWS_ENDPOINT_URL"),
            read("AWS_REGION") or read("AWS_DEFAULT_REGION") or "us-east-1",
            read("AWS_ACCESS_KEY_ID"),
            read("AWS_SECRET_ACCESS_KEY"),
            read("AWS_SESSION_TOKEN"),
        )


@lru_cache(maxsize=32)
def open_bucket(bucket: str, settings: S3Settings) -> S3Store:
    """The client of one bucket; no request is made."""
    credentials = {
        name: value
        for name in ("endpoint", "access_key_id", "secret_access_key", "session_token")
        if (value := getattr(settings, name)) is not None
    }
    plain_http = settings.endpoint is not None and settings.endpoint.startswith("http://")
    return S3Store(
        bucket,
        region=settings.region,
        virtual_hosted_style_request=settings.endpoint is None,
        client_options={"allow_http": plain_http, "connect_timeout": "5s", "timeout": "120s"},
        retry_config={
            "max_retries": MAX_RETRIES,
            "retry_timeout": timedelta(minutes=2),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_DELAY_S),
                "max_backoff": timedelta(seconds=LONGEST_DELAY_S),
                "base": 3,  # with its jitter, obstore waits about 1.5 times longer each time
            },
        },
        **credentials,
    )


@dataclass(frozen=True)
class Bucket:
    """The objects of a bucket below ``prefix``."""

    client: S3Store
    bucket: str
    prefix: str

    @patiently
    def read(self, key: str) -> bytes:
        """The object's bytes; FileNotFoundError if there is none."""
        with self._clear_errors(key):
            return bytes(obstore.get(self.client, self._path(key)).bytes())

    @patiently
    def write(self, key: str, data: bytes) -> None:
        """Put the object in one request."""
        with self._clear_errors(key):
            obstore.put(self.client, self._path(key), data, use_multipart=False)

    @patiently
    def create(self, key: str, data: bytes) -> bool:
        """Put the object in one request with ``If-None-Match: *``; False if the server says it exists."""
        with self._clear_errors(key):
            try:
                obstore.put(self.client, self._path(key), data, use_multipart=False, mode="create")
            except AlreadyExistsError:
                return False
        return True

    @patiently
    def take_file(self, key: str, path: Path) -> None:
        """Put the file, a large one part by part: it appears when the last one is there."""
        with self._clear_errors(key):
            obstore.put(self.client, self._path(key), path)
        path.unlink()

    @patiently
    def get_file(self, key: str, path: Path) -> None:
        """Write the object to a file as it comes."""
        with self._clear_errors(key), path.open("wb") as file:
            for part in obstore.get(self.client, self._path(key)).stream(min_chunk_size=PART_BYTES):
                file.write(part)

    def sign_put(self, key: str, seconds: int) -> str:
        """A presigned URL."""
        return obstore.sign(self.client, "PUT", self._path(key), timedelta(seconds=seconds))

    @patiently
    def exists(self, key: str) -> bool:
        """Whether a HEAD request finds the object."""
        with self._clear_errors(key):
            try:
                obstore.head(self.client, self._path(key))
            except FileNotFoundError:
                return False
        return True

    @patiently
    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes by key of every object below ``prefix``."""
        with self._clear_errors(prefix):
            entries = _again(lambda: list(chain.from_iterable(obstore.list(self.client, prefix=self._path(prefix)))))
        return {self._key(entry["path"]): entry["size"] for entry in entries}

    @patiently
    def children(self, prefix: str) -> list[str]:
        """Names one level below ``prefix``."""
        with self._clear_errors(prefix):
            found = _again(lambda: obstore.list_with_delimiter(self.client, self._path(prefix)))
        paths = [*found["common_prefixes"], *(entry["path"] for entry in found["objects"])]
        names = {path.rstrip("/").removeprefix(self._path(prefix)).strip("/") for path in paths}
        return sorted(names - {""})  # some servers list an emptied folder as an object in itself

    @patiently
    def delete(self, prefix: str) -> None:
        """Remove the object and everything below."""
        paths = [self._path(prefix), *(self._path(key) for key in self.sizes(prefix))]
        with self._clear_errors(prefix):
            try:
                obstore.delete(self.client, paths)
            except FileNotFoundError:
                return

    def sweep(self, prefix: str) -> None:
        """Nothing to do: a PUT that was cut off leaves no object."""

    def settle(self, _prefixes: Sequence[str]) -> None:
        """Nothing to do: a PUT is answered when the object is kept."""

    def _path(self, key: str) -> str:
        return "/".join(part for part in (self.prefix, key) if part)

    def _key(self, path: str) -> str:
        return path.removeprefix(f"{self.prefix}/") if self.prefix else path

    @contextmanager
    def _clear_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise self._missing(key, str(error)) from error
        except BaseError as error:
            raise self._refusal(key, error) from error

    def _missing(self, key: str, message: str) -> Exception:
        return (
            self._no_bucket() if "NoSuchBucket" in message else FileNotFoundError(f"no such object: {self._url(key)}")
        )

    def _no_bucket(self) -> OsteonError:
        return StoreError(
            "no-bucket",
            f"there is no bucket {self.bucket!r}",
            where=f"s3://{self.bucket}",
            remedy="create it, or mend the URL or AWS_ENDPOINT_URL",
        )

    def _refusal(self, key: str, error: BaseError) -> OsteonError:
        message = str(error)
        if "NoSuchBucket" in message or "InvalidBucketName" in message:
            return self._no_bucket()
        first_line = message.partition("\n")[0]
        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or "403 Forbidden" in first_line:
            return denied(self._url(key))
        if "HTTP error" in first_line:
            return unreachable(self._url(key))
        code = "store-busy" if " retries," in first_line else "store-failed"
        return StoreError(code, first_line, where=self._url(key), remedy="run the same command again")

    def _url(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._path(key)}"


def _again(listing: Callable[[], T]) -> T:
    for _ in range(LIST_ATTEMPTS - 1):
        try:
            return listing()
        except GenericError as error:
            if "response body" not in str(error).partition("\n")[0]:
                raise
    return listing()


def denied(where: str) -> StoreError:
    """The refusal for a 401 or 403."""
    return StoreError(
        "store-denied",
        "the object store denies access (403)",
        where=where,
        remedy="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy",
    )


def unreachable(where: str) -> StoreError:
    """The refusal when no answer comes, retries included."""
    endpoint = S3Settings.from_environment().endpoint or "AWS"
    return StoreError(
        "store-unreachable", f"no answer from {endpoint}", where=where, remedy="check AWS_ENDPOINT_URL and the network"
    )
