"""Opens what `find_scans` found: one `Scan` for each source, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from osteon.core.errors import BadScan
from osteon.core.geometry import Grid, Reorientation
from osteon.storage.provenance import Provenance
from osteon.storage.readers import hounsfield
from osteon.storage.readers.dicom import open_dicom
from osteon.storage.readers.dicom_slices import Slice, read_slices
from osteon.storage.readers.digest import digest_files
from osteon.storage.readers.find import volume_suffix
from osteon.storage.readers.metaimage import read_metaimage
from osteon.storage.readers.nifti import read_nifti
from osteon.storage.readers.nrrd import read_nrrd
from osteon.storage.readers.planes import Planes, RawPlanes, new_spool, spool
from osteon.storage.readers.raster import Geometry, Raster, map_voxels
from osteon.storage.readers.scan import Scan
from osteon.storage.readers.source import ScanSource
from osteon.storage.readers.stack import Stack
from osteon.storage.readers.upright import make_upright

_HEADERS: dict[str, Callable[[Path], Raster]] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".mha": read_metaimage,
    ".mhd": read_metaimage,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
}


def open_scan(source: ScanSource, *, scratch: Path, allow_gaps: bool = False) -> Scan:
    """Check a source and open it; compressed NIfTI, MetaImage and NRRD files are inflated into ``scratch``.

    ``allow_gaps`` resamples uneven, incomplete and tilted stacks to an even, upright grid, and records it.

    Raises:
        BadScan: what the table of bad scans refuses.
    """
    try:
        if source.format == "dicom":
            return open_dicom(source.slices or _read_all(source), scratch=scratch, allow_gaps=allow_gaps)
        return _open_raster(source, scratch, allow_gaps)
    except BadScan as error:
        raise (error if error.where else error.at(source.files[0])) from None
    except OSError as error:
        raise _unreadable(error, source) from None


def read_raster(path: Path) -> Raster:
    """The header of a NIfTI, MetaImage or NRRD file, by its suffix.

    Raises:
        BadScan: what its reader refuses; ``where`` is the path.
    """
    try:
        return _HEADERS[volume_suffix(path)](path)
    except BadScan as error:
        raise error.at(str(path)) from None


def read_geometry(source: ScanSource) -> Geometry | None:
    """Where a NIfTI, MetaImage or NRRD file's voxels lie, from its header alone; None for DICOM and bad headers."""
    if source.format == "dicom":
        return None
    try:
        return read_raster(Path(source.files[0])).geometry
    except (BadScan, OSError):
        return None


def source_digest(source: ScanSource) -> str:
    """SHA-256 over a source's bytes, whatever its files are called; what its `Scan` will carry.

    Raises:
        BadScan: ``unreadable-file``, and what a header's reader refuses.
    """
    try:
        files = [Path(file) for file in source.files] if source.format == "dicom" else _raster_files(source)
        return digest_files(files)
    except OSError as error:
        raise _unreadable(error, source) from None


def _raster_files(source: ScanSource) -> list[Path]:
    """The header's file and, where they lie apart, that of the voxels."""
    return sorted({Path(source.files[0]), Path(read_raster(Path(source.files[0])).path)})


def _unreadable(error: OSError, source: ScanSource) -> BadScan:
    what = f"the file cannot be read ({error.strerror})"
    return BadScan("unreadable-file", what, where=str(error.filename or source.files[0]))


def _read_all(source: ScanSource) -> tuple[Slice, ...]:
    return tuple(frame for file in source.files for frame in read_slices(Path(file)) or ())


def _open_raster(source: ScanSource, scratch: Path, allow_gaps: bool) -> Scan:
    raster = read_raster(Path(source.files[0]))
    if raster.layers != 1:
        raise BadScan("dimensions", f"{raster.layers} values per voxel", remedy="one file holds one scan")
    raw = RawPlanes(map_voxels(raster, scratch), raster.slope, raster.intercept)
    grid, planes, mended = _make_regular(raster.geometry, raw, allow_gaps)
    order = Reorientation.to_lps(grid)
    if planes is not raw and order.axes[0] != 0:
        planes = spool(planes, new_spool(scratch))
    files = _raster_files(source)
    provenance = Provenance(
        source_format=source.format,
        source_digest=digest_files(files),
        source_grid=grid,
        reorientation=order,
        corrections=(*raster.notes, *mended, *hounsfield.judge(raw.survey(), is_ct=False)),
    )
    return Scan(
        order.apply_grid(grid),
        provenance,
        sum(file.stat().st_size for file in files),
        planes,
        str(scratch),
        bool(mended),
    )


def _make_regular(geometry: Geometry, raw: RawPlanes, allow_gaps: bool) -> tuple[Grid, Planes, tuple[str, ...]]:
    """The file's own grid and planes; for a sheared affine upright ones, if that is allowed."""
    try:
        return geometry.grid(), raw, ()
    except BadScan as error:
        if error.code != "sheared-affine":
            raise
    stack = Stack.of_affine(geometry.shape, geometry.matrix)
    fault = stack.shear()
    if not allow_gaps:
        raise fault.refusal
    grid, upright = make_upright(stack, raw)
    return grid, upright, (fault.correction(grid),)
