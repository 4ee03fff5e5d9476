from collections.abc import Callable
from typing import Any

import numpy as np

from osteon.storage.zones import ZONE_SHAPE, map_zones, merge_zones


def test_zones_say_what_each_chunk_holds(make: Callable[..., Any]) -> None:
    example = make((64, 70, 40))
    row = map_zones(example.image, example.labels, 200)
    zones = row.zones
    assert zones.hu_min.shape == (2, 3, 2)
    assert zones.classes.shape == (2, 3, 2, 26)
    for index in np.ndindex(2, 3, 2):
        block = tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, ZONE_SHAPE, strict=True))
        assert zones.hu_min[index] == example.image[block].min()
        assert zones.hu_max[index] == example.image[block].max()
        present = np.flatnonzero(np.unpackbits(zones.classes[index], bitorder="little"))
        assert present.tolist() == np.unique(example.labels[block]).tolist()


def test_counts_leave_the_background_out(make: Callable[..., Any]) -> None:
    example = make((64, 70, 40))
    counts = map_zones(example.image, example.labels, 200).counts
    assert counts == {id_: int((example.labels == id_).sum()) for id_ in example.table.names}


def test_rows_merge_to_the_zones_of_the_whole(make: Callable[..., Any]) -> None:
    example = make((100, 40, 40))
    whole = map_zones(example.image, example.labels, 200)
    zones, counts = merge_zones(
        [map_zones(example.image[a:b], example.labels[a:b], 200) for a, b in ((0, 64), (64, 100))]
    )
    np.testing.assert_array_equal(zones.hu_min, whole.zones.hu_min)
    np.testing.assert_array_equal(zones.hu_max, whole.zones.hu_max)
    np.testing.assert_array_equal(zones.classes, whole.zones.classes)
    assert counts == whole.counts


def test_without_labels_there_are_no_masks(make: Callable[..., Any]) -> None:
    row = map_zones(make((10, 40, 40)).image, None, 0)
    assert row.zones.classes.shape == (1, 2, 2, 0)
    assert row.counts == {}
