import numpy as np

from osteon.core.geometry import Grid
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.shapes import Block
from osteon.data.synthesis.lattice import Lattice, blank, waves

BOX = ((-20.0, -10.0, 0.0), (40.0, 30.0, 50.0))


def test_a_linear_field_is_met_between_the_nodes() -> None:
    nodes = blank(BOX, 10.0)
    at = nodes.block
    lattice = Lattice(2.0 * at.z - at.y + 0.5 * at.x, nodes.first_mm, 10.0)
    block = Block.whole(Grid((13, 9, 11), (4.3, 4.1, 4.7), BOX[0]))

    assert np.allclose(lattice.at(block), 2.0 * block.z - block.y + 0.5 * block.x, atol=1e-3)


def test_beyond_its_nodes_a_field_stays_as_it_is() -> None:
    lattice = waves(Draws(3), BOX, 10.0)
    far = Block.whole(Grid((1, 1, 1), (1.0, 1.0, 1.0), (-500.0, -500.0, 500.0)))

    assert lattice.at(far)[0, 0, 0] == lattice.values[0, 0, -1]


def test_a_slab_has_the_values_of_the_whole() -> None:
    lattice = waves(Draws(3), BOX, 7.0)
    whole = Block.whole(Grid((20, 8, 9), (2.0, 3.0, 3.0), BOX[0]))
    slab = Block((0, 0, 0), whole.z[5:9], whole.y, whole.x)

    assert np.array_equal(lattice.at(slab), lattice.at(whole)[5:9])


def test_waves_span_the_box_and_have_unit_deviation() -> None:
    lattice = waves(Draws(4), BOX, 3.0)

    assert abs(lattice.values.std() - 1.0) < 0.05
    assert all((n - 1) * 3.0 >= high - low for n, low, high in zip(lattice.values.shape, *BOX, strict=True))
