"""A result as a file of the wanted format. Knows stored cases and files; knows no HTTP and no orders.

Names and colours are those of the label table in every format, so that a bone looks the same wherever it is opened.
Files are called after the order: nothing in their names comes from the scan.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from osteon.core.errors import BadInput
from osteon.core.volume import Array
from osteon.evaluation.measure import measure_bones, present_bones
from osteon.evaluation.mesh_files import encode_mesh
from osteon.serve.endings import CASE
from osteon.storage.case import StoredCase, StoredVolume
from osteon.storage.export import write_scan
from osteon.storage.export.dicom_seg import Algorithm, write_dicom_seg
from osteon.storage.export.dicom_source import find_source, needs_dicom
from osteon.storage.manifest import ROOT_KEY

if TYPE_CHECKING:
    from osteon.serve.schemas import Format

CORTEX_HU = 600.0  # bone from this HU on counts as cortical where thickness is measured: docs/how-to/measure.md
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the same result gives the same zip


@dataclass(frozen=True)
class Result:
    """A segmentation that is done.

    Attributes:
        id: of the order; names the files.
        case: scan and labels.
        model: what made the labels.
        fetch: brings what was segmented near once more: a path, or the URL of a stored case.
    """

    id: str
    case: StoredCase
    model: Algorithm
    fetch: Callable[[], str]

    def labels(self) -> Array:
        """Label ids z, y, x, LPS."""
        return _whole(self.case.labels())

    def hu(self) -> Array:
        """The scan, on the same grid."""
        return _whole(self.case.image())


@dataclass(frozen=True)
class ResultFile:
    """A file to be sent.

    Attributes:
        path: where it lies.
        media_type: what it is.
        name: what a browser calls it.
    """

    path: Path
    media_type: str
    name: str


def write_result(result: Result, format: Format, folder: Path, *, bone: str | None = None) -> ResultFile:
    """Write a result into a folder; ``bone`` picks one bone's surface.

    Raises:
        BadInput: ``needs-dicom``, ``unknown-bone``, ``bone-format``: only surfaces come bone by bone; and what
            `write_dicom_seg` refuses.
    """
    if bone is not None:
        if format != "stl":
            what = f"one bone alone comes as stl, not as {format}"
            raise BadInput("bone-format", what, remedy="ask for stl, or leave the bone out")
        return _write_bone(result, folder, bone)
    suffix, media_type, write = _FORMATS[format]
    path = folder / f"{result.id}{suffix}"
    write(result, path)
    return ResultFile(path, media_type, path.name)


def write_scan_file(result: Result, folder: Path) -> ResultFile:
    """Write the scan itself as NIfTI, on the same grid as the labels in that format."""
    path = folder / f"{result.id}-scan.nii.gz"
    write_scan(path, result.hu(), result.case.grid, result.case.provenance, table=None)
    return ResultFile(path, "application/gzip", path.name)


def _write_raster(result: Result, path: Path) -> None:
    case = result.case
    write_scan(path, result.labels(), case.grid, case.provenance, table=case.table)


def _write_dicom_seg(result: Result, path: Path) -> None:
    case = result.case
    if case.provenance.source_format != "dicom":
        raise needs_dicom()
    place = result.fetch()
    if place.endswith(CASE):  # ingested from DICOM, but the series itself is not in there
        raise needs_dicom()
    source = find_source(Path(place), case.provenance)
    write_dicom_seg(path, result.labels(), case.provenance, case.table, source, result.model)


def _write_zarr_zip(result: Result, path: Path) -> None:
    """The stored case as it is: its chunks are compressed already, and a viewer can read them where they lie."""
    keys = sorted(result.case.store.list(), key=lambda key: key != ROOT_KEY)  # the root first, for readers of streams
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key in keys:
            _put(archive, f"{result.id}.zarr/{key}", result.case.store.read_bytes(key))


def _write_surfaces(result: Result, path: Path) -> None:
    labels, case = result.labels(), result.case
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for bone in measure_bones(labels, case.grid, case.table):
            _put(archive, f"{bone.measures.name}.stl", encode_mesh(bone.mesh, "stl"))


def _write_bone(result: Result, folder: Path, name: str) -> ResultFile:
    labels, case = result.labels(), result.case
    wanted = case.table.subset([case.table.ids[name]] if name in case.table.ids else [])
    for bone in measure_bones(labels, case.grid, wanted):
        path = folder / f"{result.id}-{name}.stl"
        path.write_bytes(encode_mesh(bone.mesh, "stl"))
        return ResultFile(path, "model/stl", path.name)
    there = ", ".join(present_bones(labels, case.table).ids) or "none"
    raise BadInput("unknown-bone", f"no {name!r} was found in this scan", remedy=f"found were: {there}")


def _write_measures(result: Result, path: Path) -> None:
    case, bones = result.case, []
    for bone in measure_bones(result.labels(), case.grid, case.table, hu=result.hu(), cortex_hu=CORTEX_HU):
        [label] = case.table.subset([bone.measures.id]).labels
        bones.append({**bone.measures.model_dump(mode="json"), "color": label.color})
    model = {"name": result.model.name, "digest": result.model.version}
    path.write_text(json.dumps({"id": result.id, "model": model, "cortex_hu": CORTEX_HU, "bones": bones}), "utf-8")


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    entry.compress_type = archive.compression
    archive.writestr(entry, data)


def _whole(volume: StoredVolume) -> Array:
    return volume.read((0, 0, 0), volume.grid.shape).result()


_FORMATS: dict[Format, tuple[str, str, Callable[[Result, Path], None]]] = {
    "nifti": (".nii.gz", "application/gzip", _write_raster),
    "nrrd": (".seg.nrrd", "application/octet-stream", _write_raster),
    "dicomseg": (".seg.dcm", "application/dicom", _write_dicom_seg),
    "omezarr": (".zarr.zip", "application/zip", _write_zarr_zip),
    "stl": (".stl.zip", "application/zip", _write_surfaces),
    "json": (".json", "application/json", _write_measures),
}
