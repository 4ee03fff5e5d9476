"""The pelvis and the thighs: sacrum, hip bones, femurs, in millimetres of an adult of 1.75 m.

The pelvis' frame has its origin midway between the hip joints' centres.
"""

from __future__ import annotations

from osteon.core.geometry import Vector3
from osteon.data.phantom.bones import Bone, Part, bone
from osteon.data.phantom.frame import Frame, frame_of, spline
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Drum, Plate, Rod, Shape, ball, tube

SIDES = ("left", "right")
HEAD_RADIUS = 23.5
_JOINT = 86.0  # from the midline to the centre of the femoral head

# the ilium's outline in (up, back) of its own plane, from the hip socket round the crest; measured on real pelves
_ILIUM = (
    (2.0, -18.0), (38.0, -40.0), (50.0, -42.0), (70.0, -58.0), (80.0, -60.0), (100.0, -55.0), (120.0, -41.0),
    (136.0, -14.0), (142.0, 18.0), (134.0, 54.0), (116.0, 84.0), (96.0, 94.0), (74.0, 90.0), (60.0, 74.0),
    (44.0, 44.0), (28.0, 30.0), (2.0, 22.0),
)  # fmt: skip
_ILIUM_BULGE = (-11.0, 14.6, 45.5, 11.8, -51.5, 2.1)  # fitted to the same


def pelvis_frame(person: Person, body: Frame) -> Frame:
    """The frame of the pelvis, tilted a little."""
    return body.pitched(person.about("pelvic tilt", 6.0))


def hip_joint(person: Person, pelvis: Frame, side: str) -> Frame:
    """The frame at the centre of a femoral head, x to the outside."""
    half = pelvis if side == "left" else pelvis.mirrored()
    size = 1.0 + person.about(f"hip {side}", 0.025)
    return half.moved((0.0, 0.0, _JOINT * person.breadth)).moved((0.0, 0.0, 0.0), size)


def hip_bone(person: Person, joint: Frame, side: str) -> Bone:
    """Ilium, ischium and pubis round the socket."""
    name, wall = f"hip_{side}", person.wall(1.6, 880.0, 190.0)
    blade = joint.leaned(person.about(f"flare {side}", 3.0)).yawed(-32.0)
    shapes: list[Shape] = [
        Plate(blade, _ILIUM, _ILIUM_BULGE, thickness=5.0, rounding=4.0),
        ball(joint, (3.0, 0.0, -4.0), 34.0),
        *_crest(blade),
        *_ischium_and_pubis(joint),
    ]
    opening = joint.at((-26.0, -14.0, 42.0))
    socket = [
        ball(joint, (0.0, 0.0, 0.0), HEAD_RADIUS + 2.6),
        Rod(joint.origin, opening, (HEAD_RADIUS + 1.0) * joint.scale, 52.0 * joint.scale),
    ]
    midline = joint.at((-35.0, -45.0, -_JOINT - 60.0)), joint.at((-35.0, 0.0, -_JOINT - 60.0))
    symphysis = [Rod(*midline, 62.5 * joint.scale, 62.5 * joint.scale)]
    return bone(name, wall, shapes, blend_mm=7.0, carved=[*socket, *symphysis])


def _crest(blade: Frame) -> list[Shape]:
    rim = [
        (70.0, -56.0),
        (92.0, -57.0),
        (118.0, -40.0),
        (136.0, -12.0),
        (141.0, 18.0),
        (132.0, 54.0),
        (112.0, 83.0),
        (92.0, 90.0),
    ]
    radii = [7.5, 6.5, 7.5, 6.5, 6.5, 7.5, 9.0, 8.0]
    c = _ILIUM_BULGE
    crest = [
        (z, y, c[0] + (c[1] * z + c[2] * y) / 100 + (c[3] * z * z + c[4] * z * y + c[5] * y * y) / 10000)
        for z, y in rim
    ]
    joint_face: list[Vector3] = [(104.0, 62.0, 2.0), (80.0, 76.0, 6.0), (66.0, 62.0, 4.0)]
    pillar: list[Vector3] = [(36.0, -38.0, -8.0), (52.0, 0.0, -2.0), (60.0, 45.0, 3.0)]
    return [
        *tube(blade, crest, radii),
        *tube(blade, joint_face, [9.0, 10.0, 8.0]),
        *tube(blade, pillar, [10.0, 9.0, 9.0]),
    ]


def _ischium_and_pubis(joint: Frame) -> list[Shape]:
    ischium: list[Vector3] = [(-8.0, 24.0, -18.0), (-30.0, 32.0, -24.0), (-52.0, 28.0, -32.0), (-62.0, 20.0, -42.0)]
    spine: list[Vector3] = [(2.0, 38.0, -24.0), (-6.0, 50.0, -34.0)]
    upper: list[Vector3] = [(4.0, -22.0, -20.0), (-3.0, -34.0, -42.0), (-13.0, -44.0, -66.0)]
    body: list[Vector3] = [(-14.0, -44.0, -74.0), (-34.0, -34.0, -76.0)]
    lower: list[Vector3] = [(-34.0, -32.0, -74.0), (-50.0, -10.0, -66.0), (-64.0, 14.0, -48.0)]
    return [
        *tube(joint, ischium, [17.0, 14.5, 14.0, 11.0]),
        *tube(joint, spine, [8.0, 4.0]),
        *tube(joint, upper, [13.5, 10.0, 10.0]),
        *tube(joint, body, [10.5, 9.5]),
        *tube(joint, lower, [8.5, 7.5, 10.0]),
    ]


def femur(person: Person, joint: Frame, side: str) -> Bone:
    """Head, neck, trochanters and shaft; the shaft is a tube of compact bone full of marrow."""
    name = f"femur_{side}"
    hip = joint.yawed(person.about(f"foot {side}", 14.0) - 4.0).leaned(-2.0 + person.about(f"spread {side}", 5.0))
    hip = hip.pitched(person.about(f"flexion {side}", 6.0))
    spongy, firm = person.wall(1.4, 800.0, 260.0), person.wall(2.0, 920.0, 190.0)
    head: list[Shape] = [ball(hip, (0.0, 0.0, 0.0), HEAD_RADIUS)]
    neck = tube(hip, [(-3.0, 1.0, 4.0), (-17.0, 2.0, 20.0), (-31.0, 4.0, 36.0)], [18.0, 15.0, 18.0])
    trochanters: list[Shape] = [
        *tube(hip, [(-40.0, 6.0, 44.0), (-22.0, 12.0, 51.0), (-6.0, 17.0, 53.0)], [17.5, 15.0, 10.0]),
        *tube(hip, [(-58.0, 14.0, 34.0), (-64.0, 22.0, 27.0)], [11.0, 7.0]),
    ]
    below = [(-44.0, 6.0, 42.0), (-72.0, 8.0, 41.0), (-100.0, 6.0, 40.0), (-150.0, 2.0, 37.0), (-260.0, -6.0, 30.0)]
    radii = [19.5, 18.2, 17.0, 16.2, 15.5, 15.0, 14.7, 14.5, 14.3, 14.2, 14.1, 14.0, 14.0]
    return Bone(
        (
            *(Part(name, shape, spongy) for shape in head),
            *(Part(name, shape, firm) for shape in (*neck, *trochanters)),
            *shaft(person, name, tube(hip, spline(below, 3), radii), 5.5),
        ),
        blend_mm=6.0,
    )


def shaft(person: Person, name: str, rods: list[Shape], cortex_mm: float) -> list[Part]:
    """A long bone's shaft: along its first eight rods compact bone thickens and spongy bone gives way to marrow."""
    parts = []
    for number, rod in enumerate(rods):
        share = min(1.0, number / 8.0)
        wall = person.wall(2.0 + share * (cortex_mm - 2.0), 920.0 + share * 430.0, 180.0 - share * 210.0)
        parts.append(Part(name, rod, wall))
    return parts


def sacrum(person: Person, pelvis: Frame, *, split: bool) -> Bone:
    """The sacrum with the coccyx; ``split`` names its first segment ``vertebrae_S1``."""
    wall = person.wall(1.2, 650.0, 170.0)
    width = 1.0 + person.about("sacrum width", 0.04)
    first = "vertebrae_S1" if split else "sacrum"
    wings = [*_wings(pelvis, width)]
    lower, upper = _sacral_bodies(pelvis, width)
    canal = tube(
        pelvis, [(118.0, 62.0, 0.0), (84.0, 72.0, 0.0), (58.0, 88.0, 0.0), (36.0, 93.0, 0.0)], [9.0, 7.5, 5.5, 4.0]
    )
    parts = (
        *(Part("sacrum", shape, wall) for shape in (_sacral_plate(pelvis, width), *lower)),
        *(Part(first, shape, wall) for shape in (*upper, *wings)),
        *(Part("sacrum", shape, wall, carve=True) for shape in (*canal, *_foramina(pelvis, width))),
    )
    return Bone(parts, blend_mm=5.0)


def _sacral_bodies(pelvis: Frame, width: float) -> tuple[list[Shape], list[Shape]]:
    # centre z, y; forward tilt; half height, depth, width
    rows = (
        (75.0, 55.0, 36.0, 13.0, 13.0, 20.0),
        (54.0, 69.0, 22.0, 12.0, 10.0, 16.0),
        (33.0, 77.0, 4.0, 11.0, 8.0, 13.0),
        (13.0, 76.0, -14.0, 10.0, 6.5, 10.0),
    )
    lower: list[Shape] = [
        Drum(pelvis.moved((z, y, 0.0)).pitched(tilt), (h, d, w * width), waist=0.08, rim=2.5)
        for z, y, tilt, h, d, w in rows
    ]
    tail: list[Vector3] = [(4.0, 75.0, 0.0), (-10.0, 71.0, 0.0), (-24.0, 60.0, 0.0)]
    first = Drum(pelvis.moved((96.5, 40.0, 0.0)).pitched(40.0), (14.0, 16.5, 25.5 * width), waist=0.06, rim=2.0)
    crest: list[Vector3] = [(76.0, 92.0, 0.0), (52.0, 99.0, 0.0), (30.0, 97.0, 0.0)]
    lower += [*tube(pelvis, tail, [7.0, 5.0, 3.5]), *tube(pelvis, crest, [6.5, 5.5, 4.0], flatness=1.7)]
    spinous = tube(pelvis, [(96.0, 80.0, 0.0), (86.0, 90.0, 0.0)], [6.0, 6.0], flatness=1.6)
    return lower, [first, *spinous]


def _sacral_plate(pelvis: Frame, width: float) -> Plate:
    half = ((-50.0, 7.0), (-38.0, 17.0), (-16.0, 26.0), (6.0, 40.0), (30.0, 49.0), (42.0, 46.0))
    outline = (*((z, x * width) for z, x in half), *((z, -x * width) for z, x in reversed(half)))
    middle = pelvis.at((53.0, 69.0, 0.0))
    frame = frame_of(middle, pelvis.along(1.0, -0.36, 0.0), pelvis.along(0.0, 0.0, 1.0))
    towards_back = 1.0 if frame.local(pelvis.at((53.0, 90.0, 0.0)))[2] > 0 else -1.0
    bulge = (towards_back * 7.0, towards_back * -2.0, 0.0, towards_back * -44.0, 0.0, 0.0)
    return Plate(Frame(frame.origin, frame.axes, pelvis.scale), outline, bulge, thickness=8.5, rounding=4.0)


def _wings(pelvis: Frame, width: float) -> list[Shape]:
    wing: list[Vector3] = [(97.0, 46.0, 16.0 * width), (93.0, 46.0, 38.0 * width), (90.0, 52.0, 49.0 * width)]
    facet: list[Vector3] = [(100.0, 62.0, 21.0), (112.0, 62.0, 20.0)]
    lamina: list[Vector3] = [(99.0, 64.0, 20.0), (94.0, 80.0, 4.0)]
    sides = (pelvis, pelvis.mirrored())
    return [
        *(shape for half in sides for shape in tube(half, wing, [14.0, 14.0, 9.0])),
        *(shape for half in sides for shape in tube(half, facet, [6.0, 5.0])),
        *(shape for half in sides for shape in tube(half, lamina, [4.5, 4.5])),
    ]


def _foramina(pelvis: Frame, width: float) -> list[Shape]:
    rows = ((83.0, 62.0, 22.0, 4.6), (61.0, 76.0, 19.5, 4.3), (40.0, 84.0, 17.0, 3.8), (20.0, 84.0, 14.5, 3.2))
    return [
        shape
        for half in (pelvis, pelvis.mirrored())
        for z, y, x, r in rows
        for shape in tube(half, [(z - 8.0, y - 26.0, x * width), (z + 8.0, y + 26.0, x * width)], [r, r])
    ]
