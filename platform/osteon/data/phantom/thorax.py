"""The rib cage: ribs, sternum and the cartilage between them, hung on the thoracic spine.

Every rib runs from its vertebra round an ellipse that sinks towards the front; the numbers are of an adult of 1.75 m.
"""

from __future__ import annotations

from dataclasses import dataclass

from osteon.core.geometry import Vector3
from osteon.data.phantom.bones import Bone, bone
from osteon.data.phantom.frame import Frame, cosine, frame_of, sine, spline
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Plate, Shape, tube
from osteon.data.phantom.spine import Vertebra

# rib: half width and half depth of its ellipse, how far behind the vertebra it reaches, how far it sinks, where it ends
# (degrees round the ellipse from the back), all of the middle line
_RIBS: dict[int, tuple[float, float, float, float, float]] = {
    1: (62.0, 46.0, 22.0, 52.0, 146.0),
    2: (88.0, 66.0, 32.0, 76.0, 148.0),
    3: (103.0, 79.0, 38.0, 97.0, 149.0),
    4: (112.0, 89.0, 42.0, 112.0, 149.0),
    5: (119.0, 95.0, 44.0, 124.0, 148.0),
    6: (124.0, 98.0, 45.0, 134.0, 146.0),
    7: (128.0, 99.0, 46.0, 140.0, 142.0),
    8: (130.0, 99.0, 46.0, 138.0, 134.0),
    9: (130.0, 98.0, 46.0, 128.0, 123.0),
    10: (128.0, 96.0, 44.0, 108.0, 110.0),
    11: (124.0, 94.0, 42.0, 88.0, 86.0),
    12: (112.0, 90.0, 38.0, 58.0, 58.0),
}


@dataclass(frozen=True)
class Rib:
    """A rib in place.

    Attributes:
        number: 1 to 12.
        side: ``left`` or ``right``.
        curve: its middle line in the chest's frame, from the vertebra to the front.
        outward: unit vector away from the chest at each point of the curve.
    """

    number: int
    side: str
    curve: tuple[Vector3, ...]
    outward: tuple[Vector3, ...]


def rib(person: Person, chest: Frame, vertebra: Vertebra, side: str) -> Rib:
    """Lay a rib from its vertebra round the chest."""
    number, sign = int(vertebra.level[1:]), 1.0 if side == "left" else -1.0
    width, depth, behind, sink, end = _RIBS[number]
    width *= person.breadth * (1.0 + person.about(f"rib width {side}", 0.015))
    depth *= 1.0 + person.about("chest depth", 0.06)
    sink *= 1.0 + person.about("rib slope", 0.12)
    top, back, mid = chest.local(vertebra.frame.origin)
    centre = back + behind - 0.9 * depth
    angles = [angle for angle in range(26, 180, 18) if angle < end - 8.0] + [end]
    knots = [_near_spine(chest, vertebra, sign, place) for place in ("head", "neck")]
    outward = [(0.0, 1.0, 0.0), (0.0, 1.0, 0.0)]
    for angle in angles:
        fall = (1.0 - cosine(angle)) / (1.0 - cosine(end))
        knots.append((top + 4.0 - sink * fall, centre + depth * cosine(angle), 0.4 * mid + sign * width * sine(angle)))
        outward.append((0.0, cosine(angle), sign * sine(angle)))
    return Rib(number, side, tuple(spline(knots, 3)), tuple(spline(outward, 3)))


def rib_bone(person: Person, chest: Frame, laid: Rib) -> Bone:
    """A flat curved bar; the first rib lies flat, the others stand on edge."""
    count = len(laid.curve)
    tall = {1: 7.4, 11: 5.8, 12: 5.2}.get(laid.number, 6.8) * (1.0 + person.about("rib height", 0.08))
    radii = [tall * (0.72 if i < 4 else 1.06 if i > count - 4 else 1.0) for i in range(count)]
    thin = [(1.0, 0.0, 0.0)] * count if laid.number == 1 else laid.outward
    shapes = tube(chest, laid.curve, radii, thin=thin, flatness=1.95)
    return bone(f"rib_{laid.side}_{laid.number}", person.wall(1.1, 760.0, 190.0), shapes, blend_mm=1.0)


def sternum_line(chest: Frame, stack: dict[str, Vertebra]) -> list[Vector3]:
    """Top of the manubrium, sternal angle, lower end of the body: in the chest's frame."""
    rows = (("T3", 0.0, -78.0), ("T5", 0.0, -110.0), ("T9", 8.0, -137.0))
    place = [(chest.local(stack[level].frame.origin), up, front) for level, up, front in rows]
    return [(z + up, y + front, 0.3 * x) for (z, y, x), up, front in place]


def sternum(person: Person, chest: Frame, line: list[Vector3]) -> Bone:
    """Manubrium, body and xiphoid: one plate, bent at the sternal angle."""
    top, angle, low = (chest.at(point) for point in line)
    up = (top[0] - low[0], top[1] - low[1], top[2] - low[2])
    plane = frame_of(angle, up, chest.along(0.0, 0.0, 1.0))
    frame = Frame(angle, plane.axes, chest.scale)
    (above, _, lift), (below, _, drop) = frame.local(top), frame.local(low)
    wide = 1.0 + person.about("sternum width", 0.1)
    half = (
        (above - 6.0, 9.0), (above, 17.0), (0.72 * above, 27.0), (0.4 * above, 21.0), (0.0, 12.0), (0.45 * below, 14.0),
        (0.8 * below, 16.5), (0.97 * below, 11.0), (below, 4.0), (below - 24.0, 2.0),
    )  # fmt: skip
    outline = (*((z, x * wide) for z, x in half), *((z, -x * wide) for z, x in reversed(half)))
    a, b = 0.01 * above, 0.01 * below  # the bend: the parabola through the three points of the line
    curve = (lift / a - drop / b) / (a - b)
    bulge = (0.0, lift / a - curve * a, 0.0, curve, 0.0, 0.0)
    plate = Plate(frame, outline, bulge, thickness=5.6, rounding=3.0)
    return bone("sternum", person.wall(1.1, 620.0, 150.0), [plate], blend_mm=3.0)


def cartilage(chest: Frame, ribs: list[Rib], line: list[Vector3]) -> list[Shape]:
    """The costal cartilages (soft tissue): from the ribs' ends to the sternum, 8 to 10 to their neighbour above."""
    shapes: list[Shape] = []
    ends = {(laid.number, laid.side): laid.curve[-1] for laid in ribs}
    for laid in ribs:
        if laid.number > 10:
            continue
        sign, start = (1.0 if laid.side == "left" else -1.0), laid.curve[-1]
        goal = _attachment(line, laid.number, sign)
        if laid.number > 7:
            above = ends[laid.number - 1, laid.side]
            goal = _part_way(above, _attachment(line, 7, sign), 0.25 * (laid.number - 6) - 0.3)
        dip = (
            0.5 * (start[0] + goal[0]) - 6.0,
            0.5 * (start[1] + goal[1]) - 5.0,
            0.5 * (start[2] + goal[2]) + sign * 4.0,
        )
        shapes += tube(chest, spline([start, dip, goal], 3), [5.5] * 7)
    return shapes


def _attachment(line: list[Vector3], number: int, sign: float) -> Vector3:
    top, angle, low = line
    point = _part_way(top, angle, 0.35) if number == 1 else _part_way(angle, low, min(1.0, (number - 2) / 5.0))
    return (point[0], point[1], point[2] + sign * (24.0 if number == 1 else 15.0))


def _near_spine(chest: Frame, vertebra: Vertebra, sign: float, place: str) -> Vector3:
    depth, width = vertebra.depth, vertebra.width
    if place == "head":
        here = (0.75 * vertebra.height, 0.55 * depth, sign * (width + 4.0))
    else:
        here = (4.0, depth + 13.0, sign * 33.0)
    return chest.local(vertebra.frame.at(here))


def _part_way(a: Vector3, b: Vector3, share: float) -> Vector3:
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))
