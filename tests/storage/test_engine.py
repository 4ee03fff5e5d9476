from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from faulty import FaultyS3

from osteon.core.errors import CorruptData, StoreError
from osteon.storage.dataset import Dataset
from osteon.storage.engine import encode, read_error
from osteon.storage.layout import image_layout
from osteon.storage.writer import write_case

if TYPE_CHECKING:
    from tests.storage.conftest import Example

IN_SHARD = 'shard entry {1, 0, 2}/{2, 3, 3} in local file "/data/a.zarr/0/c/1/0/0"'


def test_a_row_gives_its_own_shards_and_the_same_bytes_each_time(make: Callable[..., "Example"]) -> None:
    image = make((130, 600, 40)).image
    layout = image_layout((130, 600, 40), 0)
    shards = [encode(layout, (64, 0, 0), image[64:128]) for _ in range(2)]
    assert sorted(shards[0]) == ["c/1/0/0", "c/1/1/0"]
    assert shards[0] == shards[1]
    assert sorted(encode(layout, (128, 0, 0), image[128:])) == ["c/2/0/0", "c/2/1/0"]


def test_air_is_stored_like_anything_else() -> None:
    layout = image_layout((64, 64, 64), 0)
    filled = encode(layout, (0, 0, 0), np.full((64, 64, 64), layout.fill_value, dtype=np.int16))
    assert sorted(filled) == ["c/0/0/0"]


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        (f"NOT_FOUND: chunk stored at {IN_SHARD} is missing", CorruptData, "lost-shard"),
        (f"DATA_LOSS: Error reading {IN_SHARD}: Digest mismatch, stored digest is 0x1", CorruptData, "damaged-chunk"),
        (f"FAILED_PRECONDITION: Error reading {IN_SHARD}: Blosc error: -1; at byte 0", CorruptData, "damaged-chunk"),
        (f"PERMISSION_DENIED: Error reading {IN_SHARD}: AccessDenied", StoreError, "store-denied"),
        (f"ABORTED: Error reading {IN_SHARD}: All 6 retry attempts failed: SlowDown", StoreError, "store-failed"),
        (f"ABORTED: Error reading {IN_SHARD}: CURL error Could not connect to server", StoreError, "store-unreachable"),
    ],
)
def test_errors_name_case_array_and_chunk(message: str, kind: type[Exception], code: str) -> None:
    error = read_error(message, "a", "0")
    assert isinstance(error, kind)
    assert error.code == code
    assert error.where == "case a, array 0, chunk (3, 0, 2) of shard c/1/0/0"


def test_a_patch_whose_index_is_known_needs_no_other_request(
    faulty: FaultyS3, s3_url: str, make: Callable[..., "Example"]
) -> None:
    example = make((64, 130, 130))
    dataset = Dataset.create(s3_url, "test", example.table)
    write_case(dataset, "a", example.image, None, example.grid)
    image = dataset.case("a").image()
    requests = []
    for y, x in ((0, 0), (64, 64), (0, 96)):
        faulty.seen.clear()
        image.read((0, y, x), (32, 32, 32)).result()
        requests.append(len(faulty.seen))
    assert requests == [2, 1, 1]
