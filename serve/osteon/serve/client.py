"""A service as seen from Python: send a scan, follow it, fetch the result. Knows HTTP, nothing of the inside.

```python
client = Client("http://127.0.0.1:8000")
segmentation = client.follow(client.send("scan.nii.gz").id)
client.fetch(segmentation.id, "bones.nii.gz")
```
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from osteon.core.errors import BadInput, BadScan, Conflict, OsteonError, StoreError
from osteon.serve.endings import suffix_of
from osteon.serve.parcel import as_file
from osteon.serve.schemas import ENDED, Format, Model, ModelList, Segmentation, SegmentationPage, Upload
from osteon.storage.export.write import write_whole

KEY = "OSTEON_KEY"
PATIENCE_S = 60.0  # how long a server that does not answer is asked again
POLL_S = 0.5
_AGAIN = (429, 502, 503, 504)
_TIMEOUT = httpx.Timeout(600.0, connect=5.0)  # surfaces of a whole skeleton take minutes to be made
T = TypeVar("T")


class Client:
    """A connection to a service.

    Args:
        url: where it answers.
        key: sent with every request; by default the one of ``OSTEON_KEY``, if there is one.
        patience_s: how long a server that has answered once, and is full or being restarted now, is asked again.

    Raises:
        BadInput: ``server-url``.
    """

    def __init__(self, url: str, key: str | None = None, *, patience_s: float = PATIENCE_S) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput("server-url", f"{url!r} is no server", remedy="give http://HOST:PORT or https://HOST")
        key = key or os.environ.get(KEY)
        self._key = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT)
        self._url, self._patience_s, self._has_answered = url, patience_s, False

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def models(self) -> tuple[Model, ...]:
        """The models that are served; the first one is the default."""
        return ModelList.model_validate_json(self._ask("GET", "/v1/models")).models

    def model(self, name: str) -> Model:
        """One of the models.

        Raises:
            BadInput: ``not-found``.
        """
        return Model.model_validate_json(self._ask("GET", f"/v1/models/{quote(name, safe='')}"))

    def send(
        self,
        scan: Path | str,
        *,
        model: str | None = None,
        labels: Sequence[str] | None = None,
        deposit: bool = False,
    ) -> Segmentation:
        """Ask for the bones of a scan file, of a folder of DICOM files, or of a URL that the service may read.

        What is asked again, because no answer came, is the same order. With ``deposit`` the DICOMweb archive that the
        URL leads to is given the bones, too.

        Raises:
            BadInput, BadScan: what the service refuses.
            StoreError: ``no-server``: it does not answer.
        """
        wish: dict[str, object] = {"model": model, "labels": list(labels) if labels else None, "deposit": deposit}
        if "://" in str(scan):
            wish["source"] = str(scan)
        else:
            wish["upload"] = self._upload(Path(scan))
        answer = self._ask("POST", "/v1/segmentations", json=wish, headers={"Idempotency-Key": uuid.uuid4().hex})
        return Segmentation.model_validate_json(answer)

    def get(self, id_: str) -> Segmentation:
        """How far a segmentation is."""
        return Segmentation.model_validate_json(self._ask("GET", f"/v1/segmentations/{id_}"))

    def follow(self, id_: str, on_change: Callable[[Segmentation], None] | None = None) -> Segmentation:
        """Wait for the end of a segmentation, through restarts of the service.

        Raises:
            BadInput, BadScan: why it failed.
            StoreError: ``no-server``.
        """
        told = None
        while True:
            segmentation = self.get(id_)
            if on_change and segmentation != told:
                on_change(segmentation)
            told = segmentation
            if segmentation.problem is not None:
                raise _refusal(segmentation.problem.model_dump(), segmentation.problem.status)
            if segmentation.state in ENDED:
                return segmentation
            time.sleep(POLL_S)

    def fetch(self, id_: str, path: Path | str, *, format: Format = "nifti", bone: str | None = None) -> None:
        """Write a result to a file as it comes in, whole or not at all."""
        query = {"format": format} | ({"bone": bone} if bone else {})

        def attempt() -> None:
            with self._answer("GET", f"/v1/segmentations/{id_}/result", params=query) as answer:
                write_whole(Path(path), lambda file: file.writelines(answer.iter_bytes()))

        self._insist(attempt)

    def delete(self, id_: str) -> None:
        """Stop a segmentation if it is under way, and delete its scan and its result."""
        self._ask("DELETE", f"/v1/segmentations/{id_}")

    def list(self, limit: int = 50, after: str | None = None) -> SegmentationPage:
        """One's own segmentations, newest first."""
        query: dict[str, str | int] = {"limit": limit} | ({"after": after} if after else {})
        return SegmentationPage.model_validate_json(self._ask("GET", "/v1/segmentations", params=query))

    def _upload(self, scan: Path) -> str:
        """Send a scan's bytes; the upload's id. Announced first, so that a refusal costs no transfer."""
        with as_file(scan) as path:
            wish = {"filename": f"scan{suffix_of(path.name)}", "size": path.stat().st_size or None}
            upload = Upload.model_validate_json(self._ask("POST", "/v1/uploads", json=wish))
            # The service may know itself by another address than we do, behind a proxy; only a store's URL is foreign.
            own = f"/v1/uploads/{upload.id}"
            url = own if urlsplit(upload.url).path.endswith(own) else upload.url
            self._ask(upload.method, url, headers=upload.headers, file=path)
        return upload.id

    def _ask(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> bytes:
        """The body of an answer that is none of a refusal."""

        def attempt() -> bytes:
            with ExitStack() as stack:
                content = stack.enter_context(file.open("rb")) if file is not None else None
                return stack.enter_context(
                    self._answer(method, url, params=params, json=json, headers=headers, content=content)
                ).read()

        return self._insist(attempt)

    @contextmanager
    def _answer(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> Iterator[httpx.Response]:
        """An answer that is none of a refusal, its body still to come; `_Later` if another attempt may get one."""
        key = self._key if url.startswith("/") else {}  # nobody else gets to see it
        try:
            with self._http.stream(method, url, headers={**key, **(headers or {})}, **request) as answer:
                self._has_answered = True
                if not answer.is_success:
                    answer.read()
                    refusal = _refusal(_problem(answer), answer.status_code)
                    raise _Later(refusal, _retry_after_s(answer)) if answer.status_code in _AGAIN else refusal
                yield answer
        except httpx.TransportError as error:
            what = f"nobody answers: {error or type(error).__name__}"
            remedy = "check the address, and that osteon serve runs"
            raise _Later(StoreError("no-server", what, where=self._url, remedy=remedy), POLL_S) from None

    def _insist(self, attempt: Callable[[], T]) -> T:
        """What an attempt gives; a server that is away or full for a while is asked again."""
        until = time.monotonic() + self._patience_s
        while True:
            try:
                return attempt()
            except _Later as later:
                if not self._has_answered or time.monotonic() + later.wait_s > until:
                    raise later.refusal from None
                time.sleep(later.wait_s)


class _Later(Exception):
    """No answer, or one that asks for patience."""

    def __init__(self, refusal: OsteonError, wait_s: float) -> None:
        super().__init__(refusal, wait_s)
        self.refusal, self.wait_s = refusal, wait_s


def _problem(answer: httpx.Response) -> Mapping[str, object]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = None
    if isinstance(found, dict) and "code" in found:
        return found
    return {"code": "no-answer", "detail": f"the server answers {answer.status_code} {answer.reason_phrase}"}


def _refusal(problem: Mapping[str, object], status: int) -> OsteonError:
    """The server's refusal as one of ours."""
    told = {name: str(problem.get(name) or "") for name in ("code", "detail", "where", "remedy")}
    return _kind(status)(told["code"], told["detail"], where=told["where"], remedy=told["remedy"])


def _kind(status: int) -> type[OsteonError]:
    if status in (409, 422):
        return Conflict if status == 409 else BadScan
    return BadInput if 400 <= status < 500 else StoreError


def _retry_after_s(answer: httpx.Response) -> float:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else POLL_S
