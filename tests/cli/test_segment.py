import io
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from https import give, serve_https
from tiny_model import TABLE, write_model
from typer.testing import Result

from osteon.core.errors import BadInput, BadScan
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.phantom.dicom import to_series
from osteon.data.prepare import PrepareSpec
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.windows import StreamSpec
from osteon.models.build import build
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.bundle import load_bundle, save_bundle, segmenter_of
from osteon.recipes.recipe import Recipe
from osteon.storage.case import open_case
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case, write_zarr

Segment = Callable[..., Result]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("model"), bone_floor_hu=600)


@pytest.fixture(scope="module")
def scan() -> InMemoryVolume:
    """Bright noise below, air above: the upper windows are skipped."""
    hu = np.full((40, 24, 20), -1000, dtype=np.int16)
    hu[:16] = np.random.default_rng(0).integers(-1000, 1500, (16, 24, 20))
    return InMemoryVolume(hu, Grid(hu.shape, (2.0, 1.0, 1.0), (-30.0, 12.0, 5.0)))


@pytest.fixture(scope="module")
def scan_file(scan: InMemoryVolume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scan as a file whose x axis runs to the right: not LPS."""
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    image = sitk.GetImageFromArray(scan.array)
    spacing, origin, direction = scan.grid.to_itk()
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(sitk.Flip(image, [True, False, False]), path)
    return path


@pytest.fixture(scope="module")
def expected(model: str, scan: InMemoryVolume) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return segmenter_of(load_bundle(model), "torch").segment(scan, zones_of(scan.array))


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.mha", "labels.nrrd"])
def test_labels_of_a_file_lie_on_its_own_grid(
    osteon_segment: Segment,
    model: str,
    scan_file: Path,
    tmp_path: Path,
    expected: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    name: str,
) -> None:
    result = osteon_segment(model, str(scan_file), str(tmp_path / name), "--backend", "torch", "--json")
    labels, source = sitk.ReadImage(tmp_path / name), sitk.ReadImage(scan_file)
    np.testing.assert_allclose(labels.GetOrigin(), source.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(labels.GetDirection(), source.GetDirection(), atol=1e-6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels)[:, :, ::-1], expected)
    found = json.loads(result.output)
    assert set(found["volumes_ml"]) == {TABLE.names[id_] for id_ in np.unique(expected) if id_}
    assert found["volumes_ml"]["sacrum"] == pytest.approx((expected == TABLE.ids["sacrum"]).sum() * 2 / 1000)
    assert found["agreement"] == 1.0


def test_a_stored_case_gets_the_same_labels(
    osteon_segment: Segment,
    model: str,
    scan: InMemoryVolume,
    tmp_path: Path,
    expected: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> None:
    dataset = Dataset.create(str(tmp_path / "dataset"), "test", LabelTable(()))
    write_case(dataset, "one", scan.array.astype(np.int16), None, scan.grid)
    output = tmp_path / "labels.zarr"
    osteon_segment(model, dataset.case("one").store.url, str(output), "--backend", "torch", "--no-skip")
    case = open_case(str(output))
    labels = case.labels().read((0, 0, 0), scan.grid.shape).result()
    exact = segmenter_of(load_bundle(model), "torch").exact().segment(scan)
    np.testing.assert_array_equal(labels, exact)
    np.testing.assert_array_equal(case.image().read((0, 0, 0), scan.grid.shape).result(), scan.array)
    assert case.table == TABLE
    assert (exact != expected).any()  # --no-skip made a difference


def test_what_cannot_be_written_is_refused_before_anything_is_computed(osteon_segment: Segment) -> None:
    with pytest.raises(BadInput, match="archive-url"):
        osteon_segment("no-such-model", "no-such-scan", "https://pacs/labels.nii.gz")
    for output in ("labels.png", "s3://bucket/labels.nii.gz"):
        with pytest.raises(BadInput, match="output-format"):
            osteon_segment("no-such-model", "no-such-scan", output)


@pytest.mark.parametrize("options", [(), ("--labelmap",)])
def test_a_dicom_series_gets_a_dicom_seg(
    osteon_segment: Segment,
    model: str,
    scan: InMemoryVolume,
    tmp_path: Path,
    expected: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
    options: tuple[str, ...],
) -> None:
    (tmp_path / "series").mkdir()
    for file in to_series("case", scan.array.astype(np.int16), scan.grid, (1,)):
        (tmp_path / "series" / file.name).write_bytes(file.to_bytes())
    output = tmp_path / "labels.seg.dcm"
    osteon_segment(model, str(tmp_path / "series"), str(output), "--backend", "torch", *options)
    seg = highdicom.seg.segread(output)
    names = {number: str(seg.get_segment_description(number).segment_label) for number in seg.segment_numbers}
    volume = seg.get_volume(combine_segments=True)
    index = np.argwhere(volume.array)
    where = np.rint(scan.grid.index_of(volume.map_indices_to_reference(index)[:, ::-1])).astype(int)
    found = np.zeros_like(expected)
    found[tuple(where.T)] = [TABLE.ids[names[number]] for number in volume.array[tuple(index.T)]]
    np.testing.assert_array_equal(found, expected)
    assert seg.SegmentationType == ("LABELMAP" if options else "BINARY")


def test_a_dicom_seg_goes_to_an_archive(
    osteon_segment: Segment, model: str, scan: InMemoryVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "series").mkdir()
    for file in to_series("case", scan.array.astype(np.int16), scan.grid, (1,)):
        (tmp_path / "series" / file.name).write_bytes(file.to_bytes())
    bodies: list[bytes] = []

    def take(request: BaseHTTPRequestHandler) -> None:
        bodies.append(request.rfile.read(int(request.headers["Content-Length"])))
        give(b"{}")(request)

    with serve_https(tmp_path, "localhost") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        server.answers["/dicom-web/studies"] = take
        url = f"https://localhost:{server.port}/dicom-web/studies"
        result = osteon_segment(model, str(tmp_path / "series"), url, "--backend", "torch")
    assert url in result.output
    [body] = bodies
    stored = pydicom.dcmread(io.BytesIO(body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]))
    assert stored.Modality == "SEG"
    assert stored.PatientID == "case"


def test_a_dicom_seg_needs_dicom(
    osteon_segment: Segment, model: str, scan: InMemoryVolume, scan_file: Path, tmp_path: Path
) -> None:
    write_zarr(str(tmp_path / "case.zarr"), scan.array.astype(np.int16), None, scan.grid, LabelTable(()))
    for input_ in (scan_file, tmp_path / "case.zarr"):
        with pytest.raises(BadInput, match="needs-dicom"):
            osteon_segment(model, str(input_), str(tmp_path / "labels.dcm"), "--backend", "torch")
    assert not (tmp_path / "labels.dcm").exists()


def test_a_folder_must_hold_one_scan(osteon_segment: Segment, model: str, scan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(BadInput, match="no-scan"):
        osteon_segment(model, str(tmp_path), str(tmp_path / "labels.mha"), "--backend", "torch")
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name).write_bytes(scan_file.read_bytes())
    with pytest.raises(BadInput, match="several-scans"):
        osteon_segment(model, str(tmp_path), str(tmp_path / "labels.mha"), "--backend", "torch")


def test_a_bad_scan_is_refused_by_its_code(
    osteon_segment: Segment, model: str, scan_file: Path, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.nii.gz"
    torn.write_bytes(scan_file.read_bytes()[:2000])
    with pytest.raises(BadScan):
        osteon_segment(model, str(torn), str(tmp_path / "labels.mha"), "--backend", "torch")
    assert not (tmp_path / "labels.mha").exists()


def test_a_model_of_prepared_femurs_is_applied_to_a_whole_scan(
    osteon_segment: Segment, scan: InMemoryVolume, scan_file: Path, tmp_path: Path
) -> None:
    table = table_for(["femur_right"])
    recipe = Recipe(
        name="femurs",
        prepare=PrepareSpec(femurs=True, margin_mm=0),
        model=UNet3dSpec(channels=(4, 8), num_auxiliary=0),
        inference=StreamSpec(window_shape=(16, 16, 16)),
    )
    save_bundle(open_store(str(tmp_path / "model")), "", recipe, table, build(recipe.model, num_classes=2), {})
    ids = np.zeros(scan.array.shape, np.uint8)
    ids[2:14, 8:16, 12:18], ids[2:14, 8:16, 2:8] = TABLE.ids["femur_left"], TABLE.ids["femur_right"]
    write_zarr(str(tmp_path / "rough.zarr"), scan.array.astype(np.int16), ids, scan.grid, TABLE)
    output = tmp_path / "labels.nii.gz"
    options = ("--backend", "torch", "--labels-from", str(tmp_path / "rough.zarr"))
    osteon_segment(str(tmp_path / "model"), str(scan_file), str(output), *options)
    found = sitk.GetArrayFromImage(sitk.ReadImage(output))[:, :, ::-1]
    assert found.shape == scan.grid.shape
    assert {TABLE.names[id_] for id_ in np.unique(found[:, :, 10:]) if id_} <= {"femur_left"}
    assert {TABLE.names[id_] for id_ in np.unique(found[:, :, :10]) if id_} <= {"femur_right"}
    assert found.any()
    names = json.loads(output.with_name("labels.nii.gz.labels.json").read_text())
    assert set(names.values()) == {"femur_left", "femur_right"}
    with pytest.raises(BadInput, match="no-guide"):
        osteon_segment(str(tmp_path / "model"), str(scan_file), str(output), "--backend", "torch")
