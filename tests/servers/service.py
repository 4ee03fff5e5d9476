"""A segmentation service for tests: the command itself, or its parts in this process."""

import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import SimpleITK as sitk
from processes import kill_tree

from osteon.recipes.apply import read_scan, segment_scan
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.serve.desk import Desk
from osteon.serve.ledger import Ledger
from osteon.serve.metrics import Registry
from osteon.serve.schemas import Order
from osteon.serve.segmenter import Event, Segmenter
from osteon.serve.settings import ServeSettings
from osteon.storage.export import write_scan
from osteon.telemetry.metrics import Note, replay

START_S = 300.0  # until it answers, on a busy machine


def write_noise(path: Path, depth: int = 40, side: int = 24, seed: int = 0) -> Path:
    """A scan of noise with two HU levels, in ``path``."""
    hu = np.random.default_rng(seed).integers(-1000, 1500, (depth, side, side)).astype(np.int16)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((1.5, 1.5, 2.0))
    sitk.WriteImage(image, path)
    return path


def labelled_file(model: str, scan: Path, path: Path, num_threads: int = 0) -> bytes:
    """The bytes of the NIfTI file that `osteon segment` writes of a scan, to ``path``; 0 threads are all."""
    bundle, read = load_bundle(model), read_scan(scan, path.parent)
    labels, table = segment_scan(segmenter_of(bundle, num_threads=num_threads), bundle.recipe.prepare, read)
    write_scan(path, labels, read.image.grid, read.provenance, table=table)
    return path.read_bytes()


class LocalCrew:
    """The segmenter in this process: what a replica does, without Ray between it and the desk."""

    def __init__(self, settings: ServeSettings) -> None:
        self._segmenter = Segmenter(settings.model_dump(mode="json"))

    def begin(self, order: Order) -> AsyncIterator[Event]:
        return self._segmenter.begin(order.id)

    def label_range(self, order: Order, number: int) -> AsyncIterator[Event]:
        return self._segmenter.label_range(order.id, number)

    def finish(self, order: Order) -> AsyncIterator[Event]:
        return self._segmenter.finish(order.id)

    def deposit(self, order: Order) -> AsyncIterator[Event]:
        return self._segmenter.deposit(order.id)


class LocalFront:
    """The desk in this process."""

    def __init__(self, settings: ServeSettings) -> None:
        self._crew = LocalCrew(settings)
        self._registry = Registry()
        self.desk = Desk(Ledger(settings.open_store()), self._crew, numbers=self._registry)

    async def take(self, id_: str) -> None:
        self.desk.take(id_)

    async def drop(self, id_: str) -> None:
        await self.desk.drop(id_)

    async def ended(self, id_: str, within_s: float) -> None:
        await self.desk.ended(id_, within_s)

    async def num_open(self) -> int:
        return self.desk.num_carried

    async def tell(self, notes: Sequence[Note]) -> None:
        replay(notes, self._registry)

    async def metrics(self) -> str:
        self.desk.measure()
        return self._registry.text()


@dataclass
class Service:
    """A running `osteon serve`.

    Attributes:
        url: where it answers.
        process: the command.
    """

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it and all that it started, as a power cut does."""
        kill_tree(self.process.pid)
        self.process.wait(30)


def replicas(service: Service, name: str) -> list[psutil.Process]:
    """The processes of one of the deployments of a service."""
    return _titled(service, f"ServeReplica:osteon:{name}")


def proxies(service: Service) -> list[psutil.Process]:
    """The processes of Ray Serve that take HTTP requests in."""
    return _titled(service, "ProxyActor")


def _titled(service: Service, title: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if title in " ".join(process.cmdline()):
                found.append(process)
    return found


Start = Callable[..., Service]
"""Starts `osteon serve` with the arguments given."""


def await_ready(service: Service, log: Path) -> None:
    """Wait until orders are carried out."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if service.process.poll() is not None:
            raise AssertionError(log.read_text())
        with suppress(httpx.TransportError):
            if httpx.get(f"{service.url}/readyz", timeout=5).status_code == 200:
                return
        time.sleep(0.5)
    raise AssertionError(f"not ready after {START_S:g} s: {log.read_text()}")
