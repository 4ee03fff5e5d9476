from collections.abc import Callable
from typing import Any

import numpy as np

from osteon.storage.histogram import FOREGROUND, NUM_BINS, WHOLE, count_hu, mean_and_std, merge_histograms, percentile


def test_foreground_is_counted_whole(make: Callable[..., Any]) -> None:
    example = make()
    histogram = count_hu(example.image, example.labels)[FOREGROUND]
    bone = example.image[example.labels > 0].astype(np.float64)
    mean, std = mean_and_std(histogram)
    np.testing.assert_allclose((mean, std), (bone.mean(), bone.std()), rtol=1e-9)
    for percent in (0.5, 50.0, 99.5):
        assert percentile(histogram, percent) == np.percentile(bone, percent, method="inverted_cdf")


def test_whole_is_a_regular_sample(make: Callable[..., Any]) -> None:
    example = make()
    histogram = count_hu(example.image, None)
    assert histogram[WHOLE].sum() == example.image[::4, ::4, ::4].size
    assert histogram[FOREGROUND].sum() == 0


def test_rows_merge_to_the_whole(make: Callable[..., Any]) -> None:
    example = make()
    parts = [count_hu(example.image[a:b], example.labels[a:b]) for a, b in ((0, 64), (64, 70))]
    np.testing.assert_array_equal(merge_histograms(parts), count_hu(example.image, example.labels))


def test_values_outside_count_at_the_ends() -> None:
    image = np.array([[[-32768, 0, 0, 0, 32767]]], dtype=np.int16)
    histogram = count_hu(image, np.ones_like(image))[FOREGROUND]
    assert histogram[0] == 1
    assert histogram[NUM_BINS - 1] == 1
