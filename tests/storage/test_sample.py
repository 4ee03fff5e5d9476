from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from osteon.storage.sample import SEED, VOXELS_PER_CLASS, coordinates, draw, merge_samples, priorities


def test_draws_voxels_of_each_class_without_repeats(make: Callable[..., Any]) -> None:
    example = make()
    sample = draw(example.labels, 0)
    assert sorted(sample) == sorted(example.table.names)
    for label, drawn in sample.items():
        voxels = coordinates(drawn, example.grid.shape)
        assert (example.labels[tuple(voxels.T)] == label).all()
        assert len(np.unique(voxels, axis=0)) == len(voxels)
        assert len(voxels) == min(VOXELS_PER_CLASS, (example.labels == label).sum())


def test_does_not_depend_on_how_the_scan_is_split(make: Callable[..., Any]) -> None:
    example = make()
    whole = draw(example.labels, 0)
    for cuts in ((0, 64, 70), (0, 1, 33, 34, 70)):
        parts = [draw(example.labels[a:b], a) for a, b in pairwise(cuts)]
        merged = merge_samples(parts[::-1])
        assert sorted(merged) == sorted(whole)
        for label in whole:
            np.testing.assert_array_equal(merged[label].index, whole[label].index)


def test_every_part_of_a_large_class_is_drawn_from() -> None:
    labels = np.ones((64, 64, 64), np.uint8)
    voxels = coordinates(draw(labels, 0)[1], (64, 64, 64))
    octants, counts = np.unique(voxels // 32, axis=0, return_counts=True)
    assert len(octants) == 8
    assert counts.min() > VOXELS_PER_CLASS / 8 * 0.75


def test_priorities_are_splitmix64() -> None:
    """First outputs for state 0 as published by Vigna (https://prng.di.unimi.it/splitmix64.c)."""
    steps = np.array([1, 2, 3], dtype=np.int64)
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert priorities(steps - SEED).tolist() == expected
