"""A small DICOMweb archive of this machine: gives one series by WADO-RS, takes objects by STOW-RS, wants a token."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler

import pydicom
from https import HttpsServer

ROOT = "/dicom-web"


@dataclass
class DicomWeb:
    """The archive.

    Attributes:
        files: of the series.
        token: without which it gives nothing and takes nothing.
        refusals: statuses of the next attempts to store; then it takes what comes.
        stored: what it has taken, one object for each of their identifiers.
        attempts: to store something.
    """

    files: list[bytes]
    token: str
    refusals: list[int] = field(default_factory=list)
    stored: dict[str, pydicom.Dataset] = field(default_factory=dict)
    attempts: int = 0

    def open(self, server: HttpsServer) -> str:
        """Answer there; the URL of the study, below the server's name."""
        first = pydicom.dcmread(io.BytesIO(self.files[0]), stop_before_pixels=True)
        study = f"{ROOT}/studies/{first.StudyInstanceUID}"
        server.answers[study] = self._store
        server.answers[f"{study}/series/{first.SeriesInstanceUID}"] = self._give
        return f"{study}/series/{first.SeriesInstanceUID}"

    def _give(self, request: BaseHTTPRequestHandler) -> None:
        if self._answer(request, 200 if self._is_known(request) else 401):
            head = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
            request.wfile.write(b"".join(head + file + b"\r\n" for file in self.files) + b"--part--\r\n")

    def _store(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.attempts += 1
        status = 401 if not self._is_known(request) else self.refusals.pop(0) if self.refusals else 200
        if self._answer(request, status):
            kind = request.headers["Content-Type"]
            [part] = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).iter_parts()
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found = pydicom.dcmread(io.BytesIO(payload))
            self.stored[found.SOPInstanceUID] = found
            request.wfile.write(json.dumps({}).encode())

    def _is_known(self, request: BaseHTTPRequestHandler) -> bool:
        return request.headers["Authorization"] == f"Bearer {self.token}"

    def _answer(self, request: BaseHTTPRequestHandler, status: int) -> bool:
        request.send_response(status)
        request.end_headers()
        return status == 200
