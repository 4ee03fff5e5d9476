"""`osteon compartments`: cortical and trabecular bone from two segmentations, of its outer and of its inner contour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from osteon.cli.options import LabelsMap, check_new_file
from osteon.core.errors import BadInput

if TYPE_CHECKING:
    from osteon.core.geometry import Grid
    from osteon.core.volume import Array
    from osteon.inference.compartments import Mask


def compartments(
    periosteal: Annotated[
        Path, typer.Argument(metavar="PERIOSTEAL", dir_okay=False, help="Labels of all inside the outer contour.")
    ],
    endosteal: Annotated[
        Path, typer.Argument(metavar="ENDOSTEAL", dir_okay=False, help="Labels of all inside the inner contour.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write: .nii.gz, .nii, .mha or .nrrd.")],
    bone: Annotated[
        str | None, typer.Option("--bone", metavar="NAME", help="Take this bone alone; all labels if not given.")
    ] = None,
    labels_map: LabelsMap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written for machines.")] = False,
) -> None:
    """Label cortical bone (periosteal less endosteal) and trabecular bone (endosteal) on the grid of PERIOSTEAL.

    Where the inner contour comes nearer than a voxel to the outer one, or crosses it, the inner one gives way.
    """
    from osteon.inference.compartments import split_compartments

    check_new_file(output)
    outer, grid = _mask(periosteal, bone, labels_map)
    inner, other = _mask(endosteal, bone, labels_map)
    if not grid.matches(other):
        what = f"it lies on another grid ({other}) than {periosteal} ({grid})"
        raise BadInput("grid-mismatch", what, where=str(endosteal), remedy="segment both contours on one scan")
    labels = split_compartments(outer, inner)
    _write(output, labels, periosteal)
    volumes_ml = _volumes_ml(labels, grid)
    if as_json:
        typer.echo(json.dumps({"output": str(output), "volumes_ml": volumes_ml}))
    else:
        typer.echo(f"{output}: {', '.join(f'{name} {ml:.2f} ml' for name, ml in volumes_ml.items())}")


def _mask(path: Path, bone: str | None, labels_map: Path | None) -> tuple[Mask, Grid]:
    """Where a file has a label, or the bone if one is named; z, y, x, LPS."""
    from osteon.core.labels import canonical_name
    from osteon.evaluation.subjects import LabelFile

    opened = LabelFile(path.name, path, None, labels_map).open()
    ids = opened.table.ids
    if bone is not None and canonical_name(bone) not in ids:
        raise BadInput("no-bone", f"no label is called {bone!r}", where=str(path), remedy=f"it has {', '.join(ids)}")
    mask = opened.labels != 0 if bone is None else opened.labels == ids[canonical_name(bone)]
    if not mask.any():
        what = f"no voxel is labelled{'' if bone is None else f' {bone}'}"
        raise BadInput("no-labelled-voxels", what, where=str(path), remedy="look whether the segmentation found bone")
    return np.asarray(mask, np.bool_), opened.grid


def _write(output: Path, labels: Array, like: Path) -> None:
    """Write the labels (LPS) on the grid of the label file ``like``, voxel for voxel."""
    from osteon.core.geometry import Reorientation
    from osteon.inference.compartments import COMPARTMENTS
    from osteon.storage.export import write_scan
    from osteon.storage.readers import read_raster

    own = read_raster(like).geometry.grid()
    write_scan(output, Reorientation.to_lps(own).invert(labels), own, None, table=COMPARTMENTS)


def _volumes_ml(labels: Array, grid: Grid) -> dict[str, float]:
    from osteon.inference.compartments import COMPARTMENTS

    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    return {name: round(int((labels == id_).sum()) * voxel_ml, 3) for id_, name in COMPARTMENTS.names.items()}
