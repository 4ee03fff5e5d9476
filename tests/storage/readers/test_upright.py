"""Resampling of uneven and tilted stacks, against values that are known."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import Index3
from osteon.storage.readers.stack import Stack, vector
from osteon.storage.readers.upright import AIR_HU, make_upright


@dataclass(frozen=True)
class Ramp:
    """Planes of a linear function of the patient's position, which linear interpolation gives back exactly."""

    stack: Stack

    @property
    def shape(self) -> Index3:
        return (len(self.stack.positions), *self.stack.plane_shape)

    def read(self, axis: int, start: int, stop: int) -> npt.NDArray[np.int16]:
        assert axis == 0
        rows, columns = self.stack.plane_shape
        y, x = np.meshgrid(np.arange(rows) * 0.5, np.arange(columns) * 0.5, indexing="ij")
        planes = [ramp(px + x, py + y, np.full_like(x, pz)) for px, py, pz in self.stack.positions[start:stop]]
        return np.stack(planes).astype(np.int16)


def ramp(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 40 * x + 80 * y + 60 * z


def stack_at(along: list[float], slope: float = 0.0) -> Stack:
    positions = tuple(vector((0.0, slope * z, z)) for z in along)
    return Stack(positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.5), (12, 6))


@pytest.mark.parametrize(
    ("along", "slope"),
    [
        ([0, 1, 2, 4, 5], 0.0),
        ([0, 1, 2.5, 3.5, 5], 0.0),
        ([0, 1, 2, 3, 4], 0.5),
        ([0, 1, 2, 3, 4], 0.3),
        ([0, 1, 2, 3, 4], -0.3),
        ([0, 1, 3, 4, 5], 0.25),
    ],
)
def test_a_linear_function_is_kept(along: list[float], slope: float) -> None:
    stack = stack_at(along, slope)
    grid, planes = make_upright(stack, Ramp(stack))
    voxels = planes.read(0, 0, grid.shape[0])
    assert voxels.shape == grid.shape == planes.shape
    place = grid.position_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    expected = ramp(place[..., 2], place[..., 1], place[..., 0])
    # Inside means covered by every plane that is interpolated between, one voxel off the edge.
    low, high = sorted((0.0, slope * along[-1]))
    inside = (place[..., 1] >= high + 0.5) & (place[..., 1] <= low + 5.0)
    inside[:, :, 0] = False  # half-covered where a fractional shift mixes in the air beside it
    assert inside.sum() > 50
    np.testing.assert_allclose(voxels[inside], expected[inside], atol=1.01)


def test_the_grid_spans_all_planes_and_air_fills_the_rest() -> None:
    stack = stack_at([0, 1, 2], slope=1.0)
    grid, planes = make_upright(stack, Ramp(stack))
    assert grid.shape == (3, 12 + 4, 6)
    assert grid.origin_mm == (0.0, 0.0, 0.0)
    voxels = planes.read(0, 0, 3)
    assert (voxels[0, 12:] == AIR_HU).all()
    assert (voxels[2, :4] == AIR_HU).all()
    np.testing.assert_array_equal(voxels[2, 4:], Ramp(stack).read(0, 2, 3)[0])


def test_slabs_are_parts_of_the_whole() -> None:
    stack = stack_at([0, 1, 2.5, 3.5, 7], slope=0.3)
    grid, planes = make_upright(stack, Ramp(stack))
    whole = planes.read(0, 0, grid.shape[0])
    again = pickle.loads(pickle.dumps(planes))
    for z0 in range(grid.shape[0]):
        for z1 in range(z0 + 1, grid.shape[0] + 1):
            np.testing.assert_array_equal(again.read(0, z0, z1), whole[z0:z1])


def test_the_first_and_last_plane_stay() -> None:
    stack = stack_at([0, 1, 2.2, 3, 4.4])
    grid, planes = make_upright(stack, Ramp(stack))
    assert grid.position_mm((grid.shape[0] - 1, 0, 0))[0] == pytest.approx(4.4)
    np.testing.assert_array_equal(planes.read(0, 0, grid.shape[0])[[0, -1]], Ramp(stack).read(0, 0, 5)[[0, -1]])
