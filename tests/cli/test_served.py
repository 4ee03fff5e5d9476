import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import typer
from local import serve_locally
from service import LocalFront, write_noise
from tiny_model import write_model
from typer.testing import CliRunner, Result

from osteon.cli.segment import segment
from osteon.core.errors import BadInput, BadScan
from osteon.core.geometry import Grid
from osteon.data.phantom.dicom import to_series
from osteon.serve.api import new_api
from osteon.serve.ledger import Ledger
from osteon.serve.settings import ServeSettings
from osteon.storage.case import open_case

Segment = Callable[..., Result]
app = typer.Typer()
app.command()(segment)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def settings(model: str, tmp_path_factory: pytest.TempPathFactory) -> ServeSettings:
    return ServeSettings(models={"tiny": model}, store=str(tmp_path_factory.mktemp("service")))


@pytest.fixture(scope="module")
def server(settings: ServeSettings) -> Iterator[str]:
    """The address of a service."""
    with serve_locally(new_api(settings, LocalFront(settings))) as url:
        yield url


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise(tmp_path_factory.mktemp("scan") / "scan.nii.gz")


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.nrrd"])
def test_the_files_are_those_that_are_written_without_a_server(
    osteon_segment: Segment, server: str, model: str, settings: ServeSettings, scan: Path, tmp_path: Path, name: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    said = osteon_segment(model, str(scan), str(here / name), "--json")
    heard = osteon_segment("tiny", str(scan), str(there / name), "--server", server, "--json")

    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in here.iterdir()
    }
    local, served = json.loads(said.output), json.loads(heard.output)
    assert {key: served[key] for key in ("volumes_ml", "model")} == {key: local[key] for key in ("volumes_ml", "model")}
    assert served["output"] == str(there / name)
    assert settings.open_store().list() == [], "nothing of the scan stays on the server"


def test_a_zarr_output_is_a_case_with_the_same_labels(
    osteon_segment: Segment, server: str, model: str, scan: Path, tmp_path: Path
) -> None:
    here, there = str(tmp_path / "here.zarr"), str(tmp_path / "there.zarr")
    osteon_segment(model, str(scan), here)
    for _ in range(2):  # the second one replaces the first
        told = osteon_segment("tiny", str(scan), there, "--server", server)

    assert f"the labels are in {there}" in told.output
    local, served = open_case(here), open_case(there)
    assert local.grid == served.grid
    assert local.table == served.table
    shape = local.grid.shape
    for first, second in ((local.labels(), served.labels()), (local.image(), served.image())):
        np.testing.assert_array_equal(first.read((0, 0, 0), shape).result(), second.read((0, 0, 0), shape).result())


def test_a_folder_of_dicom_becomes_a_segmentation_object(osteon_segment: Segment, server: str, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    hu = np.random.default_rng(0).integers(-1000, 1500, (20, 24, 20)).astype(np.int16)
    for file in to_series("case", hu, Grid(hu.shape, (2.0, 1.0, 1.0), (-30.0, 12.0, 5.0)), (1,)):
        (tmp_path / "series" / file.name).write_bytes(file.to_bytes())
    osteon_segment("tiny", str(tmp_path / "series"), str(tmp_path / "labels.seg.dcm"), "--server", server)
    assert sitk.ReadImage(tmp_path / "labels.seg.dcm").GetSize()[:2] == (20, 24)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("tiny", "scan.nii.gz", "labels.mha"), "output-format"),
        (("tiny", "scan.nii.gz", "https://pacs/studies"), "output-format"),
        (("tiny", "scan.nii.gz", "labels.nrrd", "--no-skip"), "server-option"),
        (("tiny", "scan.nii.gz", "labels.nrrd", "--backend", "torch"), "server-option"),
        (("large", "scan.nii.gz", "labels.nrrd"), "not-found"),
        (("tiny", "none.nii.gz", "labels.nrrd"), "no-scan"),
        (("tiny", "s3://bucket/scan.nii.gz", "labels.nrrd"), "source-not-allowed"),
    ],
)
def test_what_cannot_be_asked_of_a_server_is_refused(
    osteon_segment: Segment, server: str, arguments: tuple[str, ...], code: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        osteon_segment(*arguments, "--server", server)
    assert refusal.value.code == code


def test_a_bad_scan_leaves_no_file_and_nothing_on_the_server(
    osteon_segment: Segment, server: str, settings: ServeSettings, tmp_path: Path
) -> None:
    (tmp_path / "bad.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(BadScan):
        osteon_segment("tiny", str(tmp_path / "bad.nii.gz"), str(tmp_path / "labels.nii.gz"), "--server", server)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.nii.gz"]
    assert settings.open_store().list() == []


def test_an_interrupted_request_is_taken_back(
    server: str, settings: ServeSettings, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("osteon.serve.client.Client.follow", interrupted)
    result = CliRunner().invoke(app, ["tiny", str(scan), str(tmp_path / "labels.nii.gz"), "--server", server])
    assert result.exit_code == 130
    assert not list(tmp_path.iterdir())
    ledger = Ledger(settings.open_store())
    ledger.forget_orphans()  # as the service does now and then: what a step under way put after the order was deleted
    assert ledger.store.list() == []
