"""Where scans are cut for labelling, and the parts that are kept until all are there."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteon.core.geometry import Grid
from osteon.data.preprocess import ModelGrid
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.schedule import Schedule
from osteon.inference.view import ModelView
from osteon.inference.windows import StreamSpec, WindowGrid
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.ranges import Parts, Work, cut, fewest_planes, work_by_plane
from osteon.recipes.recipe import Recipe
from osteon.storage.stores import Store

RECIPE = Recipe(
    name="tiny",
    grid=ModelGrid(spacing_mm=(1.5, 1.5, 1.5)),
    model=UNet3dSpec(channels=(4, 8), num_auxiliary=0),
    inference=StreamSpec(window_shape=(16, 16, 16), bone_floor_hu=150.0),
)
GRID = Grid((200, 40, 40), (2.0, 1.5, 1.5))


def volume(bright: slice) -> InMemoryVolume:
    hu = np.full(GRID.shape, -50, np.int16)
    hu[bright] = 400
    return InMemoryVolume(hu, GRID)


def num_windows(image: InMemoryVolume, planes: tuple[int, int] | None = None) -> int:
    """What labelling the planes computes."""
    view = ModelView.of(image, (), RECIPE.grid, RECIPE.intensity)
    windows = WindowGrid(view.grid.shape, RECIPE.inference.window_shape, RECIPE.inference.overlap)
    wanted = planes or (0, view.grid.shape[0])
    return Schedule.of(windows, wanted, view, zones_of(image.array), RECIPE.inference.bone_floor_hu).num_windows


@pytest.mark.parametrize("bright", [slice(0, 200), slice(100, 130), slice(0, 0)], ids=["all", "some", "none"])
def test_the_work_adds_up_to_the_windows_that_are_computed(bright: slice) -> None:
    image = volume(bright)
    work = work_by_plane(RECIPE, image, zones_of(image.array))
    assert len(work) == GRID.shape[0] + 1
    assert (work[0], work[-1]) == (0, num_windows(image))
    assert (np.diff(work) >= 0).all()


def test_dark_planes_are_no_work() -> None:
    image = volume(slice(100, 200))
    work = work_by_plane(RECIPE, image, zones_of(image.array))
    assert work[60] == 0
    assert np.diff(work)[130:180].min() > 0


def test_without_zones_every_window_is_work() -> None:
    image = volume(slice(0, 0))
    everything = replace(image, array=np.full(GRID.shape, 400, np.int16))
    assert work_by_plane(RECIPE, image, None)[-1] == num_windows(everything)


def test_a_dark_half_is_no_range_of_its_own() -> None:
    image = volume(slice(96, 200))
    ranges = cut(work_by_plane(RECIPE, image, zones_of(image.array)), 2, fewest_planes(RECIPE, 2.0))
    assert len(ranges) == 2
    assert 130 < ranges[0][1] < 160


def test_the_shortest_range_is_four_windows_deep() -> None:
    assert fewest_planes(RECIPE, 2.0) == 4 * 16 * 1.5 / 2.0
    own = RECIPE.model_copy(update={"grid": ModelGrid()})
    assert fewest_planes(own, 2.0) == 64


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60).map(lambda counts: np.cumsum([0.0, *counts])),
    st.integers(1, 9),
    st.integers(1, 20),
)
def test_ranges_fill_the_scan_and_none_is_too_short(work: Work, count: int, fewest: int) -> None:
    ranges = cut(work, count, fewest)
    assert len(ranges) <= count
    assert (ranges[0][0], ranges[-1][1]) == (0, len(work) - 1)
    assert all(first[1] == second[0] for first, second in itertools.pairwise(ranges))
    if len(ranges) > 1:
        assert min(stop - first for first, stop in ranges) >= fewest


def test_equal_work_is_cut_into_equal_ranges() -> None:
    assert cut(np.arange(101.0), 4, 5) == ((0, 25), (25, 50), (50, 75), (75, 100))


def test_parts_are_joined_in_order_once_all_are_there(tmp_path: Path) -> None:
    parts = Parts(Store(f"file://{tmp_path}/parts"))
    labels = np.arange(60, dtype=np.uint8).reshape(10, 2, 3)
    assert parts.missing(2) == [0, 1]
    parts.keep(1, labels[4:])
    assert (parts.has(0), parts.has(1)) == (False, True)
    assert parts.missing(2) == [0]
    with pytest.raises(FileNotFoundError):
        parts.joined(2)
    parts.keep(0, labels[:4])
    assert np.array_equal(parts.joined(2), labels)
