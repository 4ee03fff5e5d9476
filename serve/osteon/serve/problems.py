"""What went wrong, over HTTP: every refusal is a problem document (RFC 9457) with Osteon's machine code.

What the server's inside has to say (stores, stack traces) goes to its log under the request id, never to the caller.
"""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from typing import Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osteon.core.errors import BadInput, BadScan, Conflict, OsteonError, StoreError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("osteon.serve")
_STATUS_OF_CODE = {
    "no-key": 401,
    "wrong-key": 401,
    "wrong-token": 401,
    "missing-role": 403,
    "foreign-host": 403,
    "foreign-origin": 403,
    "source-not-allowed": 403,
    "source-address": 403,
    "deposit-not-allowed": 403,
    "not-found": 404,
    "method": 405,
    "stalled": 408,
    "expired": 410,
    "too-large": 413,
    "media-type": 415,
    "invalid-request": 422,
    "source-unreachable": 422,
    "source-slow": 422,
    "archive-unreachable": 422,
    "queue-full": 503,
    "keys-file": 503,
    "no-keys": 503,
}
_STATUS_OF_KIND: tuple[tuple[type[OsteonError], int], ...] = (
    (BadScan, 422),
    (BadInput, 400),
    (Conflict, 409),
    (StoreError, 503),
)
_CODE_OF_STATUS = {
    400: "bad-request",
    404: "not-found",
    405: "method",
    413: "too-large",
    415: "media-type",
    422: "invalid-request",
}


class TryLater(OsteonError):
    """Right, but not now: too many requests (429), or a full queue (503, code ``queue-full``).

    Attributes:
        retry_after_s: seconds after which it is worth asking again.
    """

    def __init__(self, code: str, what: str, *, where: str = "", remedy: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(code, what, where=where, remedy=remedy)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return (*super().__reduce__(), {"retry_after_s": self.retry_after_s})


class Problem(BaseModel):
    """A problem document; ``title`` is the status in words, ``detail`` one line for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    where: str | None = None
    remedy: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """What a caller may know of an error; of those that are not his, that there was one."""
        status = status_of(error)
        if isinstance(error, OsteonError) and (status < 500 or isinstance(error, TryLater)):
            where, remedy = _place(error.where) or None, error.remedy or None
            return cls(
                title=_title(status), status=status, detail=error.what, code=error.code, where=where, remedy=remedy
            )
        code = error.code if isinstance(error, OsteonError) else "internal"
        detail = "the server could not do it; its log says why, under the request id"
        return cls(title=_title(status), status=status, detail=detail, code=code, remedy="ask again in a while")

    def to_json(self) -> bytes:
        """The document; what is not known is left out."""
        return self.model_dump_json(exclude_none=True).encode()


def status_of(error: BaseException) -> int:
    """The HTTP status of an error: by its code, else by its kind; 500 for what nobody foresaw."""
    if not isinstance(error, OsteonError):
        return 500
    kinds = (status for kind, status in _STATUS_OF_KIND if isinstance(error, kind))
    return _STATUS_OF_CODE.get(error.code, 429 if isinstance(error, TryLater) else next(kinds, 500))


def problem_response(error: BaseException) -> Response:
    """The answer to an error; errors of the server's own are logged, without what might name a file or a patient."""
    problem = Problem.of(error)
    if problem.status >= 500 and not isinstance(error, TryLater):
        _log(error)
    headers = {"Retry-After": str(max(1, round(error.retry_after_s)))} if isinstance(error, TryLater) else {}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status == 503:
        headers.setdefault("Retry-After", "5")
    return Response(problem.to_json(), problem.status, headers, MEDIA_TYPE)


def install_problems(app: Starlette) -> None:
    """Answer every error of the app's routes with a problem document; `Problems` does it for the middleware."""
    app.add_exception_handler(OsteonError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)


class Problems:
    """Middleware: errors of the layers inside it become answers, and none of them reaches the server's traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; if it raises before it began to answer, answer for it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # the last line of defence
            response = problem_response(error)
            if has_begun:  # half an answer is out: only a broken connection can still tell that it is not whole
                raise ConnectionAbortedError("the answer broke off; the log says why") from None
            await response(scope, receive, send)


async def _answer(request: Request, error: Exception) -> Response:
    del request
    return problem_response(error)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """Name the field and the rule, not the value: it may be anything."""
    del request
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return problem_response(BadInput("invalid-request", f"{field}: {first['msg']}", remedy="see /openapi.json"))


async def _answer_http(request: Request, error: Exception) -> Response:
    """Starlette's own refusals; of those that FastAPI wraps around ours (a body that is cut off), ours."""
    del request
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, OsteonError):
        return problem_response(error.__cause__)
    code = _CODE_OF_STATUS.get(error.status_code, "refused")
    problem = Problem(title=_title(error.status_code), status=error.status_code, detail=str(error.detail), code=code)
    return Response(problem.to_json(), error.status_code, error.headers, MEDIA_TYPE)


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def _place(where: str) -> str:
    """A path or URL by its last part: the server's folders, and what a signed URL carries, are nobody's business."""
    return where.partition("?")[0].rstrip("/").rpartition("/")[2]


def _log(error: BaseException) -> None:
    """A refusal's line; of other errors the kind and the lines of code, since their messages may quote anything."""
    if isinstance(error, OsteonError):
        _LOG.error("%s", error)
        return
    frames = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("unforeseen %s\n%s", type(error).__name__, frames)
