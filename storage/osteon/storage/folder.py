"""A local folder as a store: every object is a file that appears whole or not at all.

Writes go to a hidden temporary file beside the target and are renamed. A kill leaves at most that hidden file, which
listings do not show and `sweep` removes. Files are fsynced by `settle` only: of what was not settled, checksums tell
after a power cut what was lost.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from osteon.core.errors import StoreError

ATTEMPTS = 3  # a write is begun again when another process removes its folder or sweeps its temporary file


@dataclass(frozen=True)
class Folder:
    """The files below ``root``."""

    root: Path

    def read(self, key: str) -> bytes:
        """The file's bytes; FileNotFoundError if there is none."""
        path = self.root / key
        with _clear_errors(path):
            try:
                return path.read_bytes()
            except (IsADirectoryError, NotADirectoryError):
                raise FileNotFoundError(errno.ENOENT, "no such object", str(path)) from None

    def write(self, key: str, data: bytes) -> None:
        """Replace or create the file in one step."""
        path = self.root / key
        with _clear_errors(path):
            _with_temporary(path, _writing(data), lambda temporary: temporary.replace(path))

    def create(self, key: str, data: bytes) -> bool:
        """Create the file in one step; False if there is one (hard links refuse to replace)."""
        path = self.root / key
        with _clear_errors(path):
            try:
                _with_temporary(path, _writing(data), path.hardlink_to)
            except FileExistsError:
                return False
        return True

    def take_file(self, key: str, path: Path) -> None:
        """Replace or create the file in one step: by a move within one disk, by a copy from another."""
        target = self.root / key
        with _clear_errors(target):
            _with_temporary(target, lambda temporary: shutil.move(path, temporary), lambda each: each.replace(target))

    def get_file(self, key: str, path: Path) -> None:
        """Copy the file."""
        with _clear_errors(self.root / key):
            try:
                shutil.copyfile(self.root / key, path)
            except (IsADirectoryError, NotADirectoryError):
                raise FileNotFoundError(errno.ENOENT, "no such object", str(self.root / key)) from None

    def sign_put(self, _key: str, _seconds: int) -> None:
        """A folder has no URL for others."""
        return

    def exists(self, key: str) -> bool:
        """Whether there is a file of this name."""
        return (self.root / key).is_file()

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes by key of every file below ``prefix``."""
        return {path.relative_to(self.root).as_posix(): path.stat().st_size for path in self._files(prefix)}

    def children(self, prefix: str) -> list[str]:
        """Names of files and folders directly in ``prefix``."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return sorted(path.name for path in (self.root / prefix).iterdir() if not _is_temporary(path.name))
        return []

    def delete(self, prefix: str) -> None:
        """Remove the file or the folder."""
        path = self.root / prefix
        with _clear_errors(path), suppress(FileNotFoundError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def sweep(self, prefix: str) -> None:
        """Remove temporary files that killed writers left."""
        for path in list((self.root / prefix).rglob(".*.tmp")):
            path.unlink(missing_ok=True)

    def settle(self, prefixes: Sequence[str]) -> None:
        """Have the disk keep the files, and the folders that name them, up to the one that holds the root."""
        found = {each for prefix in prefixes for each in _tree(self.root / prefix)}
        above = {folder for path in found for folder in path.parents if folder not in self.root.parent.parents}
        with _clear_errors(self.root):
            # Files before the folders that name them: a name must not last longer than what it names.
            for path in sorted(found | above, key=lambda path: len(path.parts), reverse=True):
                _settle(path)

    def _files(self, prefix: str) -> Iterator[Path]:
        for folder, _, names in os.walk(self.root / prefix):
            yield from (Path(folder, name) for name in names if not _is_temporary(name))


def _tree(path: Path) -> Iterator[Path]:
    yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder), *(Path(folder, name) for name in names))


def _settle(path: Path) -> None:
    try:
        opened = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # removed meanwhile
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _writing(data: bytes) -> Callable[[Path], object]:
    return lambda temporary: temporary.write_bytes(data)


def _with_temporary(path: Path, write: Callable[[Path], object], put: Callable[[Path], object]) -> None:
    """Write a temporary file and ``put`` it in its place; again, if it or its folder was removed meanwhile."""
    for attempt in range(ATTEMPTS):
        try:
            with _temporary(path, write) as temporary:
                put(temporary)
            return
        except FileNotFoundError:
            if attempt == ATTEMPTS - 1:
                raise


@contextmanager
def _temporary(path: Path, write: Callable[[Path], object]) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        write(temporary)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise StoreError(
            "store-denied", f"permission denied ({error.strerror})", where=str(path), remedy="mend the folder's rights"
        ) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StoreError(
            "store-full" if full else "store-failed",
            f"cannot write: {error.strerror}" if full else f"{error.strerror}",
            where=str(path),
            remedy="make room and run the same command again" if full else "look at the disk and its mount",
        ) from error
