"""OME-Zarr 0.5 attributes of a case: the image's multiscale, and its labels. Pure functions of the grid and table.

https://ngff.openmicroscopy.org/0.5; axis orientation as RFC-4 (https://ngff.openmicroscopy.org/rfc/4) proposes.
"""

from __future__ import annotations

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.storage.layout import AXES, Json

VERSION = "0.5"
IMAGE_METHOD = ("mean", "rounded mean over blocks of 2^n voxels of level 0", "osteon.storage.pyramid.image_levels")
LABELS_METHOD = ("mode", "majority of 2x2x2 voxels, ties to bone", "osteon.storage.pyramid.label_levels")
ORIENTATION = {"z": "inferior-to-superior", "y": "anterior-to-posterior", "x": "right-to-left"}


def image_attribute(name: str, grid: Grid, levels: int) -> Json:
    """The ``ome`` attribute of a case."""
    return {"version": VERSION, "multiscales": [_multiscale(name, IMAGE_METHOD, grid, levels)]}


def labels_attribute(grid: Grid, levels: int, table: LabelTable) -> Json:
    """The ``ome`` attribute of ``labels/bones``."""
    return {
        "version": VERSION,
        "multiscales": [_multiscale("bones", LABELS_METHOD, grid, levels)],
        "image-label": {
            "version": VERSION,
            "colors": [{"label-value": label.id, "rgba": list(label.rgba)} for label in table.labels],
            "properties": [{"label-value": label.id, "class": label.name} for label in table.labels],
            "source": {"image": "../../"},
        },
    }


def label_list_attribute() -> Json:
    """The ``ome`` attribute of ``labels``."""
    return {"version": VERSION, "labels": ["bones"]}


def group_document(attributes: Json) -> Json:
    """A zarr group's ``zarr.json``."""
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _multiscale(name: str, method: tuple[str, str, str], grid: Grid, levels: int) -> Json:
    kind, description, function = method
    return {
        "name": name,
        "type": kind,
        "metadata": {"description": description, "method": function},
        "axes": [
            {
                "name": axis,
                "type": "space",
                "unit": "millimeter",
                "orientation": {"type": "anatomical", "value": ORIENTATION[axis]},
            }
            for axis in AXES
        ],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _placed(grid, level)} for level in range(levels)
        ],
    }


def _placed(grid: Grid, level: int) -> list[Json]:
    """Scale and translation of a level: the centre of its first voxel lies (2^n - 1) / 2 level-0 voxels further in."""
    shift = (2**level - 1) / 2
    translation = [origin + shift * spacing for origin, spacing in zip(grid.origin_mm, grid.spacing_mm, strict=True)]
    return [
        {"type": "scale", "scale": [spacing * 2**level for spacing in grid.spacing_mm]},
        {"type": "translation", "translation": translation},
    ]
