from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from osteon.core.errors import BadInput
from osteon.core.labels import LabelTable
from osteon.data.sampling import PatchLocation, PatchSampler, SamplingSpec

MakeCase = Callable[..., Any]


def spec(**changes: object) -> SamplingSpec:
    return SamplingSpec.model_validate({"patch_shape": (8, 8, 8), **changes})


def draws(sampler: PatchSampler, steps: int, size: int = 4) -> list[PatchLocation]:
    return [location for step in range(steps) for location in sampler.batch(step, size)]


def test_a_step_does_not_depend_on_the_steps_before(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(seed=k) for k in range(3)]
    unbroken = [PatchSampler(cases, spec(), table, seed=5).batch(step, 3) for step in range(6)]
    resumed = PatchSampler(cases, spec(), table, seed=5)
    assert [resumed.batch(step, 3) for step in (4, 5, 3)] == [unbroken[4], unbroken[5], unbroken[3]]


def test_seeds_ranks_and_steps_draw_differently(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case()]
    drawn = [
        PatchSampler(cases, spec(), table, seed, rank, world_size=2).batch(step, 2)
        for seed in (0, 1)
        for rank in (0, 1)
        for step in (0, 1)
    ]
    assert all(a != b for k, a in enumerate(drawn) for b in drawn[:k])


def test_centres_lie_on_the_bone_that_was_drawn(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(seed=k) for k in range(2)]
    for location in draws(PatchSampler(cases, spec(), table, seed=1), 50):
        found = cases[location.case].ids[location.center]
        assert location.label in (0, found)


def test_bones_come_evenly_though_one_is_rare_and_in_one_case_only(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(seed=k, names=("femur_left", "femur_right")) for k in range(5)]
    cases[3].ids[0, 0, 40] = table.ids["sternum"]
    sampler = PatchSampler(cases, spec(foreground_share=1), table, seed=2)
    counts = Counter(location.label for location in draws(sampler, 750))
    assert counts.keys() == {table.ids[name] for name in ("femur_left", "femur_right", "sternum")}
    assert all(abs(count - 1000) < 4 * np.sqrt(3000 * 1 / 3 * 2 / 3) for count in counts.values())


def test_inverse_sqrt_prefers_small_bones_by_the_root_of_their_size(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case((10, 10, 40), names=("femur_left",))
    sacrum = table.ids["sacrum"]
    case.ids[:1, :, 30] = sacrum  # 10 voxels beside 400: the root of 40 is 6.3
    sampler = PatchSampler([case], spec(foreground_share=1, class_balance="inverse-sqrt"), table, seed=3)
    share = sum(location.label == sacrum for location in draws(sampler, 500)) / 2000
    assert share == pytest.approx(40**0.5 / (1 + 40**0.5), abs=0.03)


@pytest.mark.parametrize(
    ("share", "size", "world_size"), [(0.5, 2, 1), (0.67, 2, 1), (1 / 3, 1, 3), (0.0, 2, 2), (1.0, 2, 2)]
)
def test_the_foreground_share_is_met_over_the_ranks(
    make_case: MakeCase, table: LabelTable, share: float, size: int, world_size: int
) -> None:
    samplers = [
        PatchSampler([make_case()], spec(foreground_share=share), table, 0, rank, world_size)
        for rank in range(world_size)
    ]
    drawn = [location for step in range(50) for sampler in samplers for location in sampler.batch(step, size)]
    assert abs(sum(location.label > 0 for location in drawn) - share * len(drawn)) <= 1


def test_other_patches_cover_the_volume_evenly(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case((10, 20, 40))
    centres = np.array([at.center for at in draws(PatchSampler([case], spec(foreground_share=0), table, seed=4), 500)])
    assert (centres >= 0).all()
    assert (centres < case.grid.shape).all()
    np.testing.assert_allclose(centres.mean(axis=0) + 0.5, np.array(case.grid.shape) / 2, rtol=0.05)


def test_a_bone_floor_keeps_other_patches_to_chunks_that_reach_it(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case((20, 20, 20))
    case.hu[:] = -50
    case.hu[2, 10, 18] = 400  # chunk (0, 1, 2), which holds 8 x 8 x 4 voxels
    sampler = PatchSampler([case], spec(foreground_share=0, bone_floor_hu=200), table, seed=4)
    centres = np.array([location.center for location in draws(sampler, 100)])
    assert centres.min(axis=0).tolist() == [0, 8, 16]
    assert centres.max(axis=0).tolist() == [7, 15, 19]


def test_without_any_chunk_at_the_floor_the_whole_volume_counts(make_case: MakeCase, table: LabelTable) -> None:
    sampler = PatchSampler([make_case()], spec(foreground_share=0, bone_floor_hu=3000), table, seed=4)
    assert np.ptp([location.center for location in draws(sampler, 50)], axis=0).min() > 20


def test_refusals(make_case: MakeCase, table: LabelTable) -> None:
    with pytest.raises(BadInput, match="no-cases"):
        PatchSampler([], spec(), table, seed=0)
    with pytest.raises(BadInput, match=r"case case-0: .*no-labels"):
        PatchSampler([make_case(labelled=False)], spec(), table, seed=0)
    with pytest.raises(BadInput, match="no-foreground"):
        PatchSampler([make_case(names=("sacrum",))], spec(), table.subset([table.ids["sternum"]]), seed=0)
