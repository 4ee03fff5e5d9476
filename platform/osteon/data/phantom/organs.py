"""What lies in the body's hollows: lungs, heart, vessels, liver, bowel, bladder, brain, discs and cartilage.

They are there to be mistaken for bone, or not: contrast agent in blood and bowel reaches the HU of trabecular bone.
"""

from __future__ import annotations

import numpy as np

from osteon.core.geometry import Vector3
from osteon.data.phantom.anatomy import Anatomy
from osteon.data.phantom.body import MUSCLE_HU, belly, chest
from osteon.data.phantom.frame import Frame, spline
from osteon.data.phantom.head import air_spaces, brain_case
from osteon.data.phantom.shapes import Ellipsoid, Field, ball, tube
from osteon.data.phantom.spine import canal, disc
from osteon.data.phantom.thorax import cartilage
from osteon.data.phantom.tissue import Canvas

_LUNG_HU, _VISCERAL_HU, _GAS_HU = -850.0, -98.0, -960.0


def fill(canvas: Canvas, anatomy: Anatomy, lumps: Field) -> None:
    """Paint everything that is neither flesh nor bone."""
    belly_depth = belly(anatomy).distance(canvas.block)
    chest_depth = chest(anatomy).distance(canvas.block)
    canvas.cover(belly_depth, _VISCERAL_HU + 8.0 * lumps)
    canvas.cover(chest_depth, _LUNG_HU + 30.0 * lumps)
    _chest(canvas, anatomy, chest_depth)
    inside = np.minimum(belly_depth, chest_depth)
    _upper_belly(canvas, anatomy, inside)
    _bowel(canvas, anatomy, belly_depth)
    _lower_belly(canvas, anatomy, belly_depth)
    _vessels(canvas, anatomy)
    _spine(canvas, anatomy)
    _head(canvas, anatomy)


def _place(anatomy: Anatomy, level: str) -> Vector3:
    return anatomy.body.local(anatomy.spine[level].frame.origin)


def _chest(canvas: Canvas, anatomy: Anatomy, within: Field) -> None:
    body, blood = anatomy.body, 42.0 + anatomy.person.contrast_hu
    (z8, y8, x8), (z5, y5, x5), (z1, y1, x1) = (_place(anatomy, level) for level in ("T8", "T5", "T1"))
    middle: list[Vector3] = [(z8 - 60.0, y8 - 50.0, x8), (z5, y5 - 42.0, x5), (z1, y1 - 24.0, x1)]
    canvas.paint(tube(body, middle, [44.0, 36.0, 26.0]), 12.0, within)
    column = [anatomy.spine[f"T{number}"].frame for number in range(12, 0, -1)]
    for back, radius in ((0.0, 24.0), (24.0, 33.0)):
        line = [body.local(frame.at((0.0, back, 0.0))) for frame in column]
        canvas.paint(tube(body, line, [radius] * len(line)), MUSCLE_HU, within)
    for side, out in ((1.0, 30.0), (-1.0, 26.0)):
        for lift, back, reach in ((46.0, -60.0, 62.0), (10.0, -30.0, 78.0), (-34.0, -48.0, 80.0), (20.0, -90.0, 66.0)):
            ends = [(z5 - 34.0, y5 - 44.0, x5 + side * out), (z5 - 34.0 + lift, y5 + back, x5 + side * reach)]
            canvas.paint(tube(body, ends, [7.0, 2.2]), 0.6 * blood, within)
    heart = body.moved((z8 + 2.0, y8 - 88.0, x8 + 20.0)).leaned(-38.0)
    canvas.paint([Ellipsoid(heart, (62.0, 42.0, 46.0))], 40.0, within)
    canvas.paint([Ellipsoid(heart.moved((-6.0, 4.0, 10.0)), (42.0, 24.0, 24.0))], blood, within)
    larynx = _place(anatomy, "C6")
    pipe: list[Vector3] = [(larynx[0], larynx[1] - 32.0, larynx[2]), (z1, y1 - 34.0, x1), (z5, y5 - 46.0, x5)]
    canvas.paint(tube(body, pipe, [8.5, 8.5, 8.5]), _GAS_HU)
    for side in (1.0, -1.0):
        bronchus = [(z5, y5 - 46.0, x5), (z5 - 38.0, y5 - 44.0, x5 + side * 34.0)]
        canvas.paint(tube(body, bronchus, [6.5, 5.0]), _GAS_HU)


def _upper_belly(canvas: Canvas, anatomy: Anatomy, within: Field) -> None:
    body, gain = anatomy.body, 0.45 * anatomy.person.contrast_hu
    (z, y, x) = _place(anatomy, "T11")
    lift = anatomy.person.about("breath", 14.0)
    right, left = body.moved((z - 8.0 + lift, y - 72.0, x - 58.0)), body.moved((z - 12.0 + lift, y - 58.0, x + 66.0))
    canvas.paint([Ellipsoid(left, (56.0, 70.0, 54.0))], -60.0, within)
    canvas.paint([Ellipsoid(right, (82.0, 78.0, 78.0))], 58.0 + gain, within)
    canvas.paint([Ellipsoid(body.moved((z + 6.0, y - 104.0, x + 6.0)), (34.0, 34.0, 66.0))], 58.0 + gain, within)
    canvas.paint([Ellipsoid(body.moved((z - 4.0, y - 26.0, x + 96.0)), (46.0, 34.0, 22.0))], 52.0 + gain, within)
    stomach: list[Vector3] = [
        (z + 16.0, y - 54.0, x + 62.0),
        (z - 30.0, y - 86.0, x + 60.0),
        (z - 62.0, y - 104.0, x + 12.0),
    ]
    canvas.paint(tube(body, spline(stomach, 3), [34.0, 35.0, 35.0, 33.0, 30.0, 26.0, 20.0]), 34.0, within)
    bubble = (z - 4.0, y - 92.0, x + 60.0)
    canvas.paint([Ellipsoid(body.moved(bubble), (30.0, 14.0, 22.0))], _GAS_HU, within)
    for side, drop in ((1.0, -10.0), (-1.0, -24.0)):
        kidney = body.moved((_place(anatomy, "L1")[0] + drop, y - 10.0, x + side * 62.0)).leaned(side * 12.0)
        canvas.paint([Ellipsoid(kidney, (55.0, 26.0, 28.0))], 34.0 + 1.9 * gain, within)
        canvas.paint([Ellipsoid(kidney.moved((0.0, -6.0, -side * 12.0)), (26.0, 10.0, 14.0))], -50.0, within)
    pancreas: list[Vector3] = [
        (z - 78.0, y - 62.0, x - 30.0),
        (z - 62.0, y - 68.0, x + 6.0),
        (z - 48.0, y - 46.0, x + 64.0),
    ]
    canvas.paint(tube(body, pancreas, [14.0, 10.0, 10.0]), 42.0 + gain, within)


def _bowel(canvas: Canvas, anatomy: Anatomy, within: Field) -> None:
    """A frame of colon, half stool and half gas, round loops of small bowel."""
    body, draws = anatomy.body, anatomy.person.draws("bowel")
    z4, y4, x4 = _place(anatomy, "L4")
    z1 = _place(anatomy, "L1")[0]
    fluid = draws.uniform(12.0, 38.0)
    oral = draws.uniform(120.0, 260.0) if draws.chance(0.3) else fluid
    for _ in range(46):
        spot = (draws.uniform(-10.0, z1 - 15.0), draws.uniform(y4 - 84.0, y4 - 30.0), x4 + draws.uniform(-74.0, 74.0))
        turn = (spot[0] + draws.about(26.0), spot[1] + draws.about(14.0), spot[2] + draws.about(38.0))
        size = draws.uniform(9.0, 14.0)
        canvas.paint(tube(body, [spot, turn], [size, size]), oral if draws.chance(0.4) else fluid, within)
        if draws.chance(0.25):
            canvas.paint([ball(body, (spot[0], spot[1] - 0.3 * size, spot[2]), 0.6 * size)], _GAS_HU, within)
    up: list[Vector3] = [
        (z4 - 70.0, y4 - 56.0, x4 - 84.0),
        (z4, y4 - 38.0, x4 - 92.0),
        (z1 + 10.0, y4 - 46.0, x4 - 86.0),
    ]
    over: list[Vector3] = [up[-1], (z1 - 22.0, y4 - 92.0, x4 - 30.0), (z1 - 20.0, y4 - 92.0, x4 + 34.0)]
    down: list[Vector3] = [
        (z1 + 26.0, y4 - 40.0, x4 + 90.0),
        (z4, y4 - 34.0, x4 + 94.0),
        (z4 - 66.0, y4 - 40.0, x4 + 78.0),
    ]
    for path in (up, [*over, down[0]], down):
        line = spline(path, 5)
        canvas.paint(tube(body, line, [18.0 + draws.about(3.0) for _ in line]), 28.0, within)
        for z, y, x in line:
            lump = draws.uniform(6.0, 14.0)
            filling = _GAS_HU if draws.chance(0.5) else -draws.uniform(0.0, 300.0)
            canvas.paint([ball(body, (z, y - 0.25 * lump, x + draws.about(6.0)), lump)], filling, within)


def _lower_belly(canvas: Canvas, anatomy: Anatomy, within: Field) -> None:
    pelvis, full = anatomy.pelvis, anatomy.person.between("bladder", 24.0, 44.0)
    size: Vector3 = (0.8 * full, 0.85 * full, 1.15 * full)
    bladder = pelvis.moved((6.0 + 0.5 * full, -26.0, anatomy.person.about("bladder side", 8.0)))
    canvas.paint([Ellipsoid(bladder, (size[0] + 4.0, size[1] + 4.0, size[2] + 4.0))], 38.0, within)
    canvas.paint([Ellipsoid(bladder, size)], 6.0, within)
    rectum: list[Vector3] = [(-34.0, 30.0, 0.0), (0.0, 46.0, 0.0), (36.0, 54.0, 6.0), (66.0, 30.0, 24.0)]
    canvas.paint(tube(pelvis, rectum, [12.0, 16.0, 16.0, 15.0]), 36.0, within)
    canvas.paint(tube(pelvis, rectum[1:3], [6.0, 8.0]), _GAS_HU, within)
    canvas.paint([Ellipsoid(pelvis.moved((-24.0, -22.0, 0.0)), (20.0, 18.0, 22.0))], 44.0)


def _vessels(canvas: Canvas, anatomy: Anatomy) -> None:
    body, blood = anatomy.body, 42.0 + anatomy.person.contrast_hu
    levels = ("T5", "T8", "T11", "L1", "L3", "L4")
    front = {level: (_place(anatomy, level), anatomy.spine[level]) for level in levels}
    aorta = [(z, y - v.depth - 13.0, x + 11.0) for (z, y, x), v in front.values()]
    cava = [(z, y - v.depth - 12.0, x - 17.0) for (z, y, x), v in list(front.values())[2:]]
    canvas.paint(tube(body, aorta, [12.5, 12.0, 11.0, 10.0, 9.5, 9.0]), blood)
    canvas.paint(tube(body, cava, [12.0, 12.0, 11.5, 11.0]), 42.0 + 0.7 * (blood - 42.0))
    arch: list[Vector3] = [
        aorta[0],
        (aorta[0][0] + 22.0, aorta[0][1] - 18.0, 6.0),
        (aorta[0][0] - 20.0, aorta[0][1] - 50.0, -8.0),
    ]
    canvas.paint(tube(body, spline(arch, 3), [13.0] * 7), blood)
    for joint in anatomy.joints.values():
        fork = joint.local(body.at((aorta[-1][0] - 22.0, aorta[-1][1] + 2.0, 0.0)))
        path: list[Vector3] = [
            fork,
            (72.0, -2.0, -42.0),
            (34.0, -34.0, -22.0),
            (-10.0, -44.0, -6.0),
            (-120.0, -42.0, -14.0),
        ]
        canvas.paint(tube(joint, spline(path, 2), [7.5, 7.0, 6.5, 6.2, 6.0, 5.8, 5.5, 5.2, 4.8]), blood)
        vein = [(z, y + 9.0, x - 8.0) for z, y, x in path]
        canvas.paint(tube(joint, spline(vein, 2), [7.5] * 9), 42.0 + 0.4 * (blood - 42.0))
        psoas = joint.local(anatomy.spine["L1"].frame.at((0.0, 4.0, 0.0)))
        origin = (psoas[0], psoas[1], psoas[2] + 32.0)
        muscle: list[Vector3] = [
            origin,
            (112.0, 0.0, -38.0),
            (44.0, -34.0, -6.0),
            (-20.0, -26.0, 10.0),
            (-58.0, 6.0, 22.0),
        ]
        canvas.paint(tube(joint, spline(muscle, 2), [10.0, 16.0, 21.0, 22.0, 20.0, 18.0, 17.0, 14.0, 10.0]), MUSCLE_HU)


def _spine(canvas: Canvas, anatomy: Anatomy) -> None:
    world = Frame()
    for vertebra in anatomy.spine.values():
        canvas.paint([disc(vertebra)], 86.0)
    path = [canal(vertebra) for vertebra in anatomy.spine.values()]
    canvas.paint(tube(world, path, [9.0] * len(path)), -20.0)
    canvas.paint(tube(world, path, [6.5] * len(path)), 26.0)
    canvas.paint(cartilage(anatomy.body, list(anatomy.ribs), list(anatomy.sternum)), 105.0)


def _head(canvas: Canvas, anatomy: Anatomy) -> None:
    head = anatomy.head
    case = brain_case(anatomy.person, head)
    canvas.paint([case], 36.0)
    for side in (head, head.mirrored()):
        canvas.paint(tube(side, [(72.0, 10.0, 12.0), (76.0, -40.0, 9.0)], [6.0, 7.0]), 8.0)
        canvas.paint([ball(side, (26.0, -86.0, 32.0), 12.0)], 14.0)
    canvas.paint(air_spaces(head), -900.0)
    throat: list[Vector3] = [(14.0, -36.0, 0.0), (-30.0, -30.0, 0.0), (-70.0, -28.0, 0.0)]
    canvas.paint(tube(head, throat, [8.0, 8.0, 7.0]), -900.0)
