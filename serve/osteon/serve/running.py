"""A service on the Ray that is there: its settings from a file and the command line, its start and its end."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from ray import serve

from osteon.core.errors import BadInput, OsteonError
from osteon.recipes.bundle import load_bundle, read_card
from osteon.serve.app import build
from osteon.serve.auth import check_door
from osteon.serve.keys import load_keys
from osteon.serve.settings import ServeSettings
from osteon.storage.stores import open_store

APP = "osteon"


def settings_from(
    config: Path | None, models: Sequence[str], store: str | None, keys: Path | None, allow: Sequence[str]
) -> ServeSettings:
    """Settings of a file, with what the command line says put over them.

    Args:
        config: YAML file, or None.
        models: URLs, or ``NAME=URL``; a model without a name gets its recipe's.
        store: URL, or None for the file's.
        keys: file of keys, or None for the file's.
        allow: prefixes of URLs that may be fetched, besides the file's.

    Raises:
        BadInput: ``bad-config``, ``no-model``, ``same-name``.
    """
    found: dict[str, Any] = _read(config) if config is not None else {}
    if models:
        found["models"] = _named(models)
    if store is not None:
        found["store"] = store
    if keys is not None:
        guard = found.setdefault("guard", {})
        guard["auth"] = {**guard.get("auth", {}), "keys": str(keys)}
    if allow:
        sources = found.setdefault("sources", {})
        sources["allow"] = [*sources.get("allow", []), *allow]
    try:
        return ServeSettings.model_validate(found)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        where = str(config) if config is not None else "the command line"
        remedy = "give a MODEL" if key == "models" else "see docs/how-to/serve.md"
        raise BadInput("bad-config", f"{key}: {fault['msg']}", where=where, remedy=remedy) from None


def check(settings: ServeSettings, host: str, port: int) -> None:
    """Refuse before anything is started what could not be served.

    Raises:
        BadInput: ``open-door``, ``keys-file``, ``port-taken``, and what `load_bundle` refuses.
    """
    check_door(host, settings.guard.auth)
    if settings.guard.auth.keys is not None:
        load_keys(settings.guard.auth.keys)
    for url in settings.models.values():
        load_bundle(url)
    settings.open_store().list_children("open")
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            what = f"port {port} is taken" if taken else f"cannot listen on {host}:{port}: {error.strerror}"
            raise BadInput("port-taken", what, where=host, remedy="choose another --port or --host") from None


@contextmanager
def serving(settings: ServeSettings, host: str, port: int) -> Iterator[str]:
    """The service at work; its address. Ends it, not Ray.

    Raises:
        OsteonError: ``serve-failed``.
    """
    try:  # from before the first replica: a Ctrl-C while they start must leave none on a cluster
        _start(settings, host, port)
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        serve.shutdown()


def absolute(settings: ServeSettings) -> ServeSettings:
    """The settings with URLs and paths that hold in every process."""
    auth = settings.guard.auth
    keys = None if auth.keys is None else auth.keys.absolute()
    guard = settings.guard.model_copy(update={"auth": auth.model_copy(update={"keys": keys})})
    models = {name: open_store(url).url for name, url in settings.models.items()}
    tokens = {prefix: path.absolute() for prefix, path in settings.sources.tokens.items()}
    sources = settings.sources.model_copy(update={"tokens": tokens})
    changed = {"models": models, "store": settings.open_store().url, "guard": guard, "sources": sources}
    return settings.model_copy(update=changed)


def _start(settings: ServeSettings, host: str, port: int) -> None:
    serve.start(
        http_options={"host": host, "port": port}, proxy_location="HeadOnly", logging_config={"log_level": "WARNING"}
    )
    try:
        serve.run(build(absolute(settings)), name=APP, route_prefix="/")
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise OsteonError("serve-failed", first, remedy="see Ray's log") from error


def _read(config: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).partition("\n")[0]
        raise BadInput("bad-config", f"cannot be read: {first}", where=str(config), remedy="give a YAML file") from None
    if not isinstance(found, dict):
        raise BadInput("bad-config", "holds no settings", where=str(config), remedy="see docs/how-to/serve.md")
    return found


def _named(models: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for given in models:
        name, _, url = given.partition("=")
        if not url or "/" in name:
            name, url = read_card(given).recipe.name, given
        if name in named:
            raise BadInput("same-name", f"two models are called {name}", where=given, remedy="name them: NAME=URL")
        named[name] = url
    return named
