import numpy as np

from osteon.core.labels import table_for
from osteon.data.phantom.person import Person
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.metal import METAL_HU, METAL_SHARE, Metal


def test_some_have_an_implant_in_the_core_of_a_bone(anatomy: Anatomy) -> None:
    drawn = [Metal.of(Person(4, case), anatomy) for case in range(150)]
    implants = [metal for metal in drawn if metal.bone]

    assert 0 < len(implants) < 3 * METAL_SHARE * len(drawn)
    metal, hu = implants[0], np.zeros(anatomy.structure.shape, np.float32)
    metal.paint(hu, anatomy.structure, anatomy.depth * np.float32(0.25))
    inside = anatomy.structure == metal.bone
    assert 0 < (hu == METAL_HU).sum() < 0.5 * inside.sum()
    assert not hu[~inside].any()


def test_no_implant_where_there_is_no_bone_for_it(anatomy: Anatomy) -> None:
    ribs = Anatomy.of(anatomy.structure, anatomy.grid, table_for(["sacrum"]), ["sacrum"], anatomy.voxel_mm)

    assert {Metal.of(Person(4, case), ribs).bone for case in range(60)} == {0}
