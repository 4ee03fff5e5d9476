"""Makes the labels of two experiments from scans with labelled bones: python relabel.py outline|cortex SCANS OUT.

outline: the patient, ``outline``, and all bones as one, ``bone``. cortex: the outermost voxels of every vertebra.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from osteon.core.labels import LabelTable, table_for
from osteon.inference.compartments import COMPARTMENTS, split_compartments
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

SKIN_HU = -300  # between air and fat, after partial volume
TABLES = {"outline": table_for(["outline", "bone"]), "cortex": table_for(["cortex"])}

Ids = npt.NDArray[np.uint8]


class Scan(NamedTuple):
    """HU and label ids, z, y, x, and the names of the ids."""

    hu: npt.NDArray[np.int16]
    labels: Ids
    bones: LabelTable


def outline(scan: Scan) -> Ids:
    """The largest body that is no air, slice by slice without holes; a table's shell is thinner than three pixels."""
    ids = TABLES["outline"].ids
    pieces, _ = ndimage.label(ndimage.binary_opening(scan.hu > SKIN_HU, np.ones((1, 3, 3))))
    body = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in body])
    return np.where(scan.labels > 0, ids["bone"], filled * ids["outline"]).astype(np.uint8)


def cortex(scan: Scan) -> Ids:
    """What Osteon calls cortical where an inner contour is as wide as the outer one: a shell of one voxel."""
    found = np.zeros(scan.labels.shape, np.uint8)
    for bone in scan.bones.labels:
        if bone.name.startswith("vertebrae"):
            vertebra = scan.labels == bone.id
            shell = split_compartments(vertebra, vertebra) == COMPARTMENTS.ids["cortical"]
            found[shell] = TABLES["cortex"].ids["cortex"]
    return found


def main(way: str, scans: str, out: str) -> None:
    """Every case again, with other labels; run again, it goes on."""
    relabel = {"outline": outline, "cortex": cortex}[way]
    source, target = Dataset.open(scans), Dataset.create(out, way, TABLES[way])
    for case_id in source.case_ids():
        case = source.case(case_id)
        hu, labels = (volume.read((0, 0, 0), case.grid.shape).result() for volume in (case.image(), case.labels()))
        scan = Scan(hu.astype(np.int16, copy=False), labels.astype(np.uint8, copy=False), source.table)
        write_case(target, case_id, scan.hu, relabel(scan), case.grid)
    target.refresh()


if __name__ == "__main__":
    main(*sys.argv[1:])
