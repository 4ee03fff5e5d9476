"""One synthetic scan of a labelled body. The same anatomy, seed and case give the same voxels on every machine.

The model of a scan follows SynthSeg (Billot et al., Medical Image Analysis 86, 2023, doi 10.1016/j.media.2023.102789):
deform a label volume, draw the intensities of every structure at random, then degrade the image as scanners do. For CT
the intensities are Hounsfield units within known ranges, and bone is a shell round a core.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Vector3
from osteon.core.labels import BACKGROUND, LabelTable, other_side
from osteon.data.phantom.person import Person
from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.exposure import Exposure
from osteon.data.synthesis.flesh import Flesh
from osteon.data.synthesis.pose import Pose
from osteon.data.synthesis.scene import Scene
from osteon.data.synthesis.view import draw_spacing, field_of_view


class SyntheticScan(NamedTuple):
    """A scan with its labels.

    Attributes:
        hu: int16, z, y, x.
        labels: ids of the table asked for, z, y, x.
        grid: axis-aligned, LPS.
    """

    hu: npt.NDArray[np.int16]
    labels: npt.NDArray[np.generic]
    grid: Grid


def synthesise(
    anatomy: Anatomy, table: LabelTable, *, seed: int, case: int, spacing_mm: Vector3 | None = None
) -> SyntheticScan:
    """Draw a scan.

    Args:
        anatomy: whose structures are drawn, all of them.
        table: the bones that are labelled in the result, by name.
        seed: of the set of scans.
        case: number in the set.
        spacing_mm: of the voxels, z, y, x; drawn if not given.

    Raises:
        BadInput: ``synthesis-seed`` for a negative seed, ``synthesis-spacing`` for a spacing that is not positive.
    """
    check_choices(seed, case, spacing_mm)
    person = Person(seed, case)
    pose = Pose.of(person, anatomy)
    flesh = Flesh.of(person, anatomy, pose)
    grid = field_of_view(person, pose, flesh, spacing_mm or draw_spacing(person))
    scene = Scene.of(person, anatomy, pose, flesh, grid)
    hu = Exposure.of(person).take(scene.fine_hu(), grid.spacing_mm, person.draws("noise"))
    ids = _ids_of(anatomy, table, is_mirrored=pose.is_mirrored)
    return SyntheticScan(hu, ids[scene.structures()], grid)


def check_choices(seed: int, case: int, spacing_mm: Vector3 | None) -> None:
    """Refuse, as `synthesise`, what no scan can be drawn with."""
    if seed < 0 or case < 0:
        raise BadInput("synthesis-seed", f"the seed {seed} and the case {case} must not be negative")
    if spacing_mm is not None and not all(0.2 <= step <= 20.0 for step in spacing_mm):
        raise BadInput("synthesis-spacing", f"{spacing_mm} mm is no spacing of a CT", remedy="choose 0.2 to 20 mm")


def _ids_of(anatomy: Anatomy, table: LabelTable, *, is_mirrored: bool) -> npt.NDArray[np.generic]:
    """The result's id for every structure of the anatomy; a mirrored left femur is a right one."""
    lookup = np.full(anatomy.table.labels[-1].id + 1, BACKGROUND, dtype=table.dtype)
    for label in anatomy.table.labels:
        name = other_side(label.name) if is_mirrored else label.name
        if label.name in anatomy.bones:
            lookup[label.id] = table.ids.get(name, BACKGROUND)
    return lookup
