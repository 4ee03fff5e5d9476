"""`osteon measure`: volumes, surfaces, cortical thickness and HU of labelled bones, and their meshes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from osteon.cli.options import LabelsMap, split_names
from osteon.core.errors import BadInput, OsteonError
from osteon.telemetry.progress import Bar, progress_bar

if TYPE_CHECKING:
    from osteon.evaluation.measures import BoneMeasures, SubjectMeasures
    from osteon.evaluation.subjects import Subject
    from osteon.storage.stores import Store

SOME_UNREADABLE = 3
MEASUREMENTS = "measurements"

MeshChoice = Literal["vtp", "ply", "stl", "none"]


def measure(
    labels: Annotated[
        list[str], typer.Argument(metavar="LABELS", help="Label files, folders of masks, cases (.zarr) or datasets.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder or s3:// URL for tables and meshes.")],
    image: Annotated[
        Path | None, typer.Option("--image", metavar="SCAN", help="The scan of one label file, for its HU.")
    ] = None,
    cortex_hu: Annotated[
        float | None, typer.Option("--cortex-hu", help="Measure the cortex: bone from this HU on. Needs HU.")
    ] = None,
    mesh: Annotated[
        MeshChoice, typer.Option("--mesh", help="Format of the meshes; vtp and ply carry the cortical thickness.")
    ] = "vtp",
    cases: Annotated[
        str | None, typer.Option("--cases", metavar="A,B", help="Of a dataset: ids of the cases, by commas.")
    ] = None,
    labels_map: LabelsMap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measurements for machines.")] = False,
) -> None:
    """Measure labelled bones; leaves measurements.csv, measurements.json and a mesh per bone in DIR.

    Exit code: 0 all well, 3 some labels could not be read.
    """
    from osteon.evaluation.measures import to_csv
    from osteon.evaluation.outputs import check_absent
    from osteon.evaluation.subjects import find_subjects
    from osteon.storage.stores import open_store

    check_absent(out, f"{MEASUREMENTS}.csv", f"{MEASUREMENTS}.json", code="measured")
    store = open_store(out)
    names = None if cases is None else split_names(cases)
    subjects = find_subjects(labels, cases=names, image=image, labels_map=labels_map)
    measured, refused = _measure_all(subjects, store, mesh, cortex_hu, shown=not as_json and sys.stderr.isatty())
    values = [subject.model_dump(mode="json") for subject in measured]
    store.write_bytes(f"{MEASUREMENTS}.csv", to_csv(measured).encode())
    store.write_bytes(f"{MEASUREMENTS}.json", json.dumps(values, indent=1).encode())
    if as_json:
        typer.echo(json.dumps(values))
    else:
        _show(measured, out)
    for error in refused:
        typer.echo(f"osteon: {error}", err=True)
    if refused:
        raise typer.Exit(SOME_UNREADABLE)


def _measure_all(
    subjects: Sequence[Subject], store: Store, mesh: MeshChoice, cortex_hu: float | None, *, shown: bool
) -> tuple[list[SubjectMeasures], list[OsteonError]]:
    """What was measured, and why the others could not be; the first refusal is raised if nothing was measured."""
    measured, refused = [], []
    with progress_bar("measuring", len(subjects), shown=shown) as bar:
        for subject in subjects:
            try:
                measured.append(_measure(subject, store, mesh, cortex_hu, bar))
            except OsteonError as error:
                refused.append(error if error.where else error.at(subject.source))
    if not measured:
        raise refused[0]
    return measured, refused


def _measure(subject: Subject, store: Store, mesh: MeshChoice, cortex_hu: float | None, bar: Bar) -> SubjectMeasures:
    from osteon.evaluation.measure import measure_bones, present_bones
    from osteon.evaluation.measures import SubjectMeasures
    from osteon.evaluation.mesh_files import encode_mesh

    opened = subject.open()
    present = present_bones(opened.labels, opened.table)
    if not len(present):
        raise BadInput("no-labelled-voxels", "no voxel is labelled", remedy="look whether the segmentation found bone")
    bones = []
    for bone in measure_bones(opened.labels, opened.grid, present, hu=opened.hu, cortex_hu=cortex_hu):
        name = bone.measures.name
        bones.append(bone.measures)
        if mesh != "none":
            store.write_bytes(f"{subject.name}/{name}.{mesh}", encode_mesh(bone.mesh, mesh, bone.thickness_mm))
        bar.advance(1 / len(present), f"{subject.name} {name}")
    return SubjectMeasures(subject=subject.name, source=subject.source, cortex_hu=cortex_hu, bones=tuple(bones))


def _show(measured: Sequence[SubjectMeasures], out: str) -> None:
    console = Console(highlight=False)
    for subject in measured:
        console.print(_table(subject))
    count = sum(len(subject.bones) for subject in measured)
    console.print(f"{count} structures; the results are in {out}", markup=False)


def _table(subject: SubjectMeasures) -> Table:
    table = Table(title=escape(subject.subject), box=None, pad_edge=False)
    table.add_column("bone", overflow="fold")
    for column in ("ml", "surface cm²", "HU mean ± SD", "cortex mm (of surface)", ""):
        table.add_column(column, justify="right")
    for bone in subject.bones:
        table.add_row(escape(bone.name), *_cells(bone))
    return table


def _cells(bone: BoneMeasures) -> tuple[str, ...]:
    hu = f"{bone.hu.mean:.0f} ± {bone.hu.sd:.0f}" if bone.hu else "-"
    cortex = "-"
    if bone.cortex and bone.cortex.mean_mm is not None:
        cortex = f"{bone.cortex.mean_mm:.2f} ({bone.cortex.measured_share:.0%})"
    note = "cut off" if bone.is_cut_off else ""
    return f"{bone.volume_mm3 / 1000:.2f}", f"{bone.surface_mm2 / 100:.1f}", hu, cortex, note
