import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from osteon.core.errors import BadInput
from osteon.core.labels import LabelTable, table_for
from osteon.data.phantom.person import Person
from osteon.data.synthesis import Anatomy, SyntheticScan, synthesise
from osteon.data.synthesis.pose import Pose

SPACING = (6.0, 6.0, 6.0)
GOLDEN = "7ad80bb2476c1d28030987e137b9709a681c6938242a5170e1f54cb4c88b37fc"


@pytest.fixture(scope="module")
def scans(anatomy: Anatomy, bones: LabelTable) -> list[SyntheticScan]:
    return [synthesise(anatomy, bones, seed=11, case=case, spacing_mm=SPACING) for case in range(12)]


def test_the_same_seed_and_case_give_the_same_voxels_everywhere(scans: list[SyntheticScan]) -> None:
    digest = hashlib.sha256()
    for scan in scans[:3]:
        digest.update(scan.hu.astype("<i2").tobytes() + scan.labels.astype("u1").tobytes())

    assert digest.hexdigest() == GOLDEN


def test_the_voxels_are_the_same_without_vector_instructions() -> None:
    """NumPy picks its loops by processor; what it can leave out, another processor may not have."""
    build = np.show_config(mode="dicts")
    assert build is not None
    plain = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(build["SIMD Extensions"].get("found", []))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "everywhere"]
    shown = subprocess.run(command, env=plain, capture_output=True, text=True)
    assert "1 passed" in shown.stdout, shown.stdout


def test_other_cases_and_seeds_give_other_scans(
    scans: list[SyntheticScan], anatomy: Anatomy, bones: LabelTable
) -> None:
    other = synthesise(anatomy, bones, seed=12, case=0, spacing_mm=SPACING)

    assert len({scan.hu.tobytes() for scan in [*scans, other]}) == len(scans) + 1


def test_labels_come_from_the_table_and_lie_on_the_grid(scans: list[SyntheticScan], bones: LabelTable) -> None:
    for scan in scans:
        assert scan.hu.shape == scan.labels.shape == scan.grid.shape
        assert scan.hu.dtype == np.int16
        assert scan.labels.dtype == bones.dtype
        assert set(np.unique(scan.labels)) <= {0, *bones.names}


def test_scans_show_parts_of_the_body(scans: list[SyntheticScan], bones: LabelTable) -> None:
    seen = [len(np.unique(scan.labels)) - 1 for scan in scans]

    assert min(seen) < len(bones)
    assert max(seen) >= 5


def test_labelled_voxels_look_like_bone_and_unlabelled_ones_like_the_rest(scans: list[SyntheticScan]) -> None:
    for scan in scans:
        bone = scan.labels != 0
        assert 60.0 < scan.hu[bone].mean() < 900.0
        assert np.median(scan.hu[~bone]) < 60.0


def test_the_shell_of_a_bone_is_brighter_than_its_core(anatomy: Anatomy, bones: LabelTable) -> None:
    """In fine voxels, for a bone thick enough; without contrast agent or metal to speak of."""
    scan = synthesise(anatomy, bones, seed=11, case=1, spacing_mm=(3.0, 3.0, 3.0))
    sacrum = scan.labels == bones.ids["sacrum"]
    core = ndimage.binary_erosion(sacrum, iterations=5)

    assert core.any()
    assert scan.hu[sacrum & ~ndimage.binary_erosion(sacrum)].mean() > scan.hu[core].mean() + 30.0


def test_a_mirrored_body_has_its_sides_swapped(anatomy: Anatomy, bones: LabelTable) -> None:
    """Left stays at higher x, whatever was mirrored."""
    mirrored = [case for case in range(40) if Pose.of(Person(11, case), anatomy).is_mirrored][:4]
    compared = 0
    for case in [*mirrored, 0, 1]:
        scan = synthesise(anatomy, bones, seed=11, case=case, spacing_mm=SPACING)
        for part in ("hip", "femur"):
            sides = [np.nonzero(scan.labels == bones.ids[f"{part}_{side}"])[2] for side in ("left", "right")]
            if all(side.size for side in sides):
                assert sides[0].mean() > sides[1].mean()
                compared += 1

    assert len(mirrored) == 4
    assert compared >= 4


def test_bones_that_are_not_asked_for_are_drawn_but_not_labelled(scans: list[SyntheticScan], anatomy: Anatomy) -> None:
    hips = table_for(["hip_left", "hip_right"])
    scan = synthesise(anatomy, hips, seed=11, case=0, spacing_mm=SPACING)

    assert np.array_equal(scan.hu, scans[0].hu)
    assert set(np.unique(scan.labels)) <= {0, *hips.names}


def test_soft_tissue_is_never_labelled(anatomy: Anatomy) -> None:
    with_liver = table_for(["liver", "sacrum"])
    scan = synthesise(anatomy, with_liver, seed=11, case=1, spacing_mm=SPACING)

    assert with_liver.ids["liver"] not in np.unique(scan.labels)


def test_voxels_may_be_of_any_shape(anatomy: Anatomy, bones: LabelTable) -> None:
    scan = synthesise(anatomy, bones, seed=11, case=2)

    assert scan.grid.spacing_mm[1] == scan.grid.spacing_mm[2] <= scan.grid.spacing_mm[0]
    assert (scan.labels != 0).any()


def test_slabs_do_not_show(
    scans: list[SyntheticScan], anatomy: Anatomy, bones: LabelTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osteon.data.synthesis.scene._SLAB_VOXELS", 5000)
    scan = synthesise(anatomy, bones, seed=11, case=0, spacing_mm=SPACING)

    assert np.array_equal(scan.hu, scans[0].hu)
    assert np.array_equal(scan.labels, scans[0].labels)


def test_without_soft_tissue_there_is_flesh_all_the_same(anatomy: Anatomy, bones: LabelTable) -> None:
    kept = np.where(np.isin(anatomy.structure, list(bones.names)), anatomy.structure, 0).astype(bones.dtype)
    bare = Anatomy.of(kept, anatomy.grid, bones, list(bones.ids), anatomy.voxel_mm)
    scan = synthesise(bare, bones, seed=11, case=0, spacing_mm=SPACING)

    body = scan.hu > -300
    assert body.mean() > 4 * (scan.labels != 0).mean()


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"seed": -1}, "synthesis-seed"),
        ({"case": -1}, "synthesis-seed"),
        ({"spacing_mm": (0.0, 1.0, 1.0)}, "synthesis-spacing"),
        ({"spacing_mm": (float("nan"), 1.0, 1.0)}, "synthesis-spacing"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    anatomy: Anatomy, bones: LabelTable, choice: dict[str, Any], code: str
) -> None:
    with pytest.raises(BadInput, match=code):
        synthesise(anatomy, bones, **{"seed": 0, "case": 0, **choice})
