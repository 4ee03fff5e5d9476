"""The way to a jobs server, and what is told where it is barred."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from ray.exceptions import AuthenticationError

from osteon.core.errors import BadInput, OsteonError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
ADDRESS = "RAY_API_SERVER_ADDRESS"
CONNECT_TIMEOUT_S = 10.0


def check_reachable(address: str) -> None:
    """Refuse an address where nobody listens; Ray would wait for minutes.

    Raises:
        BadInput: ``bad-address``.
        OsteonError: ``no-jobs-server``.
    """
    parts = urlsplit(address)
    try:
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise BadInput(
                "bad-address", f"{address!r} is no URL of a jobs server", remedy=f"say for example {DEFAULT_ADDRESS}"
            )
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise _no_server(address, "nobody answers") from error


def _no_server(address: str, what: str) -> OsteonError:
    remedy = f"check --address or {ADDRESS}, and the way to the cluster (kubectl port-forward, tunnel)"
    return OsteonError("no-jobs-server", what, where=address, remedy=remedy)


@contextmanager
def told(address: str) -> Iterator[None]:
    """Ray's errors as ours: ``no-token``, ``wrong-token``, ``no-jobs-server``, ``jobs-server``."""
    try:
        yield
    except AuthenticationError as error:
        if "required" in str(error):
            remedy = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
            raise OsteonError("no-token", "the cluster wants a token", where=address, remedy=remedy) from error
        remedy = "check RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        raise OsteonError(
            "wrong-token", "the cluster does not take this token", where=address, remedy=remedy
        ) from error
    except (ConnectionError, requests.RequestException) as error:
        raise _no_server(address, "no jobs server of Ray answers") from error
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1:]
        raise OsteonError(
            "jobs-server", *(last or [type(error).__name__]), where=address, remedy="see Ray's logs"
        ) from error
