"""A service that is changed while it is asked: nobody is refused, nothing is lost."""

import threading
import time
from pathlib import Path

import httpx
import pytest
from ray import serve
from seaweed import free_ports
from service import write_noise

from osteon.jobs.ray_session import ray_session
from osteon.serve.app import build
from osteon.serve.running import APP, absolute, serving
from osteon.serve.settings import ServeSettings

END_S = 240.0


class Caller(threading.Thread):
    """Asks for one scan after another until it is told to stop.

    Attributes:
        statuses: of every answer.
        ids: of every order.
    """

    def __init__(self, url: str, scan: Path) -> None:
        super().__init__()
        self._url, self._body = url, scan.read_bytes()
        self.statuses: list[int] = []
        self.ids: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while not self.stopped.is_set():
                answer = http.post("/v1/segmentations", params={"filename": "x.nii.gz"}, content=self._body)
                self.statuses.append(answer.status_code)
                self.ids.append(answer.json()["id"])
                self.statuses.append(http.get(f"/v1/segmentations/{self.ids[-1]}").status_code)
                time.sleep(0.2)


@pytest.mark.slow
def test_an_update_under_load_refuses_nobody_and_loses_nothing(settings: ServeSettings, tmp_path: Path) -> None:
    [port] = free_ports(1)
    scan = write_noise(tmp_path / "x.nii.gz")
    with ray_session(), serving(settings, "127.0.0.1", port) as url:
        caller = Caller(url, scan)
        caller.start()
        try:
            time.sleep(3)
            # Every deployment's settings differ: all replicas are replaced, one by one.
            serve.run(build(absolute(settings.model_copy(update={"max_open": 999}))), name=APP, route_prefix="/")
            time.sleep(3)
        finally:
            caller.stopped.set()
            caller.join()
        assert set(caller.statuses) == {200, 202}, caller.statuses
        until = time.monotonic() + END_S
        states: set[str] = set()
        while states != {"done"} and time.monotonic() < until:
            states = {httpx.get(f"{url}/v1/segmentations/{id_}", timeout=60).json()["state"] for id_ in caller.ids}
        assert states == {"done"}
