"""`osteon serve` refuses what could not be served before anything is started, in one line."""

import importlib
import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from seaweed import free_ports
from tiny_model import write_model

from osteon.cli.main import run
from osteon.serve.settings import Replicas, ServeSettings

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")  # Ray Serve's own import
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def osteon_serve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command in the test's folder, where a service that starts would fail the test; code, output, errors."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr("osteon.jobs.ray_session.ray_session", started)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["osteon", "serve", "--port", str(free_ports(1)[0]), *arguments])
        with pytest.raises(SystemExit) as stop:
            run()
        assert isinstance(stop.value.code, int)
        return (stop.value.code, *capsys.readouterr())

    return command


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), "bad-config", "give a MODEL"),
        (("nowhere",), "no-model", "nowhere"),
        (("MODEL", "--host", "0.0.0.0"), "open-door", "osteon serve-key"),
        (("MODEL", "MODEL"), "same-name", "NAME=URL"),
        (("a=MODEL", "a=MODEL"), "same-name", "two models are called a"),
        (("MODEL", "--keys", "none.yaml"), "keys-file", "osteon serve-key"),
        (("MODEL", "--allow", "/srv/scans"), "source-prefix", "/srv/scans"),
        (("MODEL", "--config", "none.yaml"), "bad-config", "none.yaml"),
        (("MODEL", "--config", "wrong.yaml"), "bad-config", "gaurd"),
        (("MODEL", "--config", "list.yaml"), "bad-config", "holds no settings"),
        (("MODEL", "--store", "ftp://host"), "bad-url", "ftp://host"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    osteon_serve: Run, model: str, tmp_path: Path, arguments: tuple[str, ...], code: str, says: str
) -> None:
    (tmp_path / "wrong.yaml").write_text("store: kept\ngaurd: {}\n")
    (tmp_path / "list.yaml").write_text("- models\n")
    status, output, errors = osteon_serve(*(word.replace("MODEL", model) for word in arguments), "--dry-run")

    assert (status, output) == (2, ""), errors
    assert errors.count("\n") == 1
    assert f"[{code}]" in errors
    assert says in errors


def test_a_taken_port_is_told(osteon_serve: Run, model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, errors = osteon_serve(model, "--port", str(port))
    assert (status, errors.count("\n")) == (2, 1)
    assert f"port {port} is taken [port-taken]" in errors


def test_a_dry_run_shows_the_settings_and_starts_nothing(osteon_serve: Run, model: str, tmp_path: Path) -> None:
    config = tmp_path / "serve.yaml"
    config.write_text(yaml.safe_dump({"models": {"bones": model}, "store": "kept", "keep_hours": 24}))
    status, output, _ = osteon_serve("--config", str(config), "--allow", "s3://scans/inbox", "--dry-run")

    settings = ServeSettings.model_validate(json.loads(output))
    assert status == 0
    assert (settings.models, settings.store, settings.keep_hours) == ({"bones": model}, "kept", 24)
    assert settings.sources.allow == ("s3://scans/inbox",)
    assert [path.name for path in tmp_path.iterdir()] == ["serve.yaml"]


def test_a_model_is_called_as_its_recipe_or_as_is_said(osteon_serve: Run, model: str) -> None:
    _, output, _ = osteon_serve(model, f"second={model}", "--dry-run")
    assert list(json.loads(output)["models"]) == ["tiny", "second"]


def test_the_pages_examples_are_settings_and_show_the_defaults() -> None:
    shown, deployed = (
        yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    )
    settings, [application] = ServeSettings.model_validate(shown), deployed["applications"]
    module, _, name = application["import_path"].partition(":")

    nothing = ServeSettings(models=settings.models, store=settings.store)
    said = {"models", "store", "keep_hours", "sources"}  # what a comment says of them
    assert settings.model_dump(exclude=said) == nothing.model_dump(exclude=said)
    assert ServeSettings.model_validate(application["args"]).segmenters.most == 8
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("key", [*ServeSettings.model_fields, *Replicas.model_fields])
def test_the_page_on_serving_explains_every_setting(key: str) -> None:
    assert f"\n{key}:" in PAGE.read_text("utf-8") or f"\n  {key}:" in PAGE.read_text("utf-8")
