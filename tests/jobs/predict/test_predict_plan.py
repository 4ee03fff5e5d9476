"""Which pieces of work there are, and in which order they are given out."""

import math

from osteon.core.geometry import Grid
from osteon.data.preprocess import ModelGrid
from osteon.jobs.predict_plan import SHARE, Candidate, Unit, count_windows, in_order, longest_unit
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.recipe import Recipe

GRID = Grid((100, 64, 64))


def case(name: str, windows: float) -> Candidate:
    return Candidate(name, GRID, "", "", windows)


def test_windows_are_counted_as_if_none_was_skipped() -> None:
    recipe = Recipe(name="t", model=UNet3dSpec(channels=(4, 8), num_auxiliary=0))
    assert recipe.inference.window_shape == (64, 64, 64)
    assert count_windows(recipe, GRID) == 3  # at 0, 32 and 36
    coarse = recipe.model_copy(update={"grid": ModelGrid(spacing_mm=(2.0, 2.0, 2.0))})
    assert count_windows(coarse, GRID) == 1


def test_a_piece_is_a_small_share_of_what_a_worker_has_to_do() -> None:
    cases = [case(str(number), 10.0) for number in range(80)]
    assert longest_unit(cases, 4) == SHARE * 800 / 4
    assert sum(each.windows > longest_unit(cases, 4) for each in cases) <= 4 / SHARE


def test_one_worker_has_no_tail() -> None:
    assert longest_unit([case("a", 1e9)], 1) == math.inf


def test_the_longest_goes_first_and_ranges_of_one_scan_in_their_order() -> None:
    whole, long = Unit(case("a", 3), 3.0), case("b", 9)
    ranges = ((0, 50), (50, 100))
    parts = [Unit(long, 4.5, ranges, number) for number in (1, 0)]
    assert in_order([whole, *parts]) == [parts[1], parts[0], whole]
