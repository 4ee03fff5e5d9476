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
import shutil
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import httpx

from osteon.core.errors import BadInput, BadScan, Conflict, OsteonError, StoreError
from osteon.serve.schemas import ENDED, Format, Model, ModelList, Segmentation, SegmentationPage

KEY = "OSTEON_KEY"
PATIENCE_S = 60.0  # how long a server that does not answer is asked again
POLL_S = 1.0
_KIND_OF_STATUS: dict[int, type[OsteonError]] = {400: BadInput, 404: BadInput, 409: Conflict, 422: BadScan}
_AGAIN = (429, 502, 503, 504)


class Client:
    """A connection to a service.

    Args:
        url: where it answers.
        key: sent with every request; by default the one of ``OSTEON_KEY``, if there is one.
        patience_s: how long a server that is gone, full or being restarted is asked again.
    """

    def __init__(self, url: str, key: str | None = None, *, patience_s: float = PATIENCE_S) -> None:
        key = key or os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=httpx.Timeout(60.0, connect=5.0))
        self._url, self._patience_s = url, patience_s

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def models(self) -> tuple[Model, ...]:
        """The models that are served; the first one is the default."""
        return ModelList.model_validate(self._ask("GET", "/v1/models").json()).models

    def send(self, scan: Path | str, *, model: str | None = None, labels: Sequence[str] | None = None) -> Segmentation:
        """Ask for the bones of a scan file, of a folder of DICOM files, or of a URL that the service may read.

        What is asked again, because no answer came, is the same order.

        Raises:
            BadInput, BadScan: what the service refuses.
            StoreError: ``no-server``: it does not answer.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        if "://" in str(scan):
            wish = {"source": str(scan), "model": model, "labels": list(labels) if labels else None}
            answer = self._ask("POST", "/v1/segmentations", json=wish, headers=headers)
            return Segmentation.model_validate(answer.json())
        fields = {"model": model, "labels": ",".join(labels) if labels else None}
        with _as_file(Path(scan)) as path:
            query = {"filename": f"scan{''.join(path.suffixes[-2:])}"} | {k: v for k, v in fields.items() if v}
            answer = self._ask("POST", "/v1/segmentations", params=query, headers=headers, file=path)
        return Segmentation.model_validate(answer.json())

    def get(self, id_: str) -> Segmentation:
        """How far a segmentation is."""
        return Segmentation.model_validate(self._ask("GET", f"/v1/segmentations/{id_}").json())

    def follow(self, id_: str, on_change: Callable[[Segmentation], None] | None = None) -> Segmentation:
        """Wait for the end of a segmentation, through restarts of the service.

        Raises:
            BadScan: why it failed.
            StoreError: ``no-server``.
        """
        while True:
            segmentation = self.get(id_)
            if on_change:
                on_change(segmentation)
            if segmentation.problem is not None:
                raise _refusal(segmentation.problem.model_dump(), 422)
            if segmentation.state in ENDED:
                return segmentation
            time.sleep(POLL_S)

    def fetch(self, id_: str, path: Path | str, *, format: Format = "nifti", bone: str | None = None) -> None:
        """Write a result to a file, whole or not at all."""
        path = Path(path)
        query = {"format": format} | ({"bone": bone} if bone else {})
        answer = self._ask("GET", f"/v1/segmentations/{id_}/result", params=query)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False) as file:
            file.write(answer.content)
        Path(file.name).replace(path)

    def delete(self, id_: str) -> None:
        """Stop a segmentation if it is under way, and delete its scan and its result."""
        self._ask("DELETE", f"/v1/segmentations/{id_}")

    def list(self, limit: int = 50, after: str | None = None) -> SegmentationPage:
        """One's own segmentations, newest first."""
        query: dict[str, str | int] = {"limit": limit} | ({"after": after} if after else {})
        return SegmentationPage.model_validate(self._ask("GET", "/v1/segmentations", params=query).json())

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> httpx.Response:
        """An answer that is none of a refusal; a server that is away for a while is asked again."""
        until = time.monotonic() + self._patience_s
        while True:
            wait_s = POLL_S
            try:
                content = _pieces(file) if file is not None else None
                answer = self._http.request(method, path, params=params, json=json, headers=headers, content=content)
                if answer.is_success:
                    return answer
                if answer.status_code not in _AGAIN or time.monotonic() > until:
                    raise _refusal(_problem(answer), answer.status_code)
                wait_s = _retry_after(answer)
            except httpx.TransportError as error:
                if time.monotonic() > until:
                    what = f"nobody answers: {error or type(error).__name__}"
                    remedy = "check the address, and that osteon serve runs"
                    raise StoreError("no-server", what, where=self._url, remedy=remedy) from None
            time.sleep(min(wait_s, max(POLL_S, until - time.monotonic())))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


@contextmanager
def _as_file(scan: Path) -> Iterator[Path]:
    """A folder of DICOM files as a zip of them; their names, which may tell of patients, stay here."""
    if not scan.is_dir():
        if not scan.is_file():
            raise BadInput("no-scan", "there is no such file or folder", where=str(scan), remedy="check the path")
        yield scan
        return
    with tempfile.TemporaryDirectory(prefix="osteon-send-") as scratch:
        path = Path(scratch, "scan.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for number, file in enumerate(sorted(found for found in scan.rglob("*") if found.is_file())):
                with file.open("rb") as source, archive.open(f"{number:06d}.dcm", "w") as target:
                    shutil.copyfileobj(source, target)
        yield path


def _problem(answer: httpx.Response) -> dict[str, object]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        found = None
    if isinstance(found, dict) and "code" in found:
        return found
    return {"code": "no-answer", "detail": f"the server answers {answer.status_code} {answer.reason_phrase}"}


def _refusal(problem: Mapping[str, object], status: int) -> OsteonError:
    """The server's refusal as one of ours."""
    kind = _KIND_OF_STATUS.get(status, OsteonError)
    told = {name: str(problem.get(name) or "") for name in ("code", "detail", "where", "remedy")}
    return kind(told["code"], told["detail"], where=told["where"], remedy=told["remedy"])


def _retry_after(answer: httpx.Response) -> float:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else POLL_S
