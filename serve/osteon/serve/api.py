"""The HTTP API: takes orders, tells how far they are, gives results. Stateless; its memory is the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.background import BackgroundTask

from osteon.core.errors import BadInput, Conflict
from osteon.serve.audit import request_id
from osteon.serve.auth import caller_of
from osteon.serve.deposit import check_deposit
from osteon.serve.endings import suffix_of
from osteon.serve.formats import Result, ResultFile, write_result, write_scan_file
from osteon.serve.front import DeskAway, Front
from osteon.serve.guard import install_guards
from osteon.serve.intake import Intake
from osteon.serve.ledger import Ledger, NotFound
from osteon.serve.metrics import MEDIA_TYPE, Courier, Measured
from osteon.serve.models import describe
from osteon.serve.openapi import description_of
from osteon.serve.problems import TryLater
from osteon.serve.receiving import Received, receive, receive_file
from osteon.serve.schemas import (
    ENDED,
    Format,
    Model,
    ModelList,
    Order,
    Segmentation,
    SegmentationPage,
    Upload,
    UploadWish,
    now,
)
from osteon.serve.settings import ServeSettings
from osteon.serve.sources import check_source
from osteon.serve.steps import result_case
from osteon.storage.export.dicom_seg import Algorithm

PAGE = Path(__file__).with_name("static")
POLL_S = 0.25  # between looks at an order that somebody waits for
SILENT_S = 15.0  # longest silence of a stream of events, so that no proxy closes it
UPLOAD_S = 3600  # an announced upload is taken for so long
COUNT_S = 2.0  # the number of open orders may be so old
MAX_WAIT_S = 60.0


class Api:
    """The routes.

    Args:
        settings: of the service.
        front: who does the work.
    """

    def __init__(self, settings: ServeSettings, front: Front) -> None:
        self._settings, self._front = settings, front
        self._ledger = Ledger(settings.open_store())
        self._models: dict[str, Model] = {}
        self._open, self._counted = 0, -COUNT_S
        self.numbers = Courier(front.tell)

    async def post(
        self,
        request: Request,
        response: Response,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the end.")] = 0,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Segmentation:
        """Ask for the bones of a scan: JSON that names it, a form with it, or the scan itself with ?filename=."""
        await self._check_room()
        owner = owner_of(request)
        with self._ledger.receiving() as scratch:
            received = await receive(request, scratch)
            order = await asyncio.to_thread(self._accept, received, owner, idempotency_key)
        request.state.segmentation_id = order.id  # for the audit
        with suppress(DeskAway):  # it finds the order by itself
            await self._front.take(order.id)
        segmentation = await self._waited(order, wait)
        response.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/segmentations/{order.id}"
        response.status_code = 200 if segmentation.state in ENDED else 202
        return segmentation

    async def get(self, request: Request, id: str) -> Segmentation:  # the path's own name
        """How far a segmentation is."""
        order = await self._order(request, id)
        return await asyncio.to_thread(self._ledger.segmentation, order)

    async def events(self, request: Request, id: str) -> StreamingResponse:
        """How far a segmentation is, each time that it changes, as server-sent events."""
        order = await self._order(request, id)
        return StreamingResponse(
            self._changes(order), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def page(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
    ) -> SegmentationPage:
        """Your segmentations, newest first."""
        orders, following = await asyncio.to_thread(self._ledger.owned, owner_of(request), after, limit)
        items = await asyncio.gather(*(asyncio.to_thread(self._ledger.segmentation, order) for order in orders))
        return SegmentationPage(items=tuple(items), next=following)

    async def result(
        self,
        request: Request,
        id: str,
        format: Annotated[Format, Query(description="What the labels come as.")] = "nifti",
        bone: Annotated[str | None, Query(max_length=200, description="One bone's surface alone (stl).")] = None,
    ) -> FileResponse:
        """The bones of a segmentation that is done."""
        order = await self._order(request, id)
        return await self._file(order, lambda result, folder: write_result(result, format, folder, bone=bone))

    async def scan(self, request: Request, id: str) -> FileResponse:
        """The scan of a segmentation that is done, as NIfTI on the grid of its labels."""
        return await self._file(await self._order(request, id), write_scan_file)

    async def delete(self, request: Request, id: str) -> Response:
        """Stop a segmentation if it is under way, and delete its scan and its result."""
        order = await self._order(request, id)
        with suppress(DeskAway):  # it leaves what is gone from the ledger
            await self._front.drop(order.id)
        await asyncio.to_thread(self._ledger.forget, order)
        return Response(status_code=204)

    async def models(self) -> ModelList:
        """The models that are served; the first one is the default."""
        return ModelList(models=tuple([await self._model(name) for name in self._settings.models]))

    async def model(self, name: str) -> Model:
        """One of the models."""
        if name not in self._settings.models:
            raise NotFound("not-found", f"no model {name!r} is served", remedy="see /v1/models")
        return await self._model(name)

    async def announce(self, request: Request, wish: UploadWish) -> Upload:
        """Where to send a scan that is too large to go through here; then ask for it by its id."""
        max_bytes = self._settings.guard.limits.scan_bytes
        if wish.size is not None and wish.size > max_bytes:
            what = f"the scan has more than the {max_bytes} bytes that are taken in"
            raise BadInput("too-large", what, remedy="crop the scan")
        key = f"uploads/{uuid.uuid4().hex}/scan{suffix_of(wish.filename)}"
        id_ = upload_id(key)
        await asyncio.to_thread(self._ledger.expect, key)
        url = await asyncio.to_thread(self._ledger.store.sign_put, key, UPLOAD_S)
        own = f"{str(request.base_url).rstrip('/')}/v1/uploads/{id_}"
        return Upload(id=id_, url=url or own, expires=now() + timedelta(seconds=UPLOAD_S))

    async def upload(self, request: Request, id: str) -> Response:
        """Take in a scan that was announced, where the store cannot do it by itself."""
        key = upload_key(id)
        with self._ledger.receiving() as scratch:
            path = scratch / key.rpartition("/")[2]
            await receive_file(request, path)
            await asyncio.to_thread(self._ledger.store.take_file, key, path)
        return Response(status_code=204)

    async def healthz(self) -> dict[str, str]:
        """Whether this process answers."""
        return {"status": "ok"}

    async def readyz(self) -> dict[str, str]:
        """Whether orders are carried out."""
        await self._front.num_open()
        return {"status": "ready"}

    async def metrics(self) -> Response:
        """The numbers of the whole service for Prometheus, whichever replica answers."""
        await self.numbers.deliver()
        return Response(await self._front.metrics(), media_type=MEDIA_TYPE)

    async def _check_room(self) -> None:
        if await self._num_open() >= self._settings.max_open:
            what = f"{self._settings.max_open} segmentations are waiting already"
            raise TryLater("queue-full", what, remedy="ask again later", retry_after_s=30)

    async def _num_open(self) -> int:
        """Orders that are not over, as of some seconds ago at most; from the ledger, if the desk does not answer."""
        if time.monotonic() - self._counted > COUNT_S:
            try:
                self._open = await self._front.num_open()
            except DeskAway:
                self._open = len(await asyncio.to_thread(self._ledger.open_ids))
            self._counted = time.monotonic()
        return self._open

    def _accept(self, received: Received, owner: str, key: str | None) -> Order:
        """Keep the scan, then the order: from here on it is carried out, whatever dies."""
        model = self._settings.check_model(received.model)
        if received.source is not None:
            check_source(received.source, self._settings.sources)
        if received.deposit:
            check_deposit(received.source or "", self._settings.sources)
        upload = upload_key(received.upload) if received.upload is not None else None
        if upload is not None and not self._ledger.store.exists(upload):
            raise BadInput("expired", "the scan was not sent, or is gone", remedy="send it, then ask again")
        if received.file is not None:
            upload = f"uploads/{uuid.uuid4().hex}/{received.file.name}"
            self._ledger.expect(upload)
            self._ledger.store.take_file(upload, received.file)
        order = Order(
            id=uuid.uuid4().hex if key is None else hashlib.sha256(f"{owner} {key}".encode()).hexdigest()[:32],
            owner=owner,
            model=model,
            labels=received.labels,
            source=received.source,
            upload=upload,
            deposit=received.deposit,
            created=now(),
            digest=received.digest,
            request_id=request_id.get(),
        )
        kept = None
        try:
            kept = self._ledger.accept(order)
            return kept
        finally:
            if received.file is not None and upload is not None and (kept is None or kept.upload != upload):
                self._ledger.drop_upload(upload)  # refused, or the same scan once more

    async def _order(self, request: Request, id_: str) -> Order:
        request.state.segmentation_id = id_
        return await asyncio.to_thread(self._ledger.order, id_, owner_of(request))

    async def _file(self, order: Order, write: Callable[[Result, Path], ResultFile]) -> FileResponse:
        """A file made for this answer, and removed after it."""
        scratch = tempfile.TemporaryDirectory(prefix="osteon-result-", ignore_cleanup_errors=True)
        try:
            file = await asyncio.to_thread(lambda: write(self._result(order, Path(scratch.name)), Path(scratch.name)))
        except BaseException:
            scratch.cleanup()
            raise
        gone = BackgroundTask(scratch.cleanup)
        return FileResponse(file.path, media_type=file.media_type, filename=file.name, background=gone)

    def _result(self, order: Order, scratch: Path) -> Result:
        standing = self._ledger.standing(order)
        digest = standing.model_digest  # noted with the result, though an archive refused it
        case = None if digest is None else result_case(self._ledger.store, order.id)
        if case is None or digest is None:
            what = f"the segmentation is {standing.state}: it has no result"
            raise Conflict("no-result", what, remedy="wait until its state is done")
        intake = Intake(self._settings, self._ledger.store)
        model = Algorithm(order.model, digest)
        return Result(order.id, case, model, lambda: intake(order, scratch))

    async def _waited(self, order: Order, seconds: float) -> Segmentation:
        until = time.monotonic() + seconds
        while True:
            standing = await asyncio.to_thread(self._ledger.standing, order)
            if standing.is_over or time.monotonic() >= until:
                return Segmentation.of(order, standing)
            await self._pause(order, min(POLL_S, max(0.0, until - time.monotonic())))

    async def _changes(self, order: Order) -> AsyncIterator[str]:
        told, told_at = None, time.monotonic()
        while True:
            standing = await asyncio.to_thread(self._ledger.standing, order)
            if standing != told:
                told, told_at = standing, time.monotonic()
                yield f"event: segmentation\ndata: {Segmentation.of(order, standing).model_dump_json()}\n\n"
            elif time.monotonic() - told_at > SILENT_S:
                told_at = time.monotonic()
                yield ": still here\n\n"
            if standing.is_over:
                return
            await self._pause(order, POLL_S)

    async def _pause(self, order: Order, seconds: float) -> None:
        """Wait so long before the next look at an order, or until it has ended."""
        try:
            await self._front.ended(order.id, seconds)
        except DeskAway:
            await asyncio.sleep(seconds)

    async def _model(self, name: str) -> Model:
        if name not in self._models:
            self._models[name] = await asyncio.to_thread(describe, name, self._settings.models[name])
        return self._models[name]


def new_api(settings: ServeSettings, front: Front) -> FastAPI:
    """The application, with its guards."""
    app, api = FastAPI(title="Osteon", version="1", docs_url=None, redoc_url=None), Api(settings, front)
    for path, endpoint, method, status in (
        ("/v1/segmentations", api.post, "POST", 202),
        ("/v1/segmentations", api.page, "GET", 200),
        ("/v1/segmentations/{id}", api.get, "GET", 200),
        ("/v1/segmentations/{id}", api.delete, "DELETE", 204),
        ("/v1/segmentations/{id}/events", api.events, "GET", 200),
        ("/v1/segmentations/{id}/result", api.result, "GET", 200),
        ("/v1/segmentations/{id}/scan", api.scan, "GET", 200),
        ("/v1/models", api.models, "GET", 200),
        ("/v1/models/{name}", api.model, "GET", 200),
        ("/v1/uploads", api.announce, "POST", 201),
        ("/v1/uploads/{id}", api.upload, "PUT", 204),
        ("/healthz", api.healthz, "GET", 200),
        ("/readyz", api.readyz, "GET", 200),
    ):
        app.add_api_route(path, endpoint, methods=[method], status_code=status, **description_of(method, path))
    app.mount("/assets", StaticFiles(directory=PAGE / "assets"))  # not at "/", where it would hide which methods exist
    app.add_api_route("/", page, methods=["GET", "HEAD"], response_class=FileResponse, include_in_schema=False)
    app.add_api_route("/metrics", api.metrics, methods=["GET"], include_in_schema=False)
    install_guards(app, settings.guard)
    app.add_middleware(Measured, numbers=api.numbers)
    return app


async def page() -> FileResponse:
    """The page that shows what was found."""
    return FileResponse(PAGE / "index.html")


def owner_of(request: Request) -> str:
    """Whose a request's orders are, as a name that may stand in a key."""
    name = caller_of(request).name
    plain = all(char.isascii() and (char.isalnum() or char in "_-") for char in name)
    return name if plain and 0 < len(name) <= 64 else "x" + hashlib.sha256(name.encode()).hexdigest()


def upload_id(key: str) -> str:
    """An upload's id: its folder and the ending of its file."""
    _, folder, name = key.split("/")
    return folder + name.removeprefix("scan").replace(".", "-")


def upload_key(id_: str) -> str:
    """Where an upload lies.

    Raises:
        NotFound: ``not-found``: no upload has such an id.
    """
    folder, _, ending = id_.partition("-")
    name = f"scan.{ending.replace('-', '.')}"
    if not re.fullmatch("[0-9a-f]{32}", folder) or suffix_of(name) != name.removeprefix("scan"):
        raise NotFound("not-found", "no upload has this id", remedy="take the id that POST /v1/uploads gave")
    return f"uploads/{folder}/{name}"
