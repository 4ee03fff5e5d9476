import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Field
from osteon.data.synthesis.organs import Organs
from osteon.data.synthesis.texture import Texture, Textures
from osteon.data.synthesis.view import box_of

TABLE = table_for(["colon", "lung_lower_lobe_left", "aorta", "sacrum"])
GRID = Grid((24, 24, 24), (3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def texture() -> Texture:
    return Textures.of(Person(9, 0), box_of(GRID)).at(Block.whole(GRID))


def _painted(name: str, case: int, texture: Texture, depth: float, table: LabelTable = TABLE) -> Field:
    structure: npt.NDArray[np.uint8] = np.full(GRID.shape, table.ids[name], np.uint8)
    hu = np.full(GRID.shape, np.float32(-1000.0))
    Organs.of(Person(1, case), table).paint(hu, structure, np.full(GRID.shape, np.float32(depth)), texture)
    return hu


def test_the_bowel_holds_gas_within_its_wall(texture: Texture) -> None:
    wall = np.stack([_painted("colon", case, texture, 0.5) for case in range(12)])
    lumen = np.stack([_painted("colon", case, texture, 9.0) for case in range(12)])

    assert wall.min() > -60.0
    assert (lumen == -960.0).any(axis=(1, 2, 3)).sum() >= 8
    assert lumen.max() > 100.0  # somebody drank contrast agent


def test_lungs_are_dark_and_hold_vessels(texture: Texture) -> None:
    hu = _painted("lung_lower_lobe_left", 0, texture, 9.0)

    assert np.median(hu) < -650.0
    assert 0.01 < (hu > 0.0).mean() < 0.3


def test_plaques_lie_in_the_walls_of_arteries_alone(texture: Texture) -> None:
    rim, core = (np.stack([_painted("aorta", case, texture, mm) for case in range(8)]) for mm in (1.0, 9.0))

    assert (rim == 600.0).any()
    assert not (core == 600.0).any()


def test_what_is_not_labelled_is_left_alone(texture: Texture) -> None:
    hu = np.full(GRID.shape, np.float32(-777.0))
    nothing = np.zeros(GRID.shape, np.uint8)
    Organs.of(Person(1, 0), TABLE).paint(hu, nothing, np.zeros(GRID.shape, np.float32), texture)

    assert (hu == -777.0).all()
