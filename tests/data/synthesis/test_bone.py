import numpy as np
import numpy.typing as npt

from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.bone import Bones, cortex_mm
from osteon.data.synthesis.texture import Texture

DEPTHS = np.linspace(0.0, 24.0, 97, dtype=np.float32).reshape(1, 1, -1)
FLAT = np.zeros_like(DEPTHS)


def _profile(anatomy: Anatomy, name: str, case: int, folds: Field = FLAT) -> Field:
    """HU from the surface inwards."""
    hu = np.full_like(DEPTHS, 50.0)
    structure: npt.NDArray[np.uint8] = np.full(DEPTHS.shape, anatomy.table.ids[name], np.uint8)
    Bones.of(Person(2, case), anatomy).paint(hu, structure, DEPTHS, 1.5, Texture(FLAT, FLAT, folds))
    return hu.ravel()


def test_the_shell_is_brighter_than_the_core(anatomy: Anatomy) -> None:
    for case in range(20):
        hu = _profile(anatomy, "sacrum", case)
        assert 50.0 <= hu[-1] <= 350.0
        assert hu[:12].max() > hu[-1]


def test_long_bones_hold_marrow(anatomy: Anatomy) -> None:
    shaft, head = (
        [_profile(anatomy, "femur_left", case, FLAT + np.float32(folds))[-1] for case in range(20)]
        for folds in (1.0, -1.0)
    )

    assert -60.0 <= min(shaft) < 0.0 < max(shaft) <= 60.0
    assert 50.0 <= min(head) < max(head) <= 350.0


def test_a_thighbone_is_thicker_walled_than_a_vertebra() -> None:
    assert cortex_mm("femur_left")[1] > cortex_mm("vertebrae_L1")[1]
    assert cortex_mm("hyoid")[0] > 0


def test_people_differ_and_their_bones_a_little(anatomy: Anatomy) -> None:
    drawn = [Bones.of(Person(2, case), anatomy) for case in range(30)]
    left, right = anatomy.table.ids["hip_left"], anatomy.table.ids["hip_right"]

    assert all(600.0 <= bones.cortex_hu[left] <= 1600.0 for bones in drawn)
    assert np.ptp([bones.cortex_hu[left] for bones in drawn]) > 500.0
    assert all(0.7 < bones.cortex_hu[left] / bones.cortex_hu[right] < 1.4 for bones in drawn)


def test_soft_tissue_is_left_alone(anatomy: Anatomy) -> None:
    hu = np.full((1, 1, 4), np.float32(33.0))
    liver = np.full(hu.shape, anatomy.table.ids["liver"], anatomy.structure.dtype)
    Bones.of(Person(2, 0), anatomy).paint(hu, liver, np.full_like(hu, 5.0), 1.5, Texture(hu, hu, hu))

    assert (hu == 33.0).all()
