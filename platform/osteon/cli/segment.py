"""`osteon segment`: the bones of one scan, from a file, a DICOM folder or a stored case."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import typer

from osteon.core.errors import BadInput, OsteonError
from osteon.telemetry.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import numpy.typing as npt

    from osteon.core.labels import LabelTable
    from osteon.core.volume import Labels
    from osteon.data.prepare import PrepareSpec
    from osteon.inference.segmenter import Segmenter
    from osteon.recipes.apply import OpenedScan
    from osteon.recipes.bundle import Bundle
    from osteon.storage.export.dicom_seg import SegKind
    from osteon.storage.readers import ScanSource

ZARR, DICOM = ".zarr", ".dcm"


def segment(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Folder or s3:// URL of a model: RUN/model; with --server the name of one there."
        ),
    ],
    input_: Annotated[str, typer.Argument(metavar="INPUT", help="A scan file, a DICOM folder, or a case's URL.")],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="Ends in .nii.gz, .mha, .nrrd, .zarr, .dcm or /studies.")
    ],
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
    labelmap: Annotated[
        bool,
        typer.Option("--labelmap", help="Write a .dcm as LABELMAP, which is smaller and which fewer programs read."),
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="URL", help="Have an osteon serve do it and fetch the labels; OSTEON_KEY has the key."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Label the bones of a scan; the labels lie on the scan's own grid, voxel for voxel."""
    if server is not None:
        if backend != "auto" or no_skip or labels_from is not None or labelmap:
            what = "--backend, --no-skip, --labels-from and --labelmap are not for servers"
            raise BadInput("server-option", what, remedy="leave them out, or segment here without --server")
        _segment_at(server, model, input_, output, as_json=as_json)
        return
    from osteon.recipes.apply import volumes_ml
    from osteon.recipes.bundle import load_bundle, segmenter_of

    _check_output(output)
    bundle = load_bundle(model)
    segmenter = segmenter_of(bundle, backend)
    with _opened(input_, labels_from) as scan:
        source = _dicom_source(output, input_, scan)
        found = _run(segmenter.exact() if no_skip else segmenter, bundle.recipe.prepare, scan, shown=not as_json)
        if source is None:
            _write(output, found, scan)
        else:
            _write_seg(output, found, scan, source, bundle, labelmap=labelmap)
    bones = volumes_ml(found.labels, found.table, scan.image.grid)
    if as_json:
        engine = {"backend": segmenter.backend.name, "agreement": segmenter.backend.agreement}
        seconds = round(found.seconds, 3)
        facts = {"output": output, "seconds": seconds, "volumes_ml": bones, "model": bundle.digest}
        print(json.dumps(facts | engine))
    else:
        engine_name = segmenter.backend.name
        print(f"{len(bones)} bones in {found.seconds:.1f} s with {engine_name}; the labels are in {output}")


def _segment_at(server: str, model: str, input_: str, output: str, *, as_json: bool) -> None:
    from osteon.cli.served import segment_at

    served = segment_at(server, model, input_, output, shown=not as_json and sys.stderr.isatty())
    bones, digest = served.segmentation.bones, served.segmentation.model.digest
    if as_json:
        facts = {"output": output, "seconds": round(served.seconds, 3), "model": digest, "server": server}
        print(json.dumps(facts | {"volumes_ml": {bone.name: bone.volume_ml for bone in bones}}))
    else:
        print(f"{len(bones)} bones in {served.seconds:.1f} s by {server}; the labels are in {output}")


@dataclass(frozen=True)
class _Found:
    """Labels on the scan's grid, their names, and the seconds they took."""

    labels: Labels
    table: LabelTable
    seconds: float


@contextmanager
def _opened(input_: str, labels_from: str | None) -> Iterator[OpenedScan]:
    from osteon.recipes.apply import guide_of, read_scan, stored_scan
    from osteon.storage.case import open_case

    guide = None if labels_from is None else guide_of(open_case(labels_from))
    if _is_stored(input_):
        scan = stored_scan(input_)
        yield replace(scan, guide=guide or scan.guide)
        return
    with tempfile.TemporaryDirectory(prefix="osteon-") as scratch:
        yield replace(read_scan(Path(input_), Path(scratch)), guide=guide)


def _is_stored(input_: str) -> bool:
    return input_.rstrip("/").endswith(ZARR) or "://" in input_


def _is_dicom(output: str) -> bool:
    """Whether the labels become a DICOM object: a file, or one in an archive."""
    return output.lower().endswith(DICOM) or output.startswith("https://")


def _dicom_source(output: str, input_: str, scan: OpenedScan) -> ScanSource | None:
    """The series that a DICOM output will belong to; None for other outputs."""
    from osteon.storage.export.dicom_source import find_source, needs_dicom

    if not _is_dicom(output):
        return None
    if _is_stored(input_):
        raise needs_dicom()
    return find_source(Path(input_), scan.provenance)


def _run(segmenter: Segmenter, spec: PrepareSpec, scan: OpenedScan, *, shown: bool) -> _Found:
    from osteon.recipes.apply import segment_scan

    started, percent = time.perf_counter(), 0.0
    with progress_bar("segmenting %", 100, shown=shown and sys.stderr.isatty()) as bar:

        def count(done: int, total: int) -> None:
            nonlocal percent
            bar.advance(100 * done / total - percent)
            percent = 100 * done / total

        labels, table = segment_scan(segmenter, spec, scan, count)
    return _Found(labels, table, time.perf_counter() - started)


def _check_output(output: str) -> None:
    """Refuse before anything is computed what could not be written afterwards."""
    from osteon.storage.export import SUFFIXES

    if output.rstrip("/").endswith(ZARR):
        return
    if output.startswith("https://"):
        _stow().check_archive(output)
        return
    if "://" in output or not output.lower().endswith((*SUFFIXES, DICOM)):
        remedy = f"end it in one of {', '.join((*SUFFIXES, DICOM, ZARR))}; a URL in {ZARR} or, https, /studies"
        raise BadInput("output-format", f"{output!r} cannot be written", remedy=remedy)


def _write(output: str, found: _Found, scan: OpenedScan) -> None:
    from osteon.storage.export import write_scan
    from osteon.storage.writer import write_zarr

    grid = scan.image.grid
    if output.rstrip("/").endswith(ZARR):
        hu: npt.NDArray[np.int16] = scan.image.read((0, 0, 0), grid.shape).result().astype(np.int16, copy=False)
        write_zarr(output, hu, found.labels, grid, found.table, scan.provenance)
    else:
        write_scan(Path(output), found.labels, grid, scan.provenance, table=found.table)


def _write_seg(
    output: str, found: _Found, scan: OpenedScan, source: ScanSource, bundle: Bundle, *, labelmap: bool
) -> None:
    from osteon.storage.export.dicom_seg import Algorithm, write_dicom_seg

    model = Algorithm(bundle.recipe.name, bundle.digest)
    kind: SegKind = "LABELMAP" if labelmap else "BINARY"
    with tempfile.TemporaryDirectory(prefix="osteon-") as scratch:
        to_archive = output.startswith("https://")
        path = Path(scratch, f"labels{DICOM}") if to_archive else Path(output)
        write_dicom_seg(path, found.labels, scan.provenance, found.table, source, model, kind=kind)
        if to_archive:
            _stow().store_instance(path, output)


def _stow() -> ModuleType:
    try:
        from osteon.serve import stow
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("osteon"):
            raise
        remedy = "install it: pip install 'osteon[serve]'"
        raise OsteonError("not-installed", f"an archive needs {error.name}", remedy=remedy) from None
    return stow
