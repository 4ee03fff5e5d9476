import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from osteon.core.errors import BadInput, CorruptData
from osteon.core.labels import LabelTable
from osteon.data.loader import Batch, PatchLoader, center_inside, center_of
from osteon.data.preprocess import Intensity, ModelGrid, level_for, locate, resample_linear
from osteon.data.sampling import PatchLocation, PatchSampler, SamplingSpec
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

MakeCase = Callable[..., Any]
HU = Intensity(clip_hu=(-1024, 3071), mean=0, std=1)
"""Leaves HU as they are, so that batches compare with voxels."""


def loader_of(cases: list[Any], table: LabelTable, **options: Any) -> PatchLoader:
    shape, inside = options.pop("patch_shape", (8, 12, 16)), options.pop("inside", False)
    spec = SamplingSpec(patch_shape=shape, foreground_share=0.5, inside=inside)
    grid = ModelGrid(spacing_mm=options.pop("spacing_mm", None))
    sampler = PatchSampler(cases, spec, table, seed=7)
    return PatchLoader(cases, sampler, grid, HU, table, **{"batch_size": 2, **options})


def crop(volume: Any, start: Any, shape: Any) -> Any:
    """The block of a volume whose edges are repeated."""
    axes = zip(start, shape, volume.shape, strict=True)
    return volume[np.ix_(*(np.arange(first, first + count).clip(0, size - 1) for first, count, size in axes))]


def patches(batches: list[Batch]) -> list[tuple[PatchLocation, Any, Any, list[Any]]]:
    return [
        (
            location,
            batch.image_BCZYX[k, 0].numpy(),
            batch.labels_BZYX[k].numpy(),
            [view[k, 0].numpy() for view in batch.contexts],
        )
        for batch in batches
        for k, location in enumerate(batch.locations)
    ]


def check_voxels(batches: list[Batch], cases: list[Any], table: LabelTable, shape: Any) -> None:
    """Patches are the scans' own voxels about their centres."""
    for location, image, labels, _ in patches(batches):
        case = cases[location.case]
        start = [c - n // 2 for c, n in zip(location.center, shape, strict=True)]
        assert np.array_equal(image, crop(case.hu, start, shape))
        assert np.array_equal(labels, table.class_of()[crop(case.ids, start, shape)])


def test_native_patches_are_the_scans_voxels_with_edges_repeated(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(seed=k) for k in range(2)]
    check_voxels(list(loader_of(cases, table)(0, 12)), cases, table, (8, 12, 16))


def test_patches_can_be_kept_inside_so_that_slices_are_whole(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case()
    depth, height, width = case.hu.shape
    loader = loader_of([case], table, patch_shape=(1, height, width + 4), inside=True)
    seen = set()
    for _, image, _, _ in patches(list(loader(0, 12))):
        found = [
            z for z in range(depth) if np.array_equal(image[0], crop(case.hu, (z, 0, -2), (1, height, width + 4))[0])
        ]
        assert len(found) == 1
        seen.update(found)
    assert len(seen) > depth // 3


def test_blocks_are_moved_no_further_than_needed() -> None:
    assert center_inside((0, 5, 11), (4, 4, 4), (12, 12, 12)) == (2, 5, 10)
    assert center_inside((0, 11, 3), (5, 5, 12), (12, 12, 9)) == (2, 9, 4)
    assert center_inside((1, 9, 15), (4, 4, 4), (16, 16, 16), multiple=2) == (2, 8, 14)


def test_batches_are_normalised_and_typed(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(spacing_mm=(2.0, 1.0, 1.5))]
    sampler = PatchSampler(cases, SamplingSpec(patch_shape=(8, 8, 8)), table, seed=0)
    loader = PatchLoader(cases, sampler, ModelGrid(), Intensity(clip_hu=(-500, 500), mean=100, std=300), table, 3)
    (batch,) = loader(0, 1)
    assert batch.image_BCZYX.shape == (3, 1, 8, 8, 8)
    assert batch.image_BCZYX.dtype == torch.float32
    assert batch.image_BCZYX.amin().item() == pytest.approx(-2)
    assert batch.image_BCZYX.amax().item() == pytest.approx(400 / 300)
    assert batch.labels_BZYX.dtype == torch.uint8
    assert batch.spacing_mm == ((2.0, 1.0, 1.5),) * 3
    assert batch.locations == tuple(sampler.batch(0, 3))


def test_labels_outside_the_table_are_background(make_case: MakeCase, table: LabelTable) -> None:
    sacrum = table.subset([table.ids["sacrum"]])
    loader = loader_of([make_case()], sacrum, patch_shape=(40, 48, 56))
    (batch,) = loader(0, 1)
    assert set(batch.labels_BZYX.flatten().tolist()) == {0, 1}


def test_more_labels_than_a_byte_counts(make_case: MakeCase) -> None:
    case, many = make_case(), LabelTable.of({id_: f"structure {id_}" for id_ in range(200, 500)})
    ids = np.random.default_rng(0).integers(190, 510, case.grid.shape, dtype=np.uint16)
    case = replace(case, ids=ids)
    (batch,) = loader_of([case], many)(0, 1)
    assert batch.labels_BZYX.dtype == torch.int16
    for location, labels in zip(batch.locations, batch.labels_BZYX.numpy(), strict=True):
        found = crop(ids, [c - n // 2 for c, n in zip(location.center, (8, 12, 16), strict=True)], (8, 12, 16))
        expected = np.where((found >= 200) & (found < 500), found.astype(np.int16) - 199, 0)
        assert np.array_equal(labels, expected)


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (2.0, 2.0, 2.5), (0.6, 1.0, 0.9)])
def test_patches_on_a_model_grid_are_blocks_of_the_whole_scan_resampled(
    make_case: MakeCase, table: LabelTable, spacing_mm: Any
) -> None:
    case, shape = make_case(spacing_mm=(1.0, 0.9, 0.8)), (8, 12, 16)
    level = level_for(case.grid.spacing_mm, spacing_mm)
    model_grid = case.grid.resampled(spacing_mm)
    source = case.image(level)
    window = locate(source.grid, spacing_mm, (-50, -50, -50), tuple(n + 100 for n in model_grid.shape))
    whole = resample_linear(torch.from_numpy(source.array.copy()), window.positions).numpy()
    for location, image, labels, _ in patches(list(loader_of([case], table, spacing_mm=spacing_mm)(0, 6))):
        center = center_of(location, case.grid.spacing_mm, spacing_mm)
        start = [c - n // 2 + 50 for c, n in zip(center, shape, strict=True)]
        assert np.array_equal(image, crop(whole, start, shape))
        offset = case.grid.index_of(model_grid.position_mm(center)) - location.center
        assert (abs(offset) <= np.maximum(1, np.array(spacing_mm) / case.grid.spacing_mm) / 2 + 1e-9).all()
        if location.label and level == 0:
            drawn_nearby = labels[3:6, 5:8, 7:10]
            assert table.class_of()[location.label] in drawn_nearby


def test_contexts_equal_pooling_offline(make_case: MakeCase, table: LabelTable, pooled: Callable[..., Any]) -> None:
    """The contract of multi-resolution: both ways of pooling offline give the loader's numbers, edges included."""
    cases, shape = [make_case((70, 80, 90), seed=k) for k in range(2)], (8, 12, 16)
    inside = 0
    for location, image, _, contexts in patches(list(loader_of(cases, table, num_contexts=3)(0, 12))):
        hu = cases[location.case].hu
        middle = [int((c + 0.5) / 8 + 0.5) * 8 for c in location.center]
        assert np.array_equal(image, crop(hu, [m - n // 2 for m, n in zip(middle, shape, strict=True)], shape))
        for k, context in enumerate(contexts, start=1):
            start = [m // 2**k - n // 2 for m, n in zip(middle, shape, strict=True)]
            assert np.array_equal(context, crop(pooled(hu, k), start, shape))
            first = [m - 2**k * n // 2 for m, n in zip(middle, shape, strict=True)]
            wide = [2**k * n for n in shape]
            if all(a >= 0 and a + n <= size for a, n, size in zip(first, wide, hu.shape, strict=True)):
                inside += 1
                assert np.array_equal(context, pooled(crop(hu, first, wide), k))
    assert inside > 5


def test_labels_of_contexts_are_those_of_the_same_level(make_case: MakeCase, table: LabelTable) -> None:
    case, shape = make_case((70, 80, 90)), (8, 12, 16)
    asked, plain = (
        list(loader_of([case], table, num_contexts=2, context_labels=wanted)(0, 6)) for wanted in (True, False)
    )
    assert all(batch.context_labels == () and len(batch.labels) == 1 for batch in plain)
    for batch in asked:
        assert torch.equal(batch.input_BVZYX, torch.cat([batch.image_BCZYX, *batch.contexts], dim=1))
        for row, location in enumerate(batch.locations):
            middle = [int((c + 0.5) / 4 + 0.5) * 4 for c in location.center]
            for k, found in enumerate(batch.context_labels, start=1):
                level = case.labels(k).read((0, 0, 0), case.labels(k).grid.shape).result()
                start = [m // 2**k - n // 2 for m, n in zip(middle, shape, strict=True)]
                assert np.array_equal(found[row].numpy(), table.class_of()[crop(level, start, shape)])
    assert any(labels.any() for batch in asked for labels in batch.context_labels)


def test_contexts_wider_than_the_stored_pyramid_are_pooled_from_it(
    make_case: MakeCase, table: LabelTable, pooled: Callable[..., Any]
) -> None:
    case = make_case(num_levels=1)
    for location, _, _, contexts in patches(list(loader_of([case], table, num_contexts=2)(0, 4))):
        middle = [int((c + 0.5) / 4 + 0.5) * 4 for c in location.center]
        start = [m // 4 - n // 2 for m, n in zip(middle, (8, 12, 16), strict=True)]
        assert np.array_equal(contexts[1], crop(pooled(case.hu, 2), start, (8, 12, 16)))


def test_a_context_costs_as_many_voxels_as_the_target(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case((128, 128, 128))
    list(loader_of([case], table, num_contexts=3, patch_shape=(16, 16, 16))(0, 8))
    assert {level for level, _, _ in case.ledger.begun} == {0, 1, 2, 3}
    assert max(np.prod(shape) for _, _, shape in case.ledger.begun) <= 16**3


def test_odd_patches_have_no_contexts(make_case: MakeCase, table: LabelTable) -> None:
    with pytest.raises(BadInput, match=r"even patch shape, not \(8, 9, 8\)"):
        loader_of([make_case()], table, patch_shape=(8, 9, 8), num_contexts=1)


def test_a_resumed_run_reads_the_same_batches(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(seed=k) for k in range(3)]
    unbroken = list(loader_of(cases, table, num_threads=3)(0, 8))[5:]
    resumed = list(loader_of(cases, table, num_threads=1, prefetch=1)(5, 8))
    assert [batch.locations for batch in resumed] == [batch.locations for batch in unbroken]
    for ours, theirs in zip(resumed, unbroken, strict=True):
        assert torch.equal(ours.image_BCZYX, theirs.image_BCZYX)
        assert torch.equal(ours.labels_BZYX, theirs.labels_BZYX)


def test_reads_are_begun_ahead_and_no_further(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case()
    case.ledger.gate = threading.Event()
    batches = loader_of([case], table, prefetch=3)(0, 100)
    consumer = threading.Thread(target=next, args=(batches,))
    consumer.start()
    reads_per_batch = 2 * 2  # patches, image and labels
    deadline = time.monotonic() + 20
    while len(case.ledger.begun) < 3 * reads_per_batch and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (len(case.ledger.begun), case.ledger.finished) == (3 * reads_per_batch, 0)
    case.ledger.gate.set()
    consumer.join()
    next(itertools.islice(batches, 4, None))
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(case.ledger.begun) <= (6 + 3) * reads_per_batch


def test_waiting_is_counted(make_case: MakeCase, table: LabelTable, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr("osteon.data.loader.time", SimpleNamespace(perf_counter=lambda: now_s[0]))
    case = make_case()
    gate = case.ledger.gate = threading.Event()

    def arrive() -> None:
        now_s[0] += 0.3
        gate.set()

    loader = loader_of([case], table, prefetch=8)
    threading.Timer(0.2, arrive).start()
    batches = loader(0, 8)
    next(batches)
    assert loader.wait_s == pytest.approx(0.3)
    now_s[0] += 1.0  # spent by the consumer
    assert len(list(batches)) == 7
    assert loader.wait_s == pytest.approx(0.3)


@pytest.mark.parametrize("how", ["ended", "closed", "failed"])
def test_no_thread_is_left(make_case: MakeCase, table: LabelTable, how: str) -> None:
    before = set(threading.enumerate())
    case = make_case()
    batches: Any = loader_of([case], table)(0, 5)
    next(batches)
    assert set(threading.enumerate()) > before
    if how == "closed":
        batches.close()
    elif how == "failed":
        case.ledger.error = OSError("no route to host")
        with pytest.raises(OSError, match="no route"):
            list(batches)
    else:
        list(batches)
    assert set(threading.enumerate()) <= before


def test_corrupt_data_comes_out_naming_the_case(make_case: MakeCase, table: LabelTable) -> None:
    cases = [make_case(seed=k) for k in range(2)]
    cases[1].ledger.error = CorruptData("bad-chunk", "the checksum does not match", where="0/c/1/2/3")
    with pytest.raises(CorruptData, match=r"case case-1, 0/c/1/2/3: the checksum does not match"):
        list(loader_of(cases, table)(0, 20))


def test_other_errors_come_out_noting_the_case(make_case: MakeCase, table: LabelTable) -> None:
    case = make_case()
    case.ledger.error = OSError("no route to host")
    with pytest.raises(OSError, match="no route") as caught:
        list(loader_of([case], table)(0, 1))
    assert caught.value.__notes__ == ["while reading case case-0"]


@pytest.fixture(params=["folder", "bucket"])
def stored(
    request: pytest.FixtureRequest, make_case: MakeCase, table: LabelTable, tmp_path: Path
) -> tuple[list[Any], Dataset]:
    """Two cases, in memory and in a dataset."""
    cases = [make_case((70, 80, 90), seed=k, num_levels=2) for k in range(2)]
    url = str(tmp_path) if request.param == "folder" else request.getfixturevalue("s3_url")
    dataset = Dataset.create(url, "test", table)
    for case in cases:
        write_case(dataset, case.case_id, case.hu, case.ids, case.grid)
    return cases, dataset


def test_stored_cases_are_read_voxel_for_voxel(
    stored: tuple[list[Any], Dataset], table: LabelTable, pooled: Callable[..., Any]
) -> None:
    cases, dataset = stored
    shape = (16, 12, 20)
    opened = [dataset.case(case.case_id) for case in cases]
    check_voxels(list(loader_of(opened, table, patch_shape=shape)(0, 10)), cases, table, shape)
    for location, _, _, contexts in patches(list(loader_of(opened, table, patch_shape=shape, num_contexts=1)(0, 10))):
        start = [int((c + 0.5) / 2 + 0.5) - n // 2 for c, n in zip(location.center, shape, strict=True)]
        assert np.array_equal(contexts[0], crop(pooled(cases[location.case].hu, 1), start, shape))


def test_a_lost_shard_stops_the_run_and_names_the_case(stored: tuple[list[Any], Dataset], table: LabelTable) -> None:
    cases, dataset = stored
    opened = [dataset.case(case.case_id) for case in cases]
    dataset.store.delete("cases/case-1.zarr/0/c")
    with pytest.raises(CorruptData, match=r"^case case-1, array 0, .*lost-shard"):
        list(loader_of(opened, table)(0, 20))
