"""A real HTTPS server of this machine, with an authority and a certificate of its own."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class HttpsServer:
    """What is needed to reach it, and what it was asked for.

    Attributes:
        port: it listens on 127.0.0.1.
        certificate: what to trust, a PEM file.
        answers: how each path is answered; other paths are not found.
        asked: Host header and target of each request.
    """

    port: int
    certificate: Path
    answers: dict[str, Answer]
    asked: list[tuple[str | None, str]] = field(default_factory=list)


@contextmanager
def serve_https(folder: Path, host: str) -> Iterator[HttpsServer]:
    """Serve under a certificate that is good for ``host`` only."""
    certificate, key = _make_certificate(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        server = HttpsServer(httpd.server_address[1], certificate, {})
        httpd.https_server = server  # type: ignore[attr-defined]
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        httpd.shutdown()
        thread.join()


def lead_here(host: str, server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a host's name lead to this machine, and trust the server's certificate."""
    look_up = socket.getaddrinfo

    def resolve(name: Any, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if name in (host, host.encode()) else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))


def give(data: bytes, *, status: int = 200, **headers: str) -> Answer:
    """Answer with some bytes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return answer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: HttpsServer = self.server.https_server  # type: ignore[attr-defined]
        server.asked.append((self.headers.get("Host"), self.path))
        server.answers.get(self.path.partition("?")[0], give(b"", status=404))(self)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
