import numpy as np

from osteon.core.geometry import Grid
from osteon.inference.in_memory import InMemoryVolume, zones_of


def test_reads_the_block_it_is_asked_for() -> None:
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    volume = InMemoryVolume(array, Grid(array.shape))
    np.testing.assert_array_equal(volume.read((1, 2, 3), (2, 3, 1)).result(), array[1:3, 2:5, 3:4])
    assert volume.dtype == np.int16


def test_zones_hold_the_extremes_of_every_chunk_odd_edges_included() -> None:
    hu = np.random.default_rng(0).integers(-1000, 2000, (9, 14, 11)).astype(np.int16)
    zones = zones_of(hu, (4, 5, 8))
    assert zones.hu_max.shape == (3, 3, 2)
    for place in np.ndindex(zones.hu_max.shape):
        chunk = hu[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, (4, 5, 8), strict=True))]
        assert (zones.hu_min[place], zones.hu_max[place]) == (chunk.min(), chunk.max())
    assert zones.classes.shape == (3, 3, 2, 0)
