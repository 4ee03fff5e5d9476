"""The count on a real body: right names stay, a slip is set right."""

from pathlib import Path

import numpy as np
import pytest

from osteon.core.geometry import Vector3
from osteon.core.labels import BONES
from osteon.core.volume import Labels
from osteon.inference.postprocess import PostprocessSpec, postprocess
from osteon.jobs.label_sources import find_bodies

pytestmark = pytest.mark.realdata


@pytest.fixture
def abdomen(real_data: Path) -> tuple[Labels, Vector3]:
    """24 bones of a real abdomen, and the voxel size in mm."""
    folder = real_data / "ts-abdomen-pelvis-nifti"
    [body] = find_bodies(str(folder / "label_v1_uint8.nii.gz"), folder / "labels_v1.json")
    volume = body.read()
    bones = np.zeros(volume.ids.shape, dtype=np.uint8)
    for label in volume.table.labels:
        if label.name in BONES.ids:
            bones[volume.ids == label.id] = BONES.ids[label.name]
    return bones, volume.grid.spacing_mm


def test_right_names_stay(abdomen: tuple[Labels, Vector3]) -> None:
    labels, spacing_mm = abdomen
    counted = postprocess(labels.copy(), PostprocessSpec(count=True), spacing_mm, BONES)
    np.testing.assert_array_equal(counted, labels)


def test_from_where_names_slip_they_are_set_right(abdomen: tuple[Labels, Vector3]) -> None:
    """From L3 up everything has the name of the one above, as a network does to whom the body's proportions are new."""
    labels, spacing_mm = abdomen
    slipped = labels.copy()
    for number, above in (("L3", "L2"), ("L2", "L1"), ("L1", "T12"), ("T12", "T11"), ("T11", "T10")):
        slipped[labels == BONES.ids[f"vertebrae_{number}"]] = BONES.ids[f"vertebrae_{above}"]
    for side in ("left", "right"):
        for rib in range(7, 13):
            slipped[labels == BONES.ids[f"rib_{side}_{rib}"]] = BONES.ids[f"rib_{side}_{rib - 1}"]
    counted = postprocess(slipped, PostprocessSpec(count=True), spacing_mm, BONES)
    np.testing.assert_array_equal(counted, labels)
