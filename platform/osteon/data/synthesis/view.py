"""What part of the body a scan shows: a stretch of it, as wide as the skin or narrower, on the grid asked for."""

from __future__ import annotations

import numpy as np

from osteon.core.geometry import Grid, Vector3
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Box
from osteon.data.synthesis.flesh import Flesh
from osteon.data.synthesis.pose import Pose

_LENGTH_MM = (150.0, 460.0)  # chosen: an abdomen is 220, abdomen and pelvis 420
_WHOLE_SHARE, _NARROW_SHARE = 0.15, 0.2


def draw_spacing(person: Person) -> Vector3:
    """A spacing as archives have it, but for the finest in-plane ones, which labels seldom are worth: 1 to 2 mm
    in plane, slices 1 to 5 mm apart."""
    in_plane = person.between("spacing", 1.0, 2.0)
    return (max(in_plane, person.between("slices", 1.0, 5.0)), in_plane, in_plane)


def field_of_view(person: Person, pose: Pose, flesh: Flesh, spacing_mm: Vector3) -> Grid:
    """Draw a scan's grid: part of the body's length (in one of seven cases all of it), the skin's width with or
    without margin (in one of five cases less: a spine or a hip alone)."""
    draws = person.draws("view")
    low, high = pose.box[0][0], pose.box[1][0]
    length = high - low if draws.chance(_WHOLE_SHARE) else min(draws.uniform(*_LENGTH_MM), high - low)
    bottom = low + draws.uniform(0.0, 1.0) * (high - low - length)
    narrow = draws.chance(_NARROW_SHARE)
    sides = [(bottom, length)]
    for first, stop in _skin_box(flesh, bottom, bottom + length):
        margins = draws.uniform(-6.0, 36.0), draws.uniform(-6.0, 36.0)
        start, size = first - margins[0], stop - first + margins[0] + margins[1]
        part = draws.uniform(0.5, 0.9) if narrow else 1.0
        sides.append((start + draws.uniform(0.0, 1.0) * (1.0 - part) * size, part * size))
    return _grid(sides, spacing_mm)


def box_of(grid: Grid) -> Box:
    """The corners of a grid's first and last voxel centre."""
    last = [first + (n - 1) * s for first, n, s in zip(grid.origin_mm, grid.shape, grid.spacing_mm, strict=True)]
    return grid.origin_mm, (last[0], last[1], last[2])


def _grid(sides: list[tuple[float, float]], spacing_mm: Vector3) -> Grid:
    shape = [max(8, round(size / step)) for (_, size), step in zip(sides, spacing_mm, strict=True)]
    first = [round(start + 0.5 * step, 2) for (start, _), step in zip(sides, spacing_mm, strict=True)]
    return Grid((shape[0], shape[1], shape[2]), spacing_mm, (first[0], first[1], first[2]))


def _skin_box(flesh: Flesh, bottom: float, top: float) -> list[tuple[float, float]]:
    """From where to where the skin reaches along y and x within a stretch of the body; all there is if it has none."""
    nodes = flesh.surface.block
    heights = nodes.z.ravel()
    inside = (heights > bottom - flesh.surface.step_mm) & (heights < top + flesh.surface.step_mm)
    block = Block(nodes.start, nodes.z[inside], nodes.y, nodes.x)
    body = flesh.skin(block) < 0
    reach = []
    for axis, places in ((1, nodes.y.ravel()), (2, nodes.x.ravel())):
        held = places[np.any(body, axis=(0, 3 - axis)) | (not body.any())]
        reach.append((float(held[0]), float(held[-1])))
    return reach
