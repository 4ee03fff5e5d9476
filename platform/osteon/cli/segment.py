"""`osteon segment`: the bones of one scan, from a file, a DICOM folder or a stored case."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer

from osteon.core.errors import BadInput, BadScan
from osteon.telemetry.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from osteon.core.labels import LabelTable
    from osteon.core.volume import Volume, Zones
    from osteon.data.prepare import Guide, PrepareSpec
    from osteon.inference.postprocess import Labels
    from osteon.inference.segmenter import Segmenter
    from osteon.storage.case import StoredCase
    from osteon.storage.provenance import Provenance

ZARR = ".zarr"


def segment(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or s3:// URL of a model: RUN/model.")],
    input_: Annotated[str, typer.Argument(metavar="INPUT", help="A scan file, a DICOM folder, or a case's URL.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="Ends in .nii.gz, .mha, .nrrd or .zarr.")],
    backend: Annotated[
        Literal["auto", "torch", "openvino"], typer.Option("--backend", help="What computes the network.")
    ] = "auto",
    no_skip: Annotated[
        bool, typer.Option("--no-skip", help="Compute every window, also where the scan is too dark for bone.")
    ] = False,
    labels_from: Annotated[
        str | None,
        typer.Option(
            "--labels-from", metavar="CASE", help="A .zarr whose labels show the bones, for models of prepared scans."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Label the bones of a scan; the labels lie on the scan's own grid, voxel for voxel."""
    from osteon.recipes.bundle import load_bundle, segmenter_of

    _check_output(output)
    bundle = load_bundle(model)
    segmenter = segmenter_of(bundle, backend)
    with _opened(input_, labels_from) as scan:
        found = _run(segmenter.exact() if no_skip else segmenter, bundle.recipe.prepare, scan, shown=not as_json)
        _write(output, found, scan)
    volumes_ml = _volumes_ml(found, scan)
    if as_json:
        engine = {"backend": segmenter.backend.name, "agreement": segmenter.backend.agreement}
        seconds = round(found.seconds, 3)
        facts = {"output": output, "seconds": seconds, "volumes_ml": volumes_ml, "model": bundle.digest}
        print(json.dumps(facts | engine))
    else:
        engine_name = segmenter.backend.name
        print(f"{len(volumes_ml)} bones in {found.seconds:.1f} s with {engine_name}; the labels are in {output}")


@dataclass(frozen=True)
class _Scan:
    """What is segmented: ``levels`` is the stored pyramid, if there is one; ``guide`` labels that show the bones."""

    image: Volume
    levels: Sequence[Volume]
    zones: Zones
    provenance: Provenance
    guide: Guide | None


@dataclass(frozen=True)
class _Found:
    """Labels on the scan's grid, their names, and the seconds they took."""

    labels: Labels
    table: LabelTable
    seconds: float


@contextmanager
def _opened(input_: str, labels_from: str | None) -> Iterator[_Scan]:
    from osteon.storage.case import open_case

    guide = None if labels_from is None else _guide(open_case(labels_from))
    if input_.rstrip("/").endswith(ZARR) or "://" in input_:
        case = open_case(input_)
        levels = [case.image(level) for level in range(case.num_levels)]
        own = _guide(case) if case.has_labels else None
        yield _Scan(case.image(), levels, case.zones, case.provenance, guide or own)
        return
    with tempfile.TemporaryDirectory(prefix="osteon-") as scratch:
        yield replace(_read(Path(input_), Path(scratch)), guide=guide)


def _guide(case: StoredCase) -> Guide:
    from osteon.data.prepare import Guide

    return Guide([case.labels(level) for level in range(case.num_levels)], case.table)


def _read(path: Path, scratch: Path) -> _Scan:
    from osteon.inference.in_memory import InMemoryVolume, zones_of
    from osteon.storage.readers import Rejected, ScanSource, find_scans, open_scan

    findings = find_scans(path)
    sources = [finding for finding in findings if isinstance(finding, ScanSource)]
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources[:5])
        remedy = "name one of them, or ingest the folder into a dataset"
        raise BadInput("several-scans", f"{len(sources)} scans: {names}", where=str(path), remedy=remedy)
    if not sources:
        for finding in findings:
            if isinstance(finding, Rejected):
                raise BadScan(finding.code, finding.reason, where=finding.where)
        raise BadInput("no-scan", "no scan is found there", where=str(path), remedy="give DICOM, NIfTI, MHA or NRRD")
    scan = open_scan(sources[0], scratch=scratch)
    hu = scan.read()
    return _Scan(InMemoryVolume(hu, scan.grid), (), zones_of(hu), scan.provenance, None)


def _run(segmenter: Segmenter, spec: PrepareSpec, scan: _Scan, *, shown: bool) -> _Found:
    from osteon.inference.prepared import must_prepare, segment_prepared

    started, percent = time.perf_counter(), 0.0
    with progress_bar("segmenting %", 100, shown=shown and sys.stderr.isatty()) as bar:

        def count(done: int, total: int) -> None:
            nonlocal percent
            bar.advance(100 * done / total - percent)
            percent = 100 * done / total

        if must_prepare(spec, scan.provenance.derivation):
            labels, table = segment_prepared(segmenter, scan.levels or (scan.image,), spec, scan.guide, count)
        else:
            labels = segmenter.segment(scan.image, scan.zones, count, levels=scan.levels)
            table = segmenter.table
    return _Found(labels, table, time.perf_counter() - started)


def _volumes_ml(found: _Found, scan: _Scan) -> dict[str, float]:
    """Millilitres by bone, of the bones that were found."""
    voxels = np.bincount(found.labels.ravel(), minlength=found.table.labels[-1].id + 1)
    voxel_ml = float(np.prod(scan.image.grid.spacing_mm)) / 1000
    return {name: round(float(voxels[id_]) * voxel_ml, 3) for id_, name in found.table.names.items() if voxels[id_]}


def _check_output(output: str) -> None:
    """Refuse before anything is computed what could not be written afterwards."""
    from osteon.storage.export import SUFFIXES

    if output.rstrip("/").endswith(ZARR):
        return
    if "://" in output or not output.lower().endswith(SUFFIXES):
        remedy = f"end it in one of {', '.join((*SUFFIXES, ZARR))}; a URL must end in {ZARR}"
        raise BadInput("output-format", f"{output!r} cannot be written", remedy=remedy)


def _write(output: str, found: _Found, scan: _Scan) -> None:
    from osteon.storage.export import write_scan
    from osteon.storage.writer import write_zarr

    grid = scan.image.grid
    if output.rstrip("/").endswith(ZARR):
        hu: npt.NDArray[np.int16] = scan.image.read((0, 0, 0), grid.shape).result().astype(np.int16, copy=False)
        write_zarr(output, hu, found.labels, grid, found.table, scan.provenance)
    else:
        write_scan(Path(output), found.labels, grid, scan.provenance, table=found.table)
