"""The door: without a key nothing but the page, with one what its roles allow, and no byte of a body before that."""

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from osteon.core.errors import BadInput
from osteon.serve.auth import Auth, AuthSettings, caller_of, check_door
from osteon.serve.keys import add_key
from osteon.serve.problems import Problems, install_problems


async def _who(request: Request) -> JSONResponse:
    caller = caller_of(request)
    await request.body()
    return JSONResponse({"name": caller.name, "roles": sorted(caller.roles)})


async def _page(request: Request) -> JSONResponse:
    return JSONResponse({"knows": hasattr(request.state, "caller")})


def _app(settings: AuthSettings) -> Starlette:
    public = [Route(path, _page) for path in ("/", "/healthz", "/readyz", "/openapi.json", "/metrics")]
    own = Route("/v1/segmentations", _who, methods=["GET", "POST", "DELETE"])
    app = Starlette(routes=[*public, own, Route("/v1/models", _who), Mount("/assets", Starlette())])
    install_problems(app)
    app.add_middleware(Auth, settings=settings)
    app.add_middleware(Problems)
    return app


class Server:
    """An app with keys of each kind; asks it as over HTTP."""

    def __init__(self, folder: Path, *, public_metrics: bool = False) -> None:
        path = folder / "keys.yaml"
        self.keys = {
            "reader": add_key(path, "reader", frozenset({"read"})),
            "sender": add_key(path, "sender", frozenset({"segment"})),
            "admin": add_key(path, "admin", frozenset({"admin"})),
        }
        self._app = _app(AuthSettings(keys=path, public_metrics=public_metrics))

    def ask(self, method: str, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        given = {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key is not None else {}
        return _ask(self._app, method, path, given | headers)


def _ask(app: Starlette, method: str, path: str, headers: dict[str, str], host: str = "127.0.0.1") -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}:8000") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_without_a_key_there_is_nothing_but_the_page(server: Server) -> None:
    for path in ("/", "/healthz", "/readyz", "/openapi.json"):
        answer = server.ask("GET", path)
        assert (answer.status_code, answer.json()) == (200, {"knows": False})
    for path in ("/v1/segmentations", "/v1/models", "/metrics", "/docs", "/nowhere", "/v1/healthz", "/healthz/"):
        answer = server.ask("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (401, "no-key"), path
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/assets/../v1/segmentations", "/assets/%2e%2e/v1/segmentations"])
def test_the_assets_are_no_way_round_the_door(server: Server, path: str) -> None:
    """As a raw path: clients shorten it before they send it, attackers do not."""
    messages = asyncio.run(_raw(server._app, path))
    assert messages[0]["status"] == 401


async def _raw(app: Starlette, path: str, **more: object) -> list[dict[str, object]]:
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        raise AssertionError("the body was read before the door opened")

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    decoded = path.replace("%2e", ".")
    scope = {"type": "http", "method": "GET", "path": decoded, "raw_path": path.encode(), "headers": [], **more}
    await app(scope, receive, send)
    return sent


def test_the_body_of_a_stranger_is_not_read(server: Server) -> None:
    head = [(b"authorization", b"Bearer osteon_wrong"), (b"content-length", b"1000000")]
    messages = asyncio.run(_raw(server._app, "/v1/segmentations", method="POST", headers=head))
    assert messages[0]["status"] == 401


@pytest.mark.parametrize(
    "line",
    ["", "Bearer", "Bearer ", "Basic {}", "bearer", "{}", "Bearer " + "a" * 10_000, "Bearer wrong", "Bearer {}x"],
)
def test_credentials_that_are_none_are_refused(server: Server, line: str) -> None:
    answer = server.ask("GET", "/v1/models", None, Authorization=line.format(server.keys["reader"]))
    assert answer.status_code == 401
    assert server.keys["reader"] not in answer.text


def test_two_keys_at_once_are_refused(server: Server) -> None:
    line = f"Bearer {server.keys['reader']}".encode()
    head = [(b"authorization", line), (b"authorization", b"Bearer osteon_other")]
    messages = asyncio.run(_raw(server._app, "/v1/models", headers=head))
    assert messages[0]["status"] == 401


def test_a_key_in_the_url_does_not_count(server: Server) -> None:
    assert server.ask("GET", f"/v1/models?key={server.keys['reader']}").status_code == 401


def test_roles_open_what_they_are_for(server: Server) -> None:
    allowed = {
        (key, method, path): server.ask(method, path, key).status_code != 403
        for key in server.keys
        for method, path in (("GET", "/v1/segmentations"), ("POST", "/v1/segmentations"), ("GET", "/metrics"))
    }
    assert {call for call, is_allowed in allowed.items() if is_allowed} == {
        ("reader", "GET", "/v1/segmentations"),
        ("sender", "POST", "/v1/segmentations"),
        ("admin", "GET", "/v1/segmentations"),
        ("admin", "POST", "/v1/segmentations"),
        ("admin", "GET", "/metrics"),
    }
    refused = server.ask("DELETE", "/v1/segmentations", "reader")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing-role")


def test_the_route_learns_who_asks(server: Server) -> None:
    assert server.ask("GET", "/v1/models", "reader").json() == {"name": "reader", "roles": ["read"]}


def test_metrics_can_be_opened_for_a_closed_network(tmp_path: Path) -> None:
    assert Server(tmp_path, public_metrics=True).ask("GET", "/metrics").status_code == 200


def test_a_mounted_application_has_the_same_door(server: Server) -> None:
    for path, status in (("/osteon/healthz", 200), ("/osteon/v1/models", 401), ("/osteon", 401)):
        messages = asyncio.run(_raw(server._app, path, root_path="/osteon"))
        assert messages[0]["status"] == status, path


def test_websockets_are_closed(server: Server) -> None:
    sent = asyncio.run(_raw(server._app, "/v1/models", type="websocket"))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_without_keys_the_same_machine_may_do_everything() -> None:
    answer = _ask(_app(AuthSettings()), "POST", "/v1/segmentations", {"Origin": "http://127.0.0.1:8000"})
    assert answer.json() == {"name": "local", "roles": ["admin", "read", "segment"]}
    for host in ("localhost", "[::1]"):
        assert _ask(_app(AuthSettings()), "GET", "/v1/models", {}, host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.5", "0.0.0.0"])
def test_without_keys_a_name_that_was_rebound_is_refused(host: str) -> None:
    answer = _ask(_app(AuthSettings()), "GET", "/v1/models", {}, host)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-host")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8000"])
def test_without_keys_the_page_of_another_site_is_refused(origin: str) -> None:
    answer = _ask(_app(AuthSettings()), "POST", "/v1/segmentations", {"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_a_loopback_address_needs_no_keys(host: str) -> None:
    check_door(host, AuthSettings())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "pacs.hospital.example", "", "::ffff:10.0.0.1"])
def test_an_open_door_is_refused(host: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="open-door"):
        check_door(host, AuthSettings())
    check_door(host, AuthSettings(keys=tmp_path / "keys.yaml"))
