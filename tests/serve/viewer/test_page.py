"""The page in a real browser, against the real service: a real scan dropped, its bones seen, a file taken home."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.image
import numpy as np
import pytest
import SimpleITK as sitk
from playwright.sync_api import Page

if TYPE_CHECKING:
    from tests.serve.viewer.conftest import Visit

    NewVisit = Callable[[int, int], Visit]

pytestmark = [pytest.mark.slow, pytest.mark.realdata]

SCAN = "ts-abdomen-pelvis-nifti/example_ct.nii.gz"
SERIES = "crlm1004-abdomen-5mm-dicom/dicom"
DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name));
    document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the page and send it."""
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])
    page.click("#go:enabled")


def num_coloured(page: Page, selector: str) -> int:
    """Pixels of an element that are not grey."""
    pixels = matplotlib.image.imread(BytesIO(page.locator(selector).screenshot()), format="png")[..., :3]
    return int(np.count_nonzero(np.ptp(pixels, axis=-1) > 0.25))


def segment(visit: Visit, real_data: Path) -> Page:
    """The result of the real scan, dropped under a name that must not leave the browser."""
    drop(visit.page, "Doe_Jane.nii.gz", (real_data / SCAN).read_bytes())
    visit.page.wait_for_selector("#stage[data-shown]")
    return visit.page


def test_a_dropped_scan_shows_its_bones_and_can_be_taken_home(visit: Visit, real_data: Path, tmp_path: Path) -> None:
    sent: list[bytes] = []
    visit.page.on("request", lambda request: sent.append(request.url.encode() + (request.post_data_buffer or b"")))
    visit.page.screenshot(path=tmp_path / "start.png")
    page = segment(visit, real_data)
    assert page.inner_text("#result-title") == "Doe_Jane.nii.gz"
    assert not any(b"Doe" in request for request in sent)
    names = [str(row.get_attribute("data-bone")) for row in page.locator("#bones li").all()]
    assert names
    assert set(names) <= {"sacrum", "femur_left"}

    page.click("#bones li:first-child > button")
    page.wait_for_selector("li.chosen dt:has-text('Surface')")
    assert page.inner_text("li.chosen .name") in page.inner_text("#readout")
    assert " ml" in page.inner_text("li.chosen dl")
    assert "Cortical thickness" in page.inner_text("li.chosen dl")
    page.screenshot(path=tmp_path / "result.png")

    seen = {canvas: num_coloured(page, canvas) for canvas in ("#planes", "#space")}
    page.click("#hide-all")
    hidden = {canvas: num_coloured(page, canvas) for canvas in ("#planes", "#space")}
    assert all(seen[canvas] > hidden[canvas] + 1000 for canvas in seen), (seen, hidden)  # what is left is the crosshair
    page.click("#show-all")
    page.uncheck("#bones li:first-child input")  # one bone alone
    without = num_coloured(page, "#space")
    assert hidden["#space"] < without < seen["#space"] - 100, (hidden, without, seen)
    page.check("#bones li:first-child input")

    with page.expect_download() as download:
        page.click("[data-format=nifti]")
    download.value.save_as(tmp_path / "labels.nii.gz")
    labels = sitk.ReadImage(tmp_path / "labels.nii.gz")
    assert labels.GetSize() == sitk.ReadImage(real_data / SCAN).GetSize()
    assert len(np.unique(sitk.GetArrayViewFromImage(labels))) == 1 + len(names)
    with page.expect_download() as measures:
        page.click("[data-format=json]")
    assert [bone["name"] for bone in json.loads(measures.value.path().read_text())["bones"]] == names
    assert visit.complaints == []


def test_everything_can_be_done_with_keys(visit: Visit, real_data: Path, tmp_path: Path) -> None:
    page = segment(visit, real_data)
    page.locator("#result-title").focus()
    page.keyboard.press("n")
    assert page.locator("li.chosen").count() == 1
    page.keyboard.press("h")
    assert not page.is_checked("li.chosen input")
    page.keyboard.press("a")
    assert page.is_checked("li.chosen input")
    page.keyboard.press("s")
    assert page.input_value("#window") == "soft"
    page.keyboard.press("2")
    assert page.get_attribute("#tools [data-layout=axial]", "aria-pressed") == "true"
    page.focus("#planes")
    before = page.inner_text("#readout")
    for _ in range(5):
        page.keyboard.press("PageUp")
    assert page.inner_text("#readout") != before
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.screenshot(path=tmp_path / "help.png")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.wait_for_selector("#earlier-list a")
    page.locator("#earlier-list a").first.press("Enter")
    page.wait_for_selector("#stage[data-shown]")
    page.focus("#remove")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#start:visible")
    assert visit.complaints == []


def test_a_phone_shows_all_of_it(new_visit: NewVisit, real_data: Path, tmp_path: Path) -> None:
    visit = new_visit(360, 740)
    visit.enter()
    page = visit.page
    page.screenshot(path=tmp_path / "start.png")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    segment(visit, real_data)
    page.locator("#bones li").last.locator("button").first.click()
    page.screenshot(path=tmp_path / "result.png")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert num_coloured(page, "#space") > 500  # the pictures stay in sight beside the list
    assert visit.complaints == []


def test_a_folder_of_dicom_is_one_scan(visit: Visit, real_data: Path) -> None:
    page = visit.page
    page.set_input_files("#folder", real_data / SERIES)
    page.click("#go:enabled")
    page.wait_for_selector("#stage[data-shown]")
    assert page.locator("#bones li").count() >= 1
    assert page.locator("[data-format=dicomseg]").count() == 1
    assert visit.complaints == []


def test_a_lost_connection_is_taken_up_again(visit: Visit, real_data: Path) -> None:
    visit.page.route("**/events", lambda route: route.abort(), times=1)
    page = segment(visit, real_data)
    assert page.locator("#bones li").count() >= 1
    assert all("ERR_FAILED" in complaint for complaint in visit.complaints)


def test_a_refusal_is_told_in_the_servers_words(visit: Visit, tmp_path: Path) -> None:
    drop(visit.page, "scan.nii", b"this is no scan")
    visit.page.wait_for_selector("#notice:visible")
    visit.page.screenshot(path=tmp_path / "refused.png")
    assert visit.page.inner_text("#notice-what").endswith(".")
    assert visit.page.inner_text("#notice-code")
    assert visit.page.is_visible("#start")


def test_the_key_is_asked_for_and_stays_out_of_the_address(new_visit: NewVisit, tmp_path: Path) -> None:
    visit = new_visit(1280, 800)
    page = visit.page
    page.goto(visit.door.url)
    page.wait_for_selector("#key[open]")
    page.fill("#key-field", "osteon_wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-refused:visible")
    page.screenshot(path=tmp_path / "key.png")
    page.fill("#key-field", visit.door.key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#model option", state="attached")
    assert page.input_value("#model") == "bright"
    assert visit.door.key not in page.url
    assert page.evaluate("localStorage.length") == 0
    page.click("#forget")
    page.wait_for_selector("#key[open]")
