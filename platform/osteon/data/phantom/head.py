"""The head: skull, and the jaw that is drawn but belongs to no set of bones. Origin: the great foramen."""

from __future__ import annotations

from osteon.core.geometry import Vector3
from osteon.data.phantom.bones import Bone, Part, Wall, bone
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Ellipsoid, Rod, Shape, tube
from osteon.data.phantom.spine import Vertebra

BRAIN: Vector3 = (66.0, 82.0, 66.0)  # half axes of the brain case, z, y, x
BRAIN_CENTRE: Vector3 = (64.0, -15.0, 0.0)


def head_frame(person: Person, body: Frame, atlas: Vertebra) -> Frame:
    """The frame of the head on its atlas, nodding and turned a little."""
    above = Frame(atlas.frame.at((13.0, 4.0, 0.0)), body.axes, body.scale)
    return above.yawed(person.about("head turn", 8.0)).pitched(person.about("nod", 7.0))


def brain_case(person: Person, head: Frame) -> Ellipsoid:
    """The inside of the skull."""
    long = 1.0 + person.about("head length", 0.04)
    return Ellipsoid(head.moved(BRAIN_CENTRE), (BRAIN[0], BRAIN[1] * long, BRAIN[2]))


def skull(person: Person, head: Frame) -> Bone:
    """Vault, base and face with orbits, nose and sinuses."""
    inside = brain_case(person, head)
    thick = 6.5 + person.about("vault", 1.0)
    outer: Vector3 = (inside.radii[0] + thick, inside.radii[1] + thick, inside.radii[2] + thick)
    table = person.wall(2.0, 1250.0, 420.0)
    face, name = person.wall(1.6, 800.0, 260.0), "skull"
    parts = [
        Part(name, Ellipsoid(inside.frame, outer), table),
        Part(name, inside, table, carve=True),
        *(Part(name, shape, face) for shape in _base_and_face(head)),
        *(Part(name, shape, face, carve=True) for shape in (*air_spaces(head), *_openings(head))),
    ]
    return Bone(tuple(parts), blend_mm=3.0)


def mandible(person: Person, head: Frame) -> Bone:
    """The lower jaw."""
    half: list[Vector3] = [
        (-66.0, -97.0, 0.0), (-64.0, -91.0, 17.0), (-58.0, -70.0, 33.0), (-50.0, -45.0, 44.0), (-30.0, -34.0, 47.0),
        (-6.0, -26.0, 49.0),
    ]  # fmt: skip
    teeth: list[Vector3] = [(-50.0, -97.0, 0.0), (-49.0, -91.0, 15.0), (-46.0, -68.0, 28.0)]
    sides = (head, head.mirrored())
    wall, enamel = person.wall(2.6, 1150.0, 300.0), Wall(6.0, 1900.0, 1900.0)
    parts = [
        *(Part("mandible", s, wall) for side in sides for s in tube(side, half, [10.0, 9.5, 8.5, 8.5, 6.5, 6.0])),
        *(Part("mandible", s, enamel) for side in sides for s in tube(side, teeth, [5.0, 4.8, 5.2])),
    ]
    return Bone(tuple(parts), blend_mm=4.0)


def hyoid(person: Person, head: Frame) -> Bone:
    """The small horseshoe above the larynx."""
    half: list[Vector3] = [(-84.0, -58.0, 0.0), (-82.0, -52.0, 12.0), (-78.0, -28.0, 20.0)]
    shapes = [shape for side in (head, head.mirrored()) for shape in tube(side, half, [4.0, 3.4, 2.4])]
    return bone("hyoid", person.wall(1.2, 600.0, 250.0), shapes, blend_mm=1.0)


def air_spaces(head: Frame) -> list[Shape]:
    """Nose, paranasal sinuses and throat: air."""
    sides = (head, head.mirrored())
    return [
        Ellipsoid(head.moved((2.0, -78.0, 0.0)), (22.0, 28.0, 11.0)),
        *(Ellipsoid(side.moved((-2.0, -70.0, 29.0)), (15.0, 15.0, 12.0)) for side in sides),
        *tube(head, [(44.0, -103.0, -10.0), (44.0, -103.0, 10.0)], [6.0, 6.0]),
        *tube(head, [(14.0, -52.0, 0.0), (14.0, -40.0, 0.0)], [9.0, 9.0]),
    ]


def _openings(head: Frame) -> list[Shape]:
    sides = (head, head.mirrored())
    orbits = [
        Rod(side.at((27.0, -66.0, 24.0)), side.at((27.0, -112.0, 36.0)), 9.0 * head.scale, 23.0 * head.scale)
        for side in sides
    ]
    return [
        *orbits,
        *tube(head, [(-20.0, 4.0, 0.0), (16.0, 2.0, 0.0)], [14.0, 14.0]),
        *tube(head, [(-8.0, -92.0, 0.0), (2.0, -125.0, 0.0)], [9.0, 12.0]),
    ]


def _base_and_face(head: Frame) -> list[Shape]:
    sides = (head, head.mirrored())
    cheek: list[Vector3] = [(2.0, -86.0, 40.0), (4.0, -72.0, 56.0), (6.0, -44.0, 66.0), (8.0, -18.0, 65.0)]
    brow: list[Vector3] = [
        (46.0, -97.0, 0.0),
        (46.0, -94.0, 28.0),
        (38.0, -82.0, 50.0),
        (22.0, -80.0, 52.0),
        (4.0, -78.0, 50.0),
    ]
    petrous: list[Vector3] = [(6.0, 0.0, 52.0), (10.0, -22.0, 18.0)]
    clivus: list[Vector3] = [(0.0, -14.0, 0.0), (16.0, -34.0, 0.0), (24.0, -56.0, 0.0)]
    floor: list[Vector3] = [(30.0, -60.0, 0.0), (34.0, -96.0, 0.0)]
    wing: list[Vector3] = [(24.0, -46.0, 0.0), (24.0, -56.0, 40.0), (30.0, -62.0, 58.0)]
    paired = [
        (cheek, [9.0, 9.5, 4.6, 4.6]), (brow, [8.0, 7.5, 7.0, 6.5, 7.5]), (petrous, [13.0, 9.0]),
        (wing, [8.0, 6.0, 6.0]),
        ([(-14.0, 6.0, 54.0), (4.0, 6.0, 54.0)], [8.0, 14.0]), ([(-6.0, -2.0, 17.0), (2.0, 10.0, 18.0)], [7.0, 7.0]),
        ([(-20.0, -50.0, 16.0), (12.0, -46.0, 16.0)], [5.0, 5.0]),
    ]  # fmt: skip
    teeth: list[Vector3] = [(-32.0, -101.0, 0.0), (-32.0, -94.0, 16.0), (-30.0, -68.0, 28.0)]
    return [
        Ellipsoid(head.moved((-4.0, -76.0, 0.0)), (30.0, 26.0, 42.0)),
        Ellipsoid(head.moved((6.0, 16.0, 0.0)), (11.0, 36.0, 36.0)),
        *tube(head, [(40.0, -108.0, 0.0), (20.0, -114.0, 0.0)], [6.0, 5.0]),
        *tube(head, clivus, [10.0, 11.0, 12.0]),
        *tube(head, floor, [12.0, 10.0]),
        *(shape for side in sides for points, radii in paired for shape in tube(side, points, radii)),
        *(shape for side in sides for shape in tube(side, teeth, [5.5, 5.0, 6.0])),
    ]
