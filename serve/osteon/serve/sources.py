"""What a request's `source` may be: only what lies below a prefix that the operator has named.

Without this a caller could let the server read its own files, its cloud's metadata or its neighbours (server-side
request forgery). A URL is judged here by its text and, for files, by where its links lead; where a host's name leads,
`fetch` judges, as it connects.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from osteon.core.errors import BadInput, StoreError

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_FORBIDDEN = frozenset(' \\"<>^`{|}')


def _check_prefix(prefix: str) -> str:
    try:
        parts = _split(prefix)
    except BadInput:
        raise _bad_prefix(prefix) from None
    names_nothing = parts.path in ("", "/") if parts.scheme == "file" else not parts.netloc
    if parts.query or names_nothing:
        raise _bad_prefix(prefix)
    return prefix.rstrip("/")


def _check_https(prefix: str) -> str:
    if not prefix.startswith("https:"):
        raise BadInput("source-prefix", f"{prefix!r} is no https URL", remedy="give https://host/folder")
    return _check_prefix(prefix)


def _bad_prefix(prefix: str) -> BadInput:
    remedy = "give s3://bucket/folder, https://host/folder or file:///folder"
    return BadInput("source-prefix", f"{prefix!r} cannot be allowed: it names no place", remedy=remedy)


class SourceSettings(BaseModel):
    """What may be fetched; nothing, if the operator names nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[Annotated[str, AfterValidator(_check_prefix)], ...] = Field(
        default=(), description="prefixes of sources: s3://bucket/folder, https://host/folder, file:///folder"
    )
    networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description="networks that https sources may lie in besides the public internet, such as 10.20.0.0/16",
    )
    fetch_s: float = Field(
        default=1800.0, gt=0, description="longest time that fetching one source may take, in seconds"
    )
    tokens: dict[Annotated[str, AfterValidator(_check_https)], Path] = Field(
        default={}, description="files with a bearer token, by the prefix of the https URLs that it opens"
    )
    deposit: tuple[Annotated[str, AfterValidator(_check_https)], ...] = Field(
        default=(), description="prefixes of DICOMweb series whose archive is given their bones, if a caller wishes"
    )


def check_source(url: str, settings: SourceSettings) -> str:
    """The URL to read from: the same, or for a file the one that its links lead to.

    Raises:
        BadInput: ``source-url`` for what is no such URL, ``source-not-allowed`` for one outside of every prefix,
            ``not-found`` for a missing file in an allowed folder.
    """
    parts = _split(url)
    if not is_allowed(url, settings.allow):
        raise _not_allowed(parts)
    return _check_folder(parts, settings) if parts.scheme == "file" else url


def is_allowed(url: str, prefixes: Iterable[str]) -> bool:
    """Whether a URL lies below one of some prefixes."""
    return any(_is_below(_split(url), _split(prefix)) for prefix in prefixes)


def token_for(url: str, settings: SourceSettings) -> str | None:
    """The bearer token of the longest prefix that the URL lies below, read anew: an operator may replace it.

    Raises:
        StoreError: ``token-file``.
    """
    prefixes = [prefix for prefix in settings.tokens if is_allowed(url, [prefix])]
    if not prefixes:
        return None
    try:
        return settings.tokens[max(prefixes, key=len)].read_text("ascii").strip()
    except (OSError, UnicodeError):
        what = f"the token for {urlsplit(url).hostname} cannot be read"
        raise StoreError("token-file", what, remedy="ask the operator to mend sources.tokens") from None


def is_allowed_address(address: IPv4Address | IPv6Address, settings: SourceSettings) -> bool:
    """Whether a source may lie at the address: a public one, or in a network that the operator has named.

    IPv4 in IPv6's clothes (mapped, 6to4, NAT64) is judged as IPv4.
    """
    inner = _inner(address)
    if any(inner in network for network in settings.networks):
        return True
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def _split(url: str) -> SplitResult:
    """The URL's parts, if all readers will see the same ones in it.

    Raises:
        BadInput: ``source-url``.
    """
    if not url.isascii() or not url.isprintable() or not _FORBIDDEN.isdisjoint(url):
        raise _bad_url("it has characters that belong percent-encoded")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _bad_url("it cannot be parsed") from None
    if parts.scheme not in ("s3", "https", "file"):
        raise _bad_url(f"its scheme is {parts.scheme!r}")
    if "@" in parts.netloc or parts.fragment or (parts.query and parts.scheme != "https"):
        raise _bad_url("it has a user, a fragment or a query")
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise _bad_url("its file lies on another machine")
    names = unquote(unquote(parts.path)).split("/")  # twice: some servers decode once more than they should
    if any(name in (".", "..") for name in names) or "\\" in parts.path or "\0" in "".join(names):
        raise _bad_url("its path goes up")
    return parts


def _is_below(parts: SplitResult, prefix: SplitResult) -> bool:
    """Whether the prefix is the URL, or a folder above it."""
    if parts.scheme != prefix.scheme or _host(parts) != _host(prefix):
        return False
    folder = prefix.path.rstrip("/")
    return parts.path.rstrip("/") == folder or parts.path.startswith(f"{folder}/")


def _host(parts: SplitResult) -> tuple[str, int]:
    if parts.scheme == "https":
        return parts.hostname or "", parts.port or 443
    return (parts.netloc if parts.scheme == "s3" else ""), 0


def _check_folder(parts: SplitResult, settings: SourceSettings) -> str:
    """The real path of a file or folder, if it and every link in it stay in the allowed folders."""
    roots = [Path(unquote(urlsplit(prefix).path)).resolve() for prefix in settings.allow if prefix.startswith("file:")]
    path = Path(unquote(parts.path))
    if not (path.is_file() or path.is_dir()):
        raise BadInput("not-found", "there is no such file or folder", where=path.name)
    if _leads_out(path, roots):
        raise _not_allowed(parts)
    return path.resolve().as_uri()


def _leads_out(path: Path, roots: Sequence[Path]) -> bool:
    """Whether the path, or a file below it, links out of the roots; linked folders count: links may hide in them."""
    if not _is_inside(path, roots):
        return True
    for folder, folders, files in os.walk(path):
        if any(Path(folder, name).is_symlink() for name in folders):
            return True
        links = (link for name in files if (link := Path(folder, name)).is_symlink())
        if not all(_is_inside(link, roots) for link in links):
            return True
    return False


def _is_inside(path: Path, roots: Sequence[Path]) -> bool:
    real = path.resolve()
    return any(real.is_relative_to(root) for root in roots)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _bad_url(why: str) -> BadInput:
    remedy = "give s3://bucket/key, https://host/path or file:///path, or upload the scan"
    return BadInput("source-url", f"the source is no URL that is read here: {why}", remedy=remedy)


def _not_allowed(parts: SplitResult) -> BadInput:
    place = f"{parts.scheme}://{parts.hostname or ''}" if parts.scheme == "https" else f"that {parts.scheme}:// URL"
    remedy = "upload the scan, or ask the operator to allow a prefix of the URL"
    return BadInput("source-not-allowed", f"this server does not read from {place}", remedy=remedy)
