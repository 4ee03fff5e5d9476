"""Cortical and trabecular bone from two segmentations of one: its outer (periosteal) and inner (endosteal) contour.

The protocol of Deng et al. 2022, "A deep learning-based approach to automatic proximal femur segmentation in
quantitative CT images", Med. Biol. Eng. Comput. 60: one network finds all that lies inside the periosteal contour,
another all inside the endosteal one; cortical = periosteal - endosteal, trabecular = endosteal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion

from osteon.core.errors import BadInput
from osteon.core.labels import LabelTable

COMPARTMENTS = LabelTable.of({1: "cortical", 2: "trabecular"})

Mask = npt.NDArray[np.bool_]


def split_compartments(periosteal: Mask, endosteal: Mask) -> npt.NDArray[np.uint8]:
    """The labels of `COMPARTMENTS`, on the grid of the two masks; the inclusion is enforced.

    Two networks do not know of each other, so that the endosteal contour can reach the periosteal one or cross it.
    Then the endosteal one gives way: it is cut to the periosteal mask eroded by one voxel (six neighbours). The outer
    contour is the better seen of the two, bone against muscle, and the better found (DSC 97.87 % against 96.49 % in the
    paper), and bone has a cortex everywhere, however thin: one voxel is the least that keeps it closed. The price is
    that a cortex thinner than a voxel comes out as one voxel. At the end of the scan nothing is eroded: there bone and
    marrow go on.

    Args:
        periosteal: z, y, x, all inside the outer contour.
        endosteal: z, y, x, all inside the inner contour.

    Raises:
        BadInput: ``grid-mismatch`` if the shapes differ.
    """
    if periosteal.shape != endosteal.shape:
        what = f"the periosteal mask has shape {periosteal.shape}, the endosteal one {endosteal.shape}"
        raise BadInput("grid-mismatch", what, remedy="segment both contours on one grid")
    trabecular = endosteal & binary_erosion(periosteal, border_value=1)
    labels = np.zeros(periosteal.shape, np.uint8)
    labels[periosteal] = COMPARTMENTS.ids["cortical"]
    labels[trabecular] = COMPARTMENTS.ids["trabecular"]
    return labels
