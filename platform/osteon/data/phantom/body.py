"""The body round the bones: outline, fat, muscle, and the hollows of chest and belly.

Rings hang on the spine, so that a rounder back or a leaning trunk takes its flesh along.
"""

from __future__ import annotations

import numpy as np

from osteon.core.geometry import Vector3
from osteon.data.phantom.anatomy import Anatomy
from osteon.data.phantom.head import brain_case
from osteon.data.phantom.shapes import Block, Ellipsoid, Field, Shape, tube
from osteon.data.phantom.tissue import Canvas, Ring, Stack, union_field

AIR_HU, FAT_HU, MUSCLE_HU, SKIN_HU = -1000.0, -104.0, 56.0, 20.0

# level: front and back of the flesh under the fat against the vertebra, half width
_TRUNK = {
    "L4": (-104.0, 86.0, 134.0),
    "L2": (-112.0, 76.0, 132.0),
    "T12": (-134.0, 72.0, 140.0),
    "T10": (-158.0, 70.0, 147.0),
    "T8": (-162.0, 70.0, 149.0),
    "T6": (-158.0, 72.0, 152.0),
    "T4": (-138.0, 76.0, 166.0),
    "T2": (-98.0, 78.0, 176.0),
    "T1": (-76.0, 76.0, 120.0),
    "C7": (-64.0, 70.0, 80.0),
    "C6": (-60.0, 62.0, 62.0),
    "C3": (-66.0, 58.0, 58.0),
    "C1": (-72.0, 56.0, 58.0),
}


def trunk(anatomy: Anatomy) -> Stack:
    """Flesh from the seat to the neck, without the fat under the skin."""
    wide = anatomy.person.breadth
    seat = [
        Ring(-98.0, -40.0, 84.0, 120.0 * wide),
        Ring(-64.0, -66.0, 112.0, 148.0 * wide),
        Ring(-30.0, -76.0, 122.0, 158.0 * wide),
        Ring(30.0, -88.0, 127.0, 158.0 * wide),
        Ring(90.0, -94.0, 120.0, 146.0 * wide),
    ]
    return Stack(anatomy.body, (*seat, *_rings(anatomy, _TRUNK)))


def chest(anatomy: Anatomy) -> Stack:
    """The hollow of the rib cage: within the ribs that pass at each vertebra's height."""
    points = [point for laid in anatomy.ribs for point in laid.curve[3:]]
    rings = []
    for level in ("T12", "T11", "T10", "T9", "T8", "T7", "T6", "T5", "T4", "T3", "T2"):
        z, _, x = anatomy.body.local(anatomy.spine[level].frame.origin)
        passing = [point for point in points if abs(point[0] - z) < 13.0]
        front, back = min(point[1] for point in passing), max(point[1] for point in passing)
        width = max(abs(point[2] - 0.4 * x) for point in passing)
        rings.append(Ring(z, front + 7.0, back - 9.0, width - 8.0, 0.4 * x))
    return Stack(anatomy.body, tuple(rings), square=0.0)


def belly(anatomy: Anatomy) -> Stack:
    """The hollow of the belly and the lesser pelvis."""
    wide = anatomy.person.breadth
    low = [
        Ring(-40.0, -14.0, 50.0, 34.0),
        Ring(0.0, -48.0, 62.0, 46.0 * wide),
        Ring(40.0, -70.0, 66.0, 60.0 * wide),
        Ring(85.0, -84.0, 40.0, 92.0 * wide),
    ]
    table = {
        "L4": (-95.0, 12.0, 114.0),
        "L2": (-102.0, 18.0, 118.0),
        "T12": (-122.0, 24.0, 122.0),
        "T10": (-128.0, 26.0, 118.0),
    }
    return Stack(anatomy.body, (*low, *_rings(anatomy, table)))


def outline(anatomy: Anatomy, block: Block) -> Field:
    """Distance to the flesh's surface, fat not counted; right up to 45 mm out."""
    limbs: list[Shape] = [trunk(anatomy)]
    for joint in anatomy.joints.values():
        thigh: list[Vector3] = [(-10.0, 16.0, 4.0), (-130.0, 8.0, 2.0), (-340.0, -4.0, -8.0)]
        limbs += tube(joint, thigh, [76.0, 72.0, 60.0])
    for at in anatomy.shoulders:
        (jz, jy, jx), (ez, ey, ex) = at.joint, at.elbow
        arm: list[Vector3] = [(jz - 40.0, jy + 6.0, jx - 20.0), at.joint, (jz + 110.0, jy - 16.0, jx + 10.0), at.elbow]
        forearm: list[Vector3] = [at.elbow, (ez + 120.0, ey, ex - 40.0)]
        limbs += tube(at.frame, arm, [46.0, 44.0, 42.0, 36.0]) + tube(at.frame, forearm, [38.0, 32.0])
    head = anatomy.head
    case = brain_case(anatomy.person, head)
    limbs += [
        Ellipsoid(case.frame, (case.radii[0] + 8.0, case.radii[1] + 8.0, case.radii[2] + 8.0)),
        Ellipsoid(head.moved((-6.0, -66.0, 0.0)), (66.0, 46.0, 60.0)),
        *tube(head, [(14.0, -112.0, 0.0), (-2.0, -122.0, 0.0)], [8.0, 10.0]),
        *tube(head, [(-62.0, -88.0, 0.0), (-50.0, -50.0, 0.0)], [20.0, 40.0]),
    ]
    return union_field(limbs, block, 45.0, 22.0)


def fat_depth(anatomy: Anatomy, block: Block, waves: Field) -> Field:
    """Thickness of the fat under the skin: least on head, neck and arms, most on belly and seat; mm."""
    _, y, _ = block.local(anatomy.body)
    neck = anatomy.body.local(anatomy.spine["T1"].frame.origin)[0]
    height = (block.z - np.float32(anatomy.body.origin[0])) / anatomy.body.scale
    bare = np.clip((neck - 20.0 - height) / 90.0, 0.1, 1.0)
    side = 1.0 + 0.25 * np.clip(np.abs(y - 10.0) / 90.0 - 0.3, 0.0, 1.0)
    thickness: Field = anatomy.person.fat_mm * anatomy.body.scale * bare * side * (1.0 + 0.12 * waves) + 2.5
    return thickness


def flesh(canvas: Canvas, depth: Field, fat: Field, lumps: Field, septa: Field) -> None:
    """Skin, fat, and muscle parted by sheets of fat where the ``septa`` field changes its sign."""
    canvas.cover(depth - fat, SKIN_HU)
    canvas.cover(depth - fat + 2.0, FAT_HU + 6.0 * lumps)
    sheet: Field = np.clip(1.0 - 11.0 * np.abs(septa), 0.0, 1.0)
    muscle: Field = MUSCLE_HU + 5.0 * lumps - 120.0 * sheet
    canvas.cover(depth, muscle)


def _rings(anatomy: Anatomy, table: dict[str, tuple[float, float, float]]) -> list[Ring]:
    rings = []
    for level, (front, back, width) in table.items():
        z, y, x = anatomy.body.local(anatomy.spine[level].frame.origin)
        wide = anatomy.person.breadth if level[0] != "C" else 1.0
        rings.append(Ring(z, y + front, y + back, width * wide, 0.5 * x))
    return rings
