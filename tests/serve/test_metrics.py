"""The numbers of the service: counted right, named for nobody, and read by Prometheus itself."""

import asyncio
import logging
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from service import LocalFront, write_noise
from tiny_model import write_model

from osteon.serve import desk as desk_module
from osteon.serve.api import new_api
from osteon.serve.audit import HEADER, WithRequestId
from osteon.serve.desk import Desk, Lost
from osteon.serve.front import DeskAway
from osteon.serve.keys import add_key
from osteon.serve.ledger import Ledger
from osteon.serve.metrics import Registry
from osteon.serve.schemas import Order, now
from osteon.serve.segmenter import Event
from osteon.serve.settings import ServeSettings
from osteon.serve.steps import Progress
from osteon.telemetry.metrics import METRICS, ORDERS_OPEN, STEP_SECONDS, STEPS_LOST, VOXELS

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "service-metrics.md"
SCRAPED_S = 120.0  # until Prometheus has seen what it should, on a busy machine
Numbers = dict[tuple[str, tuple[str, ...]], float]


def numbers_of(text: str) -> Numbers:
    """Every sample by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@contextmanager
def served(settings: ServeSettings, front: LocalFront | None = None) -> Iterator[TestClient]:
    """The API with desk and segmenter in this process."""
    with TestClient(new_api(settings, front or LocalFront(settings)), base_url="http://127.0.0.1") as api:
        yield api


def scraped(api: TestClient) -> Numbers:
    """The numbers of the service."""
    answer = api.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return numbers_of(answer.text)


def at_rest(api: TestClient) -> Numbers:
    """The numbers, when nothing is open: a caller may hear of an end a moment before it is counted."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if (numbers := scraped(api))["osteon_orders_open", ()] == 0:
            return numbers
    raise AssertionError(numbers)


def test_a_segmentation_leaves_its_numbers(settings: ServeSettings, tmp_path: Path) -> None:
    scan = write_noise(tmp_path / "doe_john.nii.gz", depth=120, side=24)
    with served(settings) as api:
        for _ in range(2):
            answer = api.post("/v1/segmentations?wait=60", files={"scan": (scan.name, scan.read_bytes())})
            assert answer.json()["state"] == "done"
        numbers = at_rest(api)

    assert numbers["osteon_segmentation_seconds_count", ("done",)] == 2
    assert numbers["osteon_labelled_voxels_total", ()] == 2 * 120 * 24 * 24
    assert numbers["osteon_labelling_seconds_total", ()] > 0
    assert numbers["osteon_model_load_seconds_count", ("tiny",)] == 1, "loaded once"
    assert numbers["osteon_step_seconds_count", ("begin",)] == 2
    assert numbers["osteon_step_seconds_count", ("finish",)] == 2, "it was shared out"
    steps = sum(value for (name, _), value in numbers.items() if name == "osteon_step_seconds_count")
    assert numbers["osteon_segmenter_resident_bytes_count", ()] == steps
    assert numbers["osteon_oldest_order_seconds", ()] == 0
    assert numbers["osteon_request_seconds_count", ("POST", "/v1/segmentations", "200")] == 2


def test_what_the_zone_map_spares_is_told(settings: ServeSettings, tmp_path: Path) -> None:
    """Air above noise: the windows over the air are skipped."""
    hu = np.full((40, 24, 24), -1000, dtype=np.int16)
    hu[:8] = np.random.default_rng(0).integers(-1000, 1500, (8, 24, 24))
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((1.5, 1.5, 1.5))
    sitk.WriteImage(image, tmp_path / "air.nii.gz")
    model = write_model(tmp_path / "model", bone_floor_hu=600)
    with served(settings.model_copy(update={"models": {"tiny": model}})) as api:
        body = (tmp_path / "air.nii.gz").read_bytes()
        answer = api.post("/v1/segmentations?wait=60&filename=air.nii.gz", content=body)
        assert answer.json()["state"] == "done", answer.text
        numbers = at_rest(api)

    computed, skipped = (numbers["osteon_windows_total", (state,)] for state in ("computed", "skipped"))
    assert computed + skipped == 4 * 2 * 2, "40 x 24 x 24 voxels in windows of 16, half of each the next one's, too"
    assert 0 < computed < skipped


def test_requests_are_counted_by_template_and_not_by_what_strangers_invent(settings: ServeSettings) -> None:
    with served(settings) as api:
        for id_ in ("a1", "b2"):
            api.get(f"/v1/segmentations/{id_}")
        api.get("/doe^john.nii.gz")
        api.request("DOE", "/healthz")
        answer = api.get("/metrics")
        numbers = numbers_of(answer.text)

    assert numbers["osteon_request_seconds_count", ("GET", "/v1/segmentations/{id}", "404")] == 2
    assert numbers["osteon_request_seconds_count", ("GET", "other", "404")] == 1
    assert numbers["osteon_request_seconds_count", ("other", "/healthz", "405")] == 1
    assert not re.search("doe|a1|b2", answer.text, re.IGNORECASE)


def test_a_scan_that_is_refused_counts_as_failed(settings: ServeSettings) -> None:
    with served(settings) as api:
        api.post("/v1/segmentations?wait=60&filename=x.nii.gz", content=b"no gzip")
        assert at_rest(api)["osteon_segmentation_seconds_count", ("failed",)] == 1


def test_what_is_open_lost_and_stopped_is_seen_at_the_desk(
    settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crew:
        """Loses its first step, then works for ever."""

        losses = 1

        async def begin(self, order: Order) -> AsyncIterator[Event]:
            assert order.id == "a1"
            yield Progress(stage="reading", share=0.1)
            while not self.losses:
                await asyncio.sleep(0.01)
            self.losses -= 1
            raise Lost("killed")

        def label_range(self, order: Order, number: int) -> AsyncIterator[Event]:
            raise AssertionError(f"range {number} of {order.id}, which was not read")

        finish = deposit = begin

    monkeypatch.setattr(desk_module, "RETRY_S", 0.0)
    ledger, registry = Ledger(settings.open_store()), Registry()
    ledger.accept(Order(id="a1", owner="anna", model="tiny", upload="u/scan.nii", created=now(), digest="d"))

    async def work() -> tuple[Numbers, Numbers]:
        desk = Desk(ledger, Crew(), numbers=registry)
        await desk.look()
        while ("osteon_steps_lost_total", ("begin",)) not in numbers_of(registry.text()):
            await asyncio.sleep(0.01)
        desk.measure()
        busy = numbers_of(registry.text())
        await desk.drop("a1")
        desk.measure()
        return busy, numbers_of(registry.text())

    busy, idle = asyncio.run(work())
    assert busy["osteon_steps_lost_total", ("begin",)] == 1
    assert busy["osteon_orders_open", ()] == 1
    assert busy["osteon_oldest_order_seconds", ()] > 0
    assert idle["osteon_segmentation_seconds_count", ("cancelled",)] == 1
    assert idle["osteon_orders_open", ()] == idle["osteon_oldest_order_seconds", ()] == 0


def test_a_desk_that_does_not_answer_is_said_to_be_so(settings: ServeSettings) -> None:
    class Dead(LocalFront):
        async def metrics(self) -> str:
            raise DeskAway("queue-full", "the desk does not answer", retry_after_s=5)

    with served(settings, Dead(settings)) as api:
        answer = api.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (503, "queue-full")
    assert answer.headers["retry-after"] == "5"


def test_numbers_are_for_admins_unless_they_are_public(settings: ServeSettings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    reader, admin = add_key(keys, "reader", frozenset({"read"})), add_key(keys, "admin", frozenset({"admin"}))
    for is_public in (False, True):
        auth = settings.guard.auth.model_copy(update={"keys": keys, "public_metrics": is_public})
        closed = settings.model_copy(update={"guard": settings.guard.model_copy(update={"auth": auth})})
        with served(closed) as api:
            asked = [api.get("/metrics", headers={"Authorization": f"Bearer {key}"}) for key in (reader, admin)]
            asked.append(api.get("/metrics"))
        assert [answer.status_code for answer in asked] == ([200] * 3 if is_public else [403, 200, 401])


def test_one_request_id_runs_through_the_logs_of_desk_and_segmenter(
    settings: ServeSettings, scan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(WithRequestId())
    with caplog.at_level(logging.INFO, "osteon"), served(settings) as api:
        files = {"scan": (scan.name, scan.read_bytes())}
        api.post("/v1/segmentations?wait=60", files=files, headers={HEADER: UUID})
    found = {record.name for record in caplog.records if getattr(record, "request_id", "") == UUID}
    assert {"osteon.audit", "osteon.serve.desk", "osteon.serve.segmenter"} <= found


def test_an_order_of_an_older_version_has_no_request_id() -> None:
    order = Order(id="a1", owner="anna", model="tiny", source="s3://b/x.nii", created=now(), digest="d")
    kept = order.model_dump(mode="json")
    del kept["request_id"]
    assert Order.model_validate(kept) == order


def test_the_page_lists_every_metric_and_no_other() -> None:
    rows = [re.findall(r"[^|]+", line) for line in PAGE.read_text().splitlines() if line.startswith("| `osteon_")]
    told = [tuple(cell.strip() for cell in row) for row in rows]
    declared = [
        (f"`{metric.name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels) or "–", metric.help)
        for metric in METRICS
    ]
    assert told == declared


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_what_the_page_asks_prometheus_can_answer(tmp_path: Path) -> None:
    asked = re.findall(r"^\| [^`|]+ \| `(.+)` \|$", PAGE.read_text(), re.MULTILINE)
    rules = [{"record": f"page:{number}", "expr": expression} for number, expression in enumerate(asked)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "page", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", file], text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    known = {sample.name for family in text_string_to_metric_families(filled().text()) for sample in family.samples}
    named = {name for expression in asked for name in re.findall(r"osteon_\w+", expression)}
    assert len(asked) > 5
    assert named <= known


def filled() -> Registry:
    """A registry with a value of every metric."""
    registry = Registry()
    for metric in METRICS:
        registry.record(metric, 1.0, *(f"a {label}" for label in metric.labels))
    return registry


def test_every_kind_of_number_is_kept() -> None:
    registry = Registry()
    for value in (1.0, 3.0):
        registry.record(VOXELS, value)
        registry.record(ORDERS_OPEN, value)
        registry.record(STEP_SECONDS, value, "begin")
    registry.record(STEPS_LOST, 1, "finish")
    numbers = numbers_of(registry.text())

    assert numbers["osteon_labelled_voxels_total", ()] == 4, "a counter adds up"
    assert numbers["osteon_orders_open", ()] == 3, "a gauge keeps the last"
    assert numbers["osteon_step_seconds_bucket", ("1.0", "begin")] == 1, "a histogram sorts"
    assert numbers["osteon_step_seconds_sum", ("begin",)] == 4
    assert numbers["osteon_steps_lost_total", ("finish",)] == 1


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_own_tool_finds_no_fault() -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=filled().text(), text=True, capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
