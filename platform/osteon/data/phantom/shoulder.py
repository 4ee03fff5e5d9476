"""The shoulders, arms raised as on a CT table: collar bone, shoulder blade, upper arm."""

from __future__ import annotations

from dataclasses import dataclass

from osteon.core.geometry import Vector3
from osteon.data.phantom.bones import Bone, Part, bone
from osteon.data.phantom.frame import Frame, frame_of, spline
from osteon.data.phantom.pelvis import shaft
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Plate, Shape, ball, tube
from osteon.data.phantom.spine import Vertebra

_BLADE = (
    (0.0, 0.0),
    (4.0, 40.0),
    (-12.0, 84.0),
    (-40.0, 72.0),
    (-90.0, 44.0),
    (-140.0, 8.0),
    (-128.0, -2.0),
    (-50.0, -6.0),
)


@dataclass(frozen=True)
class Shoulder:
    """Where one shoulder is.

    Attributes:
        side: ``left`` or ``right``.
        frame: its origin midway between the shoulders at the height of the second thoracic vertebra; x to the outside.
        notch: the sternum's upper end in that frame.
        joint: centre of the humeral head in that frame.
        elbow: lower end of the humerus in that frame; above the head, as the arms are raised.
    """

    side: str
    frame: Frame
    notch: Vector3
    joint: Vector3
    elbow: Vector3


def shoulder(person: Person, chest: Frame, stack: dict[str, Vertebra], notch: Vector3, side: str) -> Shoulder:
    """Place a shoulder on the chest."""
    height, back, mid = chest.local(stack["T2"].frame.origin)
    frame = chest.moved((height, back, 0.3 * mid))
    frame = frame if side == "left" else frame.mirrored()
    inner = frame.local(chest.at(notch))
    lift, out = person.about(f"shoulder {side}", 8.0), 174.0 * person.breadth
    joint = (12.0 + lift, -2.0, out)
    elbow = (
        joint[0] + 322.0,
        joint[1] - 60.0 + person.about("arms", 25.0),
        out + 22.0 + person.about(f"arm {side}", 25.0),
    )
    return Shoulder(side, frame, inner, joint, elbow)


def clavicle(person: Person, at: Shoulder) -> Bone:
    """An S-shaped rod from the sternum to the acromion."""
    z, y, _ = at.notch
    end = (at.joint[0] + 27.0, at.joint[1] + 2.0, at.joint[2] - 20.0)
    knots = [
        (z - 3.0, y + 3.0, 23.0),
        (0.75 * z + 0.25 * end[0], y + 0.05 * (end[1] - y) - 3.0, 0.7 * 23.0 + 0.3 * end[2]),
        (0.35 * z + 0.65 * end[0], y + 0.62 * (end[1] - y) + 6.0, 0.32 * 23.0 + 0.68 * end[2]),
        end,
    ]
    radii = [9.5, 7.6, 6.4, 5.8, 5.6, 5.6, 5.8, 6.4, 7.0, 7.2]
    shapes = tube(at.frame, spline(knots, 3), radii)
    return bone(f"clavicula_{at.side}", person.wall(1.9, 900.0, 230.0), shapes, blend_mm=1.0)


def scapula(person: Person, at: Shoulder) -> Bone:
    """A thin triangular blade with stout borders, the spine and acromion behind, the coracoid in front."""
    f, (jz, jy, jx) = at.frame, at.joint
    socket = (jz - 4.0, jy + 6.0, jx - 28.0)
    upper, lower = (jz - 2.0, jy + 56.0, jx - 104.0), (jz - 140.0, jy + 62.0, jx - 72.0)
    acromion = (jz + 33.0, jy + 22.0, jx - 8.0)
    ridge: list[Vector3] = [
        (jz - 28.0, jy + 60.0, jx - 98.0),
        (jz, jy + 52.0, jx - 58.0),
        (jz + 22.0, jy + 42.0, jx - 22.0),
        acromion,
    ]
    coracoid: list[Vector3] = [
        (jz + 8.0, jy + 4.0, jx - 34.0),
        (jz + 20.0, jy - 14.0, jx - 36.0),
        (jz + 18.0, jy - 26.0, jx - 26.0),
    ]
    shapes: list[Shape] = [
        _blade(f, upper, lower, socket),
        *tube(f, [upper, (jz - 60.0, jy + 64.0, jx - 94.0), lower], [3.6, 3.8, 5.0]),
        *tube(f, [lower, (jz - 66.0, jy + 38.0, jx - 48.0), socket], [5.5, 6.0, 9.0]),
        *tube(f, [upper, (jz + 2.0, jy + 30.0, jx - 66.0), socket], [3.4, 3.6, 8.0]),
        *tube(f, ridge, [4.5, 5.5, 7.0, 8.5]),
        *tube(f, [acromion, (jz + 33.0, jy + 2.0, jx - 2.0)], [8.5, 6.5]),
        *tube(f, [socket, (jz, jy + 2.0, jx - 28.0)], [13.0, 12.0]),
        *tube(f, coracoid, [8.0, 7.0, 5.5]),
    ]
    name, wall = f"scapula_{at.side}", person.wall(1.3, 820.0, 200.0)
    cavity = ball(f, at.joint, 25.0)
    return bone(name, wall, shapes, blend_mm=4.0, carved=[cavity])


def humerus(person: Person, at: Shoulder) -> Bone:
    """Head, tubercles and shaft; its lower end lies above the head."""
    name, f = f"humerus_{at.side}", at.frame
    spongy = person.wall(1.4, 780.0, 190.0)
    (jz, jy, jx), (ez, ey, ex) = at.joint, at.elbow

    def along(share: float, out: float = 0.0) -> Vector3:
        return (jz + share * (ez - jz), jy + share * (ey - jy), jx + share * (ex - jx) + out)

    head: list[Shape] = [
        ball(f, at.joint, 23.0),
        *tube(f, [along(0.02, 8.0), along(0.09, 9.0), along(0.17, 8.0)], [20.0, 18.0, 13.5]),
    ]
    line = [along(0.15 + 0.075 * step, 8.0 - 0.8 * step) for step in range(11)]
    rods = tube(f, line, [13.5, 13.0, 12.5, 12.0, 11.7, 11.5, 11.3, 11.2, 11.0, 11.0, 11.0])
    ends = [
        *tube(f, [along(0.88), along(0.95, -14.0)], [11.0, 11.0]),
        *tube(f, [along(0.88), along(0.95, 14.0)], [11.0, 10.0]),
        *tube(f, [along(0.96, -27.0), along(0.96, 24.0)], [10.0, 11.0]),
    ]
    parts = [*(Part(name, shape, spongy) for shape in [*head, *ends]), *shaft(person, name, rods, 4.0)]
    return Bone(tuple(parts), blend_mm=7.0)


def _blade(frame: Frame, upper: Vector3, lower: Vector3, socket: Vector3) -> Plate:
    """The plate through the blade's three corners; its outline is drawn from the upper corner, outwards and down."""
    a, b, c = frame.at(upper), frame.at(lower), frame.at(socket)
    up = (a[0] - b[0], a[1] - b[1], a[2] - b[2])
    out = (c[0] - a[0], c[1] - a[1], c[2] - a[2])
    plane = frame_of(a, up, out)
    return Plate(Frame(a, plane.axes, frame.scale), _BLADE, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), thickness=3.0, rounding=3.0)
