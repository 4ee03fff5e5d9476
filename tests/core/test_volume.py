"""Zone maps answer what a block can hold."""

import numpy as np

from osteon.core.volume import Zones


def test_block_max_looks_at_every_chunk_in_reach() -> None:
    hu_max = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    zones = Zones((4, 4, 4), hu_max - 10, hu_max, np.zeros((2, 2, 2, 0), np.uint8))
    assert zones.block_max((0, 0, 0), (4, 4, 4)) == 0
    assert zones.block_max((0, 0, 0), (5, 4, 4)) == 4
    assert zones.block_max((-2, 3, 3), (4, 2, 2)) == 3
    assert zones.block_max((4, 4, 4), (9, 9, 9)) == 7
    assert zones.block_max((8, 0, 0), (1, 1, 1)) == np.iinfo(np.int16).min
