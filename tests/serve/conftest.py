"""A tiny model, noise to segment, and the service that does it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from seaweed import free_ports
from service import Service, Start, await_ready, write_noise
from tiny_model import TABLE, write_model

from osteon.models.build import build
from osteon.recipes.bundle import ensemble_of, load_bundle, save_bundle
from osteon.serve.settings import ServeSettings
from osteon.storage.stores import open_store


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An untrained network."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def coarse_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same for whole bodies, in a second."""
    return write_model(tmp_path_factory.mktemp("coarse"), spacing_mm=6.0, side=32)


@pytest.fixture(scope="session")
def ensemble(model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two networks whose probabilities are averaged, as `osteon sweep best` leaves them."""
    folder = tmp_path_factory.mktemp("ensemble")
    first = load_bundle(model)
    torch.manual_seed(1)
    second = replace(first, network=build(first.recipe.model, num_classes=len(TABLE) + 1).eval())
    recipe, table, network = ensemble_of([first, second])
    save_bundle(open_store(str(folder)), "", recipe, table, network, {})
    return str(folder)


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan of noise, as NIfTI."""
    return write_noise(tmp_path_factory.mktemp("scan") / "scan.nii.gz")


@pytest.fixture
def settings(model: str, tmp_path: Path) -> ServeSettings:
    """A service with its store in the test's folder; everything above 4 windows' depth is shared out."""
    return ServeSettings(models={"tiny": model}, store=str(tmp_path / "store"), range_megavoxels=0.001)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `osteon serve` with some arguments on a free port, and waits until it is ready."""
    begun: list[Service] = []

    def run(*arguments: str, **env: str) -> Service:
        [port] = free_ports(1)
        command = [sys.executable, "-m", "osteon.cli.main", "serve", *arguments, "--port", str(port)]
        log = tmp_path / f"serve-{len(begun)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, env={**os.environ, **env}, stdout=file, stderr=file)
        service = Service(f"http://127.0.0.1:{port}", process)
        begun.append(service)
        await_ready(service, log)
        return service

    yield run
    for service in begun:
        with suppress(ProcessLookupError):
            service.kill()
