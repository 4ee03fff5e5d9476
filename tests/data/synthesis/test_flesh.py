import numpy as np

from osteon.core.geometry import Grid
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block
from osteon.data.phantom.tissue import Canvas
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.flesh import Flesh
from osteon.data.synthesis.pose import Pose
from osteon.data.synthesis.texture import Texture


def test_from_the_air_inwards_there_is_skin_then_fat_then_muscle(anatomy: Anatomy) -> None:
    person = Person(6, 1)
    flesh = Flesh.of(person, anatomy, Pose.of(person, anatomy))
    block = Block.whole(Grid((1, 1, 500), (1.0, 1.0, 1.0), (0.0, 0.0, -250.0)))
    canvas = Canvas(block, 1.0, -1000.0)
    calm = np.full(block.shape, np.float32(0.5))
    flesh.paint(canvas, np.full(block.shape, np.float32(500.0)), Texture(calm, calm, calm))

    hu, depth = canvas.hu.ravel(), -flesh.skin(block).ravel()
    fat = (depth > 3.0) & (depth < flesh.fat_mm - 1.0)
    assert flesh.fat_mm > 6.0
    assert fat.any()
    assert np.allclose(hu[depth < -8.0], -1000.0)
    assert (hu[fat] < -80.0).all()
    assert hu[depth > flesh.fat_mm + 6.0].max() > 0.0


def test_the_table_presses_the_back(anatomy: Anatomy) -> None:
    """Where the table is, there is neither skin nor fat."""
    person = Person(6, 1)
    flesh = Flesh.of(person, anatomy, Pose.of(person, anatomy))
    nodes = flesh.surface.block
    ring = (flesh.skin(nodes) < -2.0) & (flesh.surface.at(nodes) > 2.0)
    canvas = Canvas(nodes, 1.0, -1000.0)
    calm = np.zeros(nodes.shape, np.float32)
    flesh.paint(canvas, np.full(nodes.shape, np.float32(-3.0)), Texture(calm, calm, calm))

    assert ring.any()
    assert (canvas.hu[ring] == -1000.0).all()


def test_people_are_thin_and_thick(anatomy: Anatomy) -> None:
    pose = Pose.of(Person(6, 0), anatomy)
    fat = [Flesh.of(Person(6, case), anatomy, pose).fat_mm for case in range(16)]

    assert min(fat) < 8.0 < 20.0 < max(fat) <= 37.0
