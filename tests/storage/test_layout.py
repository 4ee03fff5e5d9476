import pytest

from osteon.core.geometry import Index3
from osteon.storage import layout


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((400, 512, 512), 4), ((10, 64, 64), 1), ((10, 65, 8), 2), ((9, 9000, 8), 7), ((500, 1, 1), 1)],
)
def test_levels_end_when_the_plane_is_small(shape: Index3, levels: int) -> None:
    assert layout.num_levels(shape) == levels


def test_rows_cover_every_slice_once() -> None:
    shape = (150, 20, 20)
    ranges = [layout.row_range(shape, row) for row in range(layout.num_rows(shape))]
    assert ranges == [(0, 64), (64, 128), (128, 150)]


@pytest.mark.parametrize("level", range(layout.MAX_LEVELS))
def test_a_row_owns_whole_shards_of_every_level(level: int) -> None:
    array = layout.image_layout((640, 4000, 3000), level)
    assert array.shard_shape is not None
    assert array.shard_shape[0] * 2**level == layout.ROW_DEPTH
    assert array.chunk_shape[0] <= array.shard_shape[0]
    assert all(side % chunk == 0 for side, chunk in zip(array.shard_shape, array.chunk_shape, strict=True))
    assert array.shape == tuple(-(-n // 2**level) for n in (640, 4000, 3000))


def test_small_planes_get_small_shards() -> None:
    assert layout.image_layout((70, 80, 33), 0).shard_shape == (64, 96, 64)
