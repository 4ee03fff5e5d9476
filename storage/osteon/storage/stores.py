"""A folder or an object store behind one small interface: whole objects by key, conditional creation, listing.

Knows nothing of cases, arrays or zarr. Credentials and the endpoint of an object store come from the environment
(``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_ENDPOINT_URL``, ``AWS_REGION``), so that
a `Store` is a URL and nothing else: it can be pickled, compared and sent to any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from osteon.core.errors import BadInput
from osteon.storage.bucket import Bucket, S3Settings, open_bucket
from osteon.storage.folder import Folder

Names = list[str]  # `Store.list` hides the built-in name inside its class


class Backend(Protocol):
    """What a kind of store has to be able to do; every key is relative, with ``/`` between its parts."""

    def read(self, key: str) -> bytes:
        """The object's bytes; FileNotFoundError if there is none."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Put the object whole or not at all, replacing any other."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Put the object unless one exists; whether it was put."""
        ...

    def take_file(self, key: str, path: Path) -> None:
        """Put a file whole or not at all, replacing any other object; the file itself is gone then."""
        ...

    def get_file(self, key: str, path: Path) -> None:
        """Write the object's bytes to a file; FileNotFoundError if there is none."""
        ...

    def sign_put(self, key: str, seconds: int) -> str | None:
        """A URL that takes the object for some time without credentials; None if the store has no such thing."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object of exactly this key."""
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes by key of every object below ``prefix``."""
        ...

    def children(self, prefix: str) -> list[str]:
        """Names one level below ``prefix``, sorted."""
        ...

    def delete(self, prefix: str) -> None:
        """Remove the object and everything below."""
        ...

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left half-written below ``prefix``."""
        ...

    def settle(self, prefixes: Sequence[str]) -> None:
        """Return when a power cut can no longer take the objects, or those below the folders."""
        ...


@dataclass(frozen=True)
class Store:
    """A place to keep objects; frozen and picklable.

    Attributes:
        url: ``file:///folder`` or ``s3://bucket/prefix``, without a slash at the end.
    """

    url: str

    def child(self, *parts: str) -> Store:
        """The store of a folder inside this one."""
        key = check_key("/".join(parts))
        folder = self.local_path
        return Store((folder / key).as_uri() if folder is not None else f"{self.url}/{key}")

    @property
    def parent_and_name(self) -> tuple[Store, str]:
        """The store of the folder this one is in, and its name there.

        Raises:
            BadInput: ``bad-url``: it is a whole bucket, or the root folder.
        """
        folder = self.local_path
        parent, _, name = (str(folder) if folder is not None else self.url.removeprefix("s3://")).rpartition("/")
        if not parent or not name:
            raise BadInput("bad-url", f"{self.url} has no folder above it", remedy="add a name to the URL")
        return Store(Path(parent).as_uri() if folder is not None else f"s3://{parent}"), name

    @property
    def local_path(self) -> Path | None:
        """The folder, or None for an object store."""
        return Path(unquote(urlsplit(self.url).path)) if self.url.startswith("file:") else None

    @property
    def bucket_and_prefix(self) -> tuple[str, str]:
        """The bucket and the key prefix (without slashes at its ends) of an object store."""
        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        return bucket, prefix

    def read_bytes(self, key: str) -> bytes:
        """The object's bytes.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store refuses or does not answer.
        """
        return self._backend.read(check_key(key))

    def write_bytes(self, key: str, data: bytes) -> None:
        """Put the object atomically: readers see the old bytes or the new ones, never a part."""
        self._backend.write(check_key(key), data)

    def create_bytes(self, key: str, data: bytes) -> bool:
        """Put the object unless one exists; False if one does.

        Over a network a lost answer can turn one's own success into False: read the object back to know who won.
        """
        return self._backend.create(check_key(key), data)

    def take_file(self, key: str, path: Path) -> None:
        """Put a file atomically, however large it is, and remove it where it was."""
        self._backend.take_file(check_key(key), path)

    def get_file(self, key: str, path: Path) -> None:
        """Write the object's bytes to a new file, a part at a time.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store refuses or does not answer.
        """
        self._backend.get_file(check_key(key), path)

    def sign_put(self, key: str, seconds: int) -> str | None:
        """A URL at which anybody may PUT the object for ``seconds``; None for a folder."""
        return self._backend.sign_put(check_key(key), seconds)

    def exists(self, key: str) -> bool:
        """Whether there is an object of exactly this key."""
        return self._backend.exists(check_key(key))

    def list(self, prefix: str = "") -> Names:
        """Every key below the folder ``prefix``, sorted."""
        return sorted(self.sizes(prefix))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Bytes by key of every object below the folder ``prefix``."""
        return self._backend.sizes(check_key(prefix) if prefix else "")

    def list_children(self, prefix: str = "") -> Names:
        """The names directly inside the folder ``prefix``, sorted; objects and folders alike."""
        return self._backend.children(check_key(prefix) if prefix else "")

    def delete(self, prefix: str) -> None:
        """Remove the object, or the folder with everything in it; nothing there is fine."""
        self._backend.delete(check_key(prefix))

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left half-written below the folder ``prefix``."""
        self._backend.sweep(check_key(prefix))

    def settle(self, *prefixes: str) -> None:
        """Return when a power cut can no longer take the objects, or those below the folders; nothing there is fine.

        An object store's answer says so already; a folder's files are in memory at first, and its disk takes its time.
        """
        self._backend.settle([check_key(prefix) for prefix in prefixes])

    @property
    def _backend(self) -> Backend:
        folder = self.local_path
        if folder is not None:
            return Folder(folder)
        bucket, prefix = self.bucket_and_prefix
        return Bucket(open_bucket(bucket, S3Settings.from_environment()), bucket, prefix)


def open_store(url: str) -> Store:
    """The store of ``s3://bucket/prefix``, ``file:///folder`` or a plain path; nothing is read or made yet.

    Raises:
        BadInput: ``bad-url`` for another scheme or an S3 URL without a bucket.
    """
    if "://" not in url:
        return _folder(Path(url).expanduser().absolute())
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return _folder(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        prefix = url.removeprefix(f"s3://{parts.netloc}").strip("/")
        return Store(f"s3://{parts.netloc}/{check_key(prefix)}" if prefix else f"s3://{parts.netloc}")
    raise BadInput("bad-url", f"{url!r} is not a place Osteon can open", remedy="give s3://bucket/prefix or a folder")


def _folder(path: Path) -> Store:
    return Store((path.resolve() if ".." in path.parts else path).as_uri())


def check_key(key: str) -> str:
    """The key itself, if it stays inside its store."""
    if not key or any(part in ("", ".", "..") for part in key.split("/")):
        raise BadInput("bad-key", f"{key!r} is not a key inside a store", remedy="use names without dots and slashes")
    return key
