"""The service as a cluster runs it: `serve deploy` with the file that the documents show, behind keys and a token."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml
from ray_cluster import RayCluster
from seaweed import free_ports
from service import START_S, labelled_file, write_noise

from osteon.serve.client import Client
from osteon.serve.keys import add_key

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve.md"


def deploy(cluster: RayCluster, config: Path) -> None:
    """Run Ray's own command."""
    command = [str(Path(sys.executable).with_name("serve")), "deploy", str(config), "--address", cluster.jobs_url]
    done = subprocess.run(command, env={**os.environ, **cluster.secret}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def applications(cluster: RayCluster) -> httpx.Client:
    """A connection to what the cluster says of its applications."""
    head = {"Authorization": f"Bearer {cluster.token}"}
    return httpx.Client(base_url=f"{cluster.jobs_url}/api/serve/applications/", headers=head, timeout=START_S)


def await_running(cluster: RayCluster, url: str) -> None:
    """Wait until the application is deployed and carries orders out."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with applications(cluster) as asked:
            state = asked.get("").raise_for_status().json()["applications"].get("osteon", {})
        assert state.get("status") != "DEPLOY_FAILED", state
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", timeout=10).status_code == 200:
                return
        time.sleep(1)
    raise AssertionError(state)


@pytest.fixture
def deployed(cluster: RayCluster, model: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and key of the page's application, with this machine's model, store, keys and port."""
    [port], keys = free_ports(1), tmp_path / "keys.yaml"
    key = add_key(keys, "anna", frozenset({"segment", "read"}))
    *_, text = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    file = yaml.safe_load(text)
    file["http_options"] = {"host": "127.0.0.1", "port": port}
    [application] = file["applications"]
    application["args"] |= {"models": {"bones": model}, "store": str(tmp_path / "store"), "range_megavoxels": 0.001}
    application["args"]["segmenters"] |= {"most": 2, "cpus": 0.5, "gpus": 0}
    application["args"]["guard"]["auth"]["keys"] = str(keys)
    (tmp_path / "serve.yaml").write_text(yaml.safe_dump(file))
    deploy(cluster, tmp_path / "serve.yaml")
    try:
        await_running(cluster, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", key
    finally:
        with applications(cluster) as asked:
            asked.delete("").raise_for_status()


def test_what_is_deployed_labels_a_scan_as_the_laptop_does(
    deployed: tuple[str, str], model: str, tmp_path: Path
) -> None:
    url, key = deployed
    scan = write_noise(tmp_path / "long.nii.gz", depth=150)
    assert httpx.get(f"{url}/v1/models").status_code == 401
    with Client(url, key) as client:
        assert [found.name for found in client.models()] == ["bones"]
        segmentation = client.follow(client.send(scan).id)
        client.fetch(segmentation.id, tmp_path / "labels.nii.gz")
    assert segmentation.state == "done"
    expected = labelled_file(model, scan, tmp_path / "expected.nii.gz", num_threads=1)  # as many as it holds there
    assert (tmp_path / "labels.nii.gz").read_bytes() == expected
