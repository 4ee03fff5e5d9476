"""The head is lost in mid-work and comes back: the service answers all the while, and a job on a node never stops."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from deployment import Deployment
from ray_cluster import Node, RayCluster
from service import write_noise
from tiny_model import write_model

from osteon.jobs.run_folder import RunFolder
from osteon.recipes.bundle import has_bundle
from osteon.serve.client import Client
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store

pytestmark = pytest.mark.slow
PATIENCE_S = 600.0
MINUTES = 0.6  # of training: longer than a head takes to come back

Osteon = Callable[..., tuple[int, str, str]]


@contextmanager
def asked_all_the_while(url: str) -> Iterator[list[str]]:
    """What a service answers to somebody who asks four times a second, on a connection of its own each time."""
    answers, over = list[str](), threading.Event()

    def ask() -> None:
        while not over.wait(0.25):
            try:
                answers.append(str(httpx.get(f"{url}/readyz", timeout=30).status_code))
            except httpx.TransportError as error:
                answers.append(repr(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answers
    finally:
        over.set()
        asking.join()


def wait_for(there: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < until
        time.sleep(0.5)


def steps(run: RunFolder) -> list[int]:
    return [line["step"] for line in run.metrics() if line["kind"] == "train"]


def test_the_service_answers_and_a_job_goes_on_without_the_head(
    archive_cluster: RayCluster,
    worker: Node,
    deploy: Callable[..., Deployment],
    s3_url: str,
    tiny_dataset: Callable[[str, int], Dataset],
    recipe: str,
    job: Callable[..., Path],
    start: Callable[..., subprocess.Popen[str]],
    osteon: Osteon,
    tmp_path: Path,
) -> None:
    data = tiny_dataset(f"{s3_url}/data", 3)
    run, second = (RunFolder(open_store(f"{s3_url}/{name}")) for name in ("run", "second"))
    training = {"recipe": recipe, "data": data.url, "cpus": 1, "resume": True}
    lasting = [f"training.minutes={MINUTES}", "training.checkpoint_every=1000000"]  # a new start would be seen
    on_a_node = job("train", {"cpus": 0.25}, **training, out=run.store.url, set=lasting)
    on_the_head = job("train", **training, out=second.store.url)  # waits for the processor of the other one
    watching = start("submit", on_a_node, "--watch")
    service = deploy(write_model(tmp_path / "model"))
    url, scan = service.url(worker), write_noise(tmp_path / "scan.nii.gz")
    service.await_running(url)
    wait_for(lambda: len(steps(run)) > 5)
    lost = start("submit", on_the_head, "--watch")
    assert lost.stdout is not None
    assert any("Running entrypoint" in line for line in lost.stdout)
    with Client(url) as client, asked_all_the_while(url) as answers:
        assert client.follow(client.send(scan).id).state == "done"
        replicas = service.replicas()
        assert archive_cluster.head is not None
        archive_cluster.head.kill()
        reached = len(steps(run))
        code, out, err = osteon("jobs", "list")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "[no-jobs-server]" in err
        assert client.follow(client.send(scan).id).state == "done"
        wait_for(lambda: len(steps(run)) > reached)
        archive_cluster.start_head()
        service.await_running(url)
        assert client.follow(client.send(scan).id).state == "done"
        assert service.replicas() == replicas
    assert set(answers) == {"200"}
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, err.count("SUCCEEDED"), "Traceback" in out + err) == (0, 1, False), out + err
    assert steps(run) == list(range(1, len(steps(run)) + 1))
    assert has_bundle(run.model)
    code, out, _ = osteon("jobs", "logs", out.split()[0], "--follow")
    assert code == 0
    assert run.model.url in out
    out, err = lost.communicate(timeout=PATIENCE_S)
    assert (lost.returncode, "Traceback" in out + err) == (1, False)
    assert "its command was lost with its node; osteon submit FILE --again" in err
    code, out, err = osteon("submit", on_the_head, "--again", "--watch")
    assert code == 0, out + err
    assert steps(second) == list(range(1, 13))
