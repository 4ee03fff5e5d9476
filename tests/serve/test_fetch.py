"""Fetching: from a real HTTPS server, and from hosts that lead inside, redirect, drip, swell or move."""

import gzip
import logging
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from https import HttpsServer, give, serve_https

from osteon.core.errors import BadInput, OsteonError, StoreError
from osteon.serve.fetch import checked_address, fetch
from osteon.serve.sources import SourceSettings

HOST = "scans.test"
DATA = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serve_https(tmp_path_factory.mktemp("https"), HOST) as server:
        server.answers["/ct/scan"] = give(DATA, Content_Length=str(len(DATA)))
        yield server


class Names:
    """Answers of the name server, one after the other; the last one stays."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {HOST: ["127.0.0.1"]}
        self._look_up = socket.getaddrinfo

    def __call__(self, host: Any, *arguments: Any, **options: Any) -> Any:
        answers = self.addresses.get(host, [host])
        return self._look_up(answers.pop(0) if len(answers) > 1 else answers[0], *arguments, **options)


@pytest.fixture(autouse=True)
def names(https: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setenv("SSL_CERT_FILE", str(https.certificate))
    https.asked.clear()
    return names


def _settings(https: HttpsServer, **options: Any) -> SourceSettings:
    allow = (f"https://{HOST}:{https.port}/ct", f"https://other.test:{https.port}")
    return SourceSettings.model_validate({"allow": allow, "networks": ["127.0.0.1/32"]} | options)


def _fetch(https: HttpsServer, path: Path, target: str = "/ct/scan", **options: Any) -> int:
    url = f"https://{HOST}:{https.port}{target}"
    return fetch(url, path, _settings(https, **options), max_bytes=len(DATA))


def _refused(https: HttpsServer, folder: Path, target: str = "/ct/scan", **options: Any) -> OsteonError:
    with pytest.raises(OsteonError) as caught:
        _fetch(https, folder / "scan", target, **options)
    assert list(folder.iterdir()) == []
    return caught.value


def test_a_scan_is_fetched_whole(https: HttpsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert _fetch(https, tmp_path / "scan", "/ct/scan?signature=secret") == len(DATA)
    assert (tmp_path / "scan").read_bytes() == DATA
    assert https.asked == [(f"{HOST}:{https.port}", "/ct/scan?signature=secret")]
    assert "secret" not in caplog.text


def test_the_address_that_was_judged_is_the_one_that_is_asked(https: HttpsServer, names: Names, tmp_path: Path) -> None:
    """DNS rebinding: the second answer leads to another machine (where nobody listens)."""
    names.addresses[HOST] = ["127.0.0.1", "127.0.0.77"]
    assert _fetch(https, tmp_path / "scan") == len(DATA)
    assert names.addresses[HOST] == ["127.0.0.77"]


@pytest.mark.parametrize("address", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.2"])
def test_a_name_that_leads_inside_is_refused(https: HttpsServer, names: Names, tmp_path: Path, address: str) -> None:
    names.addresses[HOST] = [address]
    error = _refused(https, tmp_path)
    assert error.code == "source-address"
    assert address not in str(error)
    assert https.asked == []


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "0x7f000001", "127.1", "localhost", "0"])
def test_loopback_in_disguise_is_refused(host: str) -> None:
    with pytest.raises(BadInput, match="source-address"):
        checked_address(host, 443, SourceSettings())


def test_one_address_inside_spoils_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(BadInput, match="source-address"):
        checked_address(HOST, 443, SourceSettings())


def test_a_host_outside_of_the_list_is_not_even_looked_up(https: HttpsServer, names: Names, tmp_path: Path) -> None:
    names.addresses[HOST] = ["127.0.0.1", "never looked up"]
    assert _refused(https, tmp_path, "/admin/scan").code == "source-not-allowed"
    assert len(names.addresses[HOST]) == 2


def test_redirects_are_refused(https: HttpsServer, tmp_path: Path) -> None:
    https.answers["/ct/away"] = give(b"", status=302, Location=f"https://{HOST}:{https.port}/ct/scan")
    assert _refused(https, tmp_path, "/ct/away").code == "source-redirect"
    assert [target for _, target in https.asked] == ["/ct/away"]


def test_a_certificate_of_another_host_is_refused(https: HttpsServer, names: Names, tmp_path: Path) -> None:
    names.addresses["other.test"] = ["127.0.0.1"]
    with pytest.raises(StoreError, match="source-unreachable"):
        fetch(f"https://other.test:{https.port}/ct/scan", tmp_path / "scan", _settings(https), max_bytes=10)
    assert https.asked == []


def test_an_authority_that_is_not_trusted_is_refused(
    https: HttpsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert _refused(https, tmp_path).code == "source-unreachable"


@pytest.mark.parametrize("declared", [None, str(len(DATA) + 1), "10"])
def test_more_bytes_than_allowed_are_cut_off(https: HttpsServer, tmp_path: Path, declared: str | None) -> None:
    large = DATA + b"!"
    https.answers["/ct/large"] = give(large, Content_Length=declared) if declared else give(large)
    if declared == "10":  # what comes after the declared end is not part of the answer
        assert _fetch(https, tmp_path / "scan", "/ct/large") == 10
    else:
        assert _refused(https, tmp_path, "/ct/large").code == "too-large"


def test_an_answer_that_breaks_off_leaves_nothing(https: HttpsServer, tmp_path: Path) -> None:
    https.answers["/ct/short"] = give(DATA[:1000], Content_Length=str(len(DATA)))
    assert _refused(https, tmp_path, "/ct/short").code == "source-unreachable"


def test_an_answer_that_drips_is_given_up(https: HttpsServer, tmp_path: Path) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        give(b"", Content_Length=str(len(DATA)))(request)
        for _ in range(50):
            request.wfile.write(b"0" * 3000)
            request.wfile.flush()
            time.sleep(0.05)

    https.answers["/ct/drip"] = drip
    begun_s = time.monotonic()
    assert _refused(https, tmp_path, "/ct/drip", fetch_s=0.2).code == "source-slow"
    assert time.monotonic() - begun_s < 2


def test_compression_on_the_way_is_refused(https: HttpsServer, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    https.answers["/ct/bomb"] = give(bomb, Content_Encoding="gzip", Content_Length=str(len(bomb)))
    assert _refused(https, tmp_path, "/ct/bomb").code == "source-encoding"


@pytest.mark.parametrize(
    ("status", "code"), [(404, "source-refused"), (403, "source-refused"), (503, "source-unreachable")]
)
def test_a_host_that_does_not_give_it_says_so(https: HttpsServer, tmp_path: Path, status: int, code: str) -> None:
    https.answers["/ct/no"] = give(b"stack trace", status=status)
    assert _refused(https, tmp_path, "/ct/no").code == code


def test_a_proxy_of_the_environment_is_not_used(
    https: HttpsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would resolve the name by itself."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert _fetch(https, tmp_path / "scan") == len(DATA)
