"""The command itself: what was accepted is carried out, whatever is killed, and the labels are those of the laptop."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml
from service import Service, Start, labelled_file, replicas, write_noise

from osteon.storage.stores import open_store

pytestmark = pytest.mark.slow
END_S = 240.0  # of a scan on a busy machine, deaths included


@pytest.fixture(scope="module")
def long_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough to be killed over."""
    return write_noise(tmp_path_factory.mktemp("long") / "long.nii.gz", depth=240, side=80)


@pytest.fixture(scope="module")
def expected(model: str, long_scan: Path) -> bytes:
    """The file that `osteon segment` writes."""
    return labelled_file(model, long_scan, long_scan.with_name("expected.nii.gz"))


@pytest.fixture
def config(model: str, tmp_path: Path) -> Path:
    """A service that shares every scan out in small ranges."""
    path = tmp_path / "serve.yaml"
    settings = {"models": {"tiny": model}, "store": str(tmp_path / "store"), "range_megavoxels": 0.3}
    path.write_text(yaml.safe_dump(settings))
    return path


def post(service: Service, scan: Path, key: str) -> str:
    """The id of an accepted order."""
    files = {"scan": (scan.name, scan.read_bytes())}
    answer = httpx.post(f"{service.url}/v1/segmentations", files=files, headers={"Idempotency-Key": key}, timeout=60)
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["id"])


def awaited(service: Service, id_: str, is_right: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    """The segmentation, when it is as it should be."""
    until, seen = time.monotonic() + END_S, None
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):  # nobody answers while the Api is being replaced
            answer = httpx.get(f"{service.url}/v1/segmentations/{id_}", timeout=30)
            if answer.status_code == 200:
                seen = answer.json()
                if is_right(seen):
                    return dict(seen)
        time.sleep(0.1)
    raise AssertionError(f"after {END_S:g} s: {seen}")


def is_done(segmentation: dict[str, object]) -> bool:
    assert segmentation["state"] != "failed", segmentation
    return segmentation["state"] == "done"


def is_under_way(segmentation: dict[str, object]) -> bool:
    assert not is_done(segmentation), "too fast to be killed over"
    return segmentation["state"] == "segmenting"


def test_killed_replicas_cost_time_and_nothing_else(
    start: Start, config: Path, long_scan: Path, expected: bytes
) -> None:
    service = start("--config", str(config))
    for victim in ("Segmenter", "Desk", "Api"):
        id_ = post(service, long_scan, victim)
        awaited(service, id_, is_under_way)
        [process] = replicas(service, victim)
        process.kill()

        awaited(service, id_, is_done)
        result = httpx.get(f"{service.url}/v1/segmentations/{id_}/result", timeout=60)
        assert result.content == expected, f"other labels after the death of {victim}"
    assert service.stop() == 0


def test_a_power_cut_loses_no_accepted_scan(
    start: Start, config: Path, long_scan: Path, expected: bytes, tmp_path: Path
) -> None:
    first = start("--config", str(config))
    ids = [post(first, long_scan, key) for key in ("a", "b")]
    awaited(first, ids[0], is_under_way)
    first.kill()

    second = start("--config", str(config))
    assert [post(second, long_scan, key) for key in ("a", "b")] == ids, "asked again, they are the same orders"
    for id_ in ids:
        awaited(second, id_, is_done)
        assert httpx.get(f"{second.url}/v1/segmentations/{id_}/result", timeout=60).content == expected
    listed = httpx.get(f"{second.url}/v1/segmentations", timeout=60).json()["items"]
    assert sorted(item["id"] for item in listed) == sorted(ids)
    store = open_store(str(tmp_path / "store"))
    assert store.list("work") == store.list("open") == []
    assert len(store.list_children("results")) == 2
