"""Fetches a scan over HTTPS into a file: from the very address that was judged, in bounded bytes and time."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx

from osteon.core.errors import BadInput, StoreError
from osteon.serve.sources import SourceSettings, check_source, is_allowed_address, token_for

_CONNECT_S = 10.0
_READ_S = 30.0
# At INFO httpx tells each URL with its query, which for a signed URL is a password.
logging.getLogger("httpx").setLevel(logging.WARNING)


def fetch(url: str, path: Path, settings: SourceSettings, *, max_bytes: int) -> int:
    """Write what an allowed https URL gives to a new file; its number of bytes. A failure leaves no file.

    Raises:
        BadInput: as `check_source`; ``source-address`` for a host inside, ``source-redirect``, ``source-refused``,
            ``source-encoding``, ``too-large``.
        StoreError: ``source-unreachable``, ``source-slow``: the host does not answer as it should.
    """
    check_source(url, settings)
    deadline_s = time.monotonic() + settings.fetch_s
    try:
        with path.open("xb") as file:
            for piece in _pieces(url, settings, max_bytes):
                file.write(piece)
                if time.monotonic() > deadline_s:
                    what = f"the source has not come in within {settings.fetch_s:g} s"
                    raise StoreError("source-slow", what, where=_host(url), remedy="ask again, or upload the scan")
            return file.tell()
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def checked_address(host: str, port: int, settings: SourceSettings) -> str:
    """An address of the host; all that it has must be allowed, or a second look could find another one.

    Raises:
        BadInput: ``source-address``.
        StoreError: ``source-unreachable`` if the name leads nowhere.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unreachable(host) from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not all(is_allowed_address(ipaddress.ip_address(address), settings) for address in addresses):
        what = f"{host} lies in a network that this server does not read from"
        raise BadInput("source-address", what, remedy="upload the scan, or ask the operator to allow the network")
    return addresses[0]


def _pieces(url: str, settings: SourceSettings, max_bytes: int) -> Iterator[bytes]:
    count, place = 0, judged_place(url, settings)
    timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
    # No proxy and no .netrc of the environment; a hospital's own authority is trusted through SSL_CERT_FILE.
    with httpx.Client(verify=ssl.create_default_context(), trust_env=False, timeout=timeout) as client:
        try:
            response = client.send(_request(client, place), stream=True)
            _check_response(response, _host(url))
            for piece in response.iter_raw():  # as it comes in: gathered pieces would hide a host that drips
                count += len(piece)
                if count > max_bytes:
                    what = f"the source has more than the {max_bytes} bytes that are taken in"
                    raise BadInput("too-large", what, where=_host(url), remedy="crop the scan")
                yield piece
        except httpx.TransportError:
            raise _unreachable(_host(url)) from None


@dataclass(frozen=True)
class Place:
    """Where a request goes.

    Attributes:
        url: with the address that was judged in place of the host's name.
        headers: the host's name, and the token that opens the place, if the operator has one.
        extensions: the host's name for TLS.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extensions: Mapping[str, str] = field(default_factory=dict)


def judged_place(url: str, settings: SourceSettings) -> Place:
    """The judged address itself, with the host's name where TLS and HTTP want it.

    Were the name resolved again for the connection, its owner could answer differently now (DNS rebinding).

    Raises:
        BadInput, StoreError: as `checked_address` and `token_for`.
    """
    parts = urlsplit(url)
    host, port = _host(url), parts.port or 443
    address = checked_address(host, port, settings)
    pinned = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    token = token_for(url, settings)
    headers = {"Host": parts.netloc} | ({"Authorization": f"Bearer {token}"} if token else {})
    return Place(urlunsplit(("https", pinned, parts.path or "/", parts.query, "")), headers, {"sni_hostname": host})


def _request(client: httpx.Client, place: Place) -> httpx.Request:
    headers = {**place.headers, "Accept-Encoding": "identity"}
    return client.build_request("GET", place.url, headers=headers, extensions=dict(place.extensions))


def _check_response(response: httpx.Response, host: str) -> None:
    """A whole file as it is: no redirect, which could lead inside; no compression, which could be a bomb."""
    if response.is_redirect:
        raise BadInput("source-redirect", "the source redirects", where=host, remedy="give the URL that it leads to")
    if response.status_code >= 500:
        raise _unreachable(host)
    if response.status_code != httpx.codes.OK:
        what = f"the source's host answers {response.status_code}"
        raise BadInput("source-refused", what, where=host, remedy="check the URL and whether it has expired")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise BadInput("source-encoding", "the host compresses on its way", where=host, remedy="let it send the file")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _unreachable(host: str) -> StoreError:
    return StoreError("source-unreachable", "the source's host does not answer", where=host, remedy="ask again later")
