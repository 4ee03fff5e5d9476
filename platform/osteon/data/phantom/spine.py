"""The spine: where each vertebra stands, and what it looks like.

Sizes and tilts are those of an adult of 1.75 m in millimetres and degrees; a person's curve is straighter or rounder
than that and leans a little to one side.
"""

from __future__ import annotations

from dataclasses import dataclass

from osteon.core.geometry import Vector3
from osteon.data.phantom.bones import Bone, bone
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Drum, Shape, ball, tube


@dataclass(frozen=True)
class Vertebra:
    """A vertebra in place.

    Attributes:
        level: ``L3``, ``T11`` …
        frame: centre of its body; z up along the spine, y to the back.
        height: half height of the body, local mm.
        depth: half depth.
        width: half width.
        disc: thickness of the disc below.
    """

    level: str
    frame: Frame
    height: float
    depth: float
    width: float
    disc: float


# level: half height, half depth, half width of the body, disc below, forward tilt in degrees
_LEVELS: dict[str, tuple[float, float, float, float, float]] = {
    "L5": (13.5, 17.5, 25.5, 11.0, 22.0),
    "L4": (13.7, 17.5, 24.5, 11.0, 9.0),
    "L3": (13.7, 17.2, 23.5, 10.5, 0.0),
    "L2": (13.5, 16.8, 22.5, 9.5, -7.0),
    "L1": (13.0, 16.5, 21.5, 8.5, -11.0),
    "T12": (12.4, 16.0, 20.5, 7.0, -12.0),
    "T11": (11.6, 15.8, 19.0, 6.0, -12.0),
    "T10": (11.1, 15.6, 17.8, 5.0, -10.0),
    "T9": (10.8, 15.2, 16.8, 4.7, -7.0),
    "T8": (10.5, 15.0, 16.2, 4.7, -4.0),
    "T7": (10.2, 14.5, 15.8, 4.7, 0.0),
    "T6": (9.9, 14.0, 15.4, 4.5, 5.0),
    "T5": (9.6, 13.5, 15.0, 4.5, 9.0),
    "T4": (9.3, 12.8, 14.6, 4.5, 14.0),
    "T3": (9.1, 12.0, 14.6, 4.5, 16.0),
    "T2": (8.9, 11.0, 15.0, 4.5, 19.0),
    "T1": (8.6, 9.5, 15.8, 4.8, 20.0),
    "C7": (7.4, 8.6, 15.0, 5.2, 17.0),
    "C6": (6.8, 8.2, 13.6, 5.2, 10.0),
    "C5": (6.6, 8.0, 12.8, 5.0, 3.0),
    "C4": (6.6, 7.8, 12.2, 5.0, -4.0),
    "C3": (6.8, 7.6, 11.8, 5.0, -8.0),
    "C2": (9.5, 7.5, 11.5, 4.0, -10.0),
    "C1": (5.5, 7.0, 11.0, 1.0, -10.0),
}
ENDPLATE: Vector3 = (107.0, 32.0, 0.0)  # middle of the sacrum's upper end, in the pelvis' frame


def spine(person: Person, pelvis: Frame) -> dict[str, Vertebra]:
    """The vertebrae from L5 to C1, stacked on the sacrum along the person's curve."""
    roundness = 1.0 + person.about("roundness", 0.3)
    sway = person.about("scoliosis", 7.0)
    here, stack = pelvis.moved(ENDPLATE), {}
    for number, (level, (height, depth, width, disc, tilt)) in enumerate(_LEVELS.items()):
        side = 1.0 - abs(number - 5.0) / 5.0 if number < 10 else -1.0 + abs(number - 14.0) / 5.0
        lean = sway * max(-1.0, min(1.0, side)) if number < 19 else 0.0
        turned = (
            Frame(here.origin, pelvis.axes, here.scale)
            .leaned(lean)
            .pitched(tilt * (roundness if number < 12 else 1.0))
            .yawed(0.6 * lean)
        )
        frame = turned.moved((disc + height, 0.0, 0.0))
        size = 1.07 + person.about(f"size {level}", 0.03)
        stack[level] = Vertebra(level, frame, height, depth * size, width * size, disc)
        here = frame.moved((height, 0.0, 0.0))
    return stack


def vertebra_bone(vertebra: Vertebra, person: Person) -> Bone:
    """The bone of a vertebra: body, arch and processes."""
    parts = {"L": _lumbar, "T": _thoracic, "C": _cervical}[vertebra.level[0]]
    body = Drum(vertebra.frame, (vertebra.height, vertebra.depth, vertebra.width), waist=0.09, rim=2.0, hollow=2.5)
    shapes: list[Shape] = [body] if vertebra.level != "C1" else []
    shapes += _atlas(vertebra) if vertebra.level == "C1" else parts(vertebra)
    return bone(f"vertebrae_{vertebra.level}", person.wall(1.3, 760.0, 210.0), shapes, blend_mm=2.5)


def disc(vertebra: Vertebra) -> Drum:
    """The disc below a vertebra (soft tissue)."""
    frame = vertebra.frame.moved((-vertebra.height - 0.5 * vertebra.disc, 0.0, 0.0))
    return Drum(frame, (0.5 * vertebra.disc + 0.5, vertebra.depth, vertebra.width), rim=2.0)


def canal(vertebra: Vertebra) -> Vector3:
    """The middle of the spinal canal at a vertebra, in the scanner."""
    return vertebra.frame.at((0.0, vertebra.depth + _canal_depth(vertebra), 0.0))


def _canal_depth(vertebra: Vertebra) -> float:
    return {"L": 9.0, "T": 8.0, "C": 7.5}[vertebra.level[0]]


def _paired(frame: Frame, points: list[Vector3], radii: list[float], flatness: float = 1.0) -> list[Shape]:
    across = (0.0, 0.0, 1.0) if flatness != 1.0 else (1.0, 0.0, 0.0)
    left = tube(frame, points, radii, thin=across, flatness=flatness)
    return left + tube(frame.mirrored(), points, radii, thin=across, flatness=flatness)


def _lumbar(v: Vertebra) -> list[Shape]:
    f, d, w, h = v.frame, v.depth, v.width, v.height
    reach = {"L1": 38.0, "L2": 43.0, "L3": 48.0, "L4": 46.0, "L5": 47.0}[v.level]
    stout = 7.0 if v.level == "L5" else 5.4
    back = d + 19.0
    return [
        *_paired(f, [(5.0, d - 6.0, 0.62 * w), (5.0, d + 9.0, 0.66 * w)], [5.8, 5.5]),
        *_paired(f, [(3.0, d + 9.0, 0.66 * w), (-3.0, back - 4.0, 9.0), (-6.0, back, 2.0)], [6.3, 6.0, 6.0]),
        *_paired(f, [(4.0, d + 6.0, 0.68 * w), (5.0, d + 11.0, reach)], [stout, 0.8 * stout]),
        *_paired(f, [(3.0, d + 9.0, 0.7 * w), (h + 5.0, d + 12.0, 0.76 * w)], [6.2, 5.6]),
        *_paired(f, [(-3.0, d + 14.0, 11.0), (-h - 6.0, d + 16.0, 11.5)], [6.2, 5.6]),
        *tube(f, [(-5.0, back, 0.0), (-8.0, back + 24.0, 0.0)], [10.0, 12.5], flatness=2.7),
    ]


def _thoracic(v: Vertebra) -> list[Shape]:
    f, d, w, h = v.frame, v.depth, v.width, v.height
    number = int(v.level[1:])
    low = number >= 11
    drop = {1: 8.0, 2: 12.0, 3: 16.0, 4: 20.0, 9: 20.0, 10: 15.0, 11: 9.0, 12: 6.0}.get(number, 25.0)
    tip = (2.0, d + 15.0, 21.0) if low else (3.0, d + 20.0 + 0.5 * min(number, 7), 35.0 - 0.8 * number)
    back = d + 16.0
    return [
        *_paired(f, [(4.0, d - 5.0, 0.6 * w), (4.0, d + 8.0, 11.0)], [5.2, 4.8]),
        *_paired(f, [(3.0, d + 8.0, 10.5), (-2.0, back, 2.0)], [5.4, 5.6]),
        *_paired(f, [(3.0, d + 8.0, 11.0), tip], [5.4, 5.6]),
        *_paired(f, [(2.0, d + 9.0, 11.0), (h + 3.0, d + 9.0, 11.0)], [5.0, 4.2]),
        *_paired(f, [(-2.0, d + 13.0, 9.5), (-h - 4.0, d + 14.5, 10.0)], [5.2, 4.4]),
        *tube(f, [(-3.0, back, 0.0), (-3.0 - drop, back + (24.0 if low else 26.0), 0.0)], [8.0, 6.8], flatness=2.1),
    ]


def _cervical(v: Vertebra) -> list[Shape]:
    f, d, h = v.frame, v.depth, v.height
    length = {"C7": 34.0, "C6": 26.0, "C2": 20.0}.get(v.level, 17.0)
    wide = 29.0 if v.level == "C7" else 23.0
    dens = tube(f, [(h - 2.0, 0.0, 0.0), (h + 13.0, -1.0, 0.0)], [5.5, 4.5]) if v.level == "C2" else []
    return [
        *dens,
        *_paired(f, [(1.0, d - 3.0, 10.0), (0.0, d + 5.0, 15.0)], [4.0, 4.0]),
        *_paired(f, [(0.0, d + 5.0, 15.0), (-2.0, d + 16.0, 2.0)], [3.8, 3.4]),
        *_paired(f, [(0.0, d - 6.0, 13.0), (0.0, d, wide)], [3.6, 3.6]),
        *_paired(f, [(-h - 1.0, d + 7.0, 15.0), (h + 1.0, d + 4.0, 15.0)], [4.6, 4.6]),
        *tube(f, [(-2.0, d + 16.0, 0.0), (-7.0, d + 16.0 + length, 0.0)], [4.6, 4.2], flatness=1.4),
    ]


def _atlas(v: Vertebra) -> list[Shape]:
    ring: list[Vector3] = [(2.0, -10.0, 0.0), (1.0, -6.0, 12.0), (0.0, 6.0, 20.0), (0.0, 20.0, 15.0), (0.0, 28.0, 0.0)]
    masses = [ball(side, (0.0, 0.0, 16.0), 8.0) for side in (v.frame, v.frame.mirrored())]
    wings = _paired(v.frame, [(0.0, 3.0, 18.0), (-1.0, 5.0, 36.0)], [4.5, 3.8])
    return [*_paired(v.frame, ring, [4.2, 3.6, 3.6, 3.4, 4.0]), *masses, *wings]
