"""The layers around the application, in their order: who asks is known before a byte of what is asked is read."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette

from osteon.serve.audit import Audit, RequestId, open_audit
from osteon.serve.auth import Auth, AuthSettings
from osteon.serve.headers import SafeHeaders
from osteon.serve.keys import load_keys
from osteon.serve.limits import Limits, LimitSettings
from osteon.serve.problems import Problems, install_problems


class GuardSettings(BaseModel):
    """Who may enter, how much he may ask for, and where it is written down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    audit: Path | None = None  # a file of JSON lines; without one, the logger osteon.audit


def install_guards(app: Starlette, settings: GuardSettings) -> None:
    """Put the layers around an application, once, before it serves.

    Raises:
        BadInput: ``keys-file``; at once, not with the first request.
    """
    if settings.auth.keys is not None:
        load_keys(settings.auth.keys)
    if settings.audit is not None:
        open_audit(settings.audit)
    install_problems(app)
    app.add_middleware(Limits, settings=settings.limits)  # the last one added is the outermost
    app.add_middleware(Auth, settings=settings.auth)
    app.add_middleware(Problems)
    app.add_middleware(SafeHeaders)
    app.add_middleware(Audit)
    app.add_middleware(RequestId)
