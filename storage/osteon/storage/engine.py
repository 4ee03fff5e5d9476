"""The array engine: TensorStore encodes shards into memory, and reads chunks from a folder or a bucket.

Everything TensorStore needs to be told is here: contexts, credentials, retries, caches, and what its errors mean.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import tensorstore as ts

from osteon.core.errors import CorruptData, OsteonError, StoreError
from osteon.core.volume import Array
from osteon.storage.bucket import FIRST_DELAY_S, LONGEST_DELAY_S, S3Settings, denied, unreachable
from osteon.storage.layout import ArrayLayout, Json
from osteon.storage.patience import patience_s
from osteon.storage.stores import Store

CHUNK_CACHE_BYTES = 32 << 20  # of decoded voxels; only neighbouring windows share some, random patches do not
INDEX_CACHE_BYTES = 128 << 20  # of shard indexes, 8 KiB each: a patch whose indexes are known needs no extra requests
S3_CONCURRENCY = 64  # requests in flight; a 128^3 patch is 25 range reads

_CHUNK = re.compile(r"shard entry \{([\d, ]+)\}/\{([\d, ]+)\}")
_SHARD = re.compile(r"c/(\d+)/(\d+)/(\d+)\b")


def encode(layout: ArrayLayout, start: tuple[int, ...], data: Array) -> dict[str, bytes]:
    """The stored objects of a block that covers whole shards: bytes by key below the array, ``c/0/0/0``.

    The same block gives the same bytes on every machine and run.
    """
    spec = {"driver": "zarr3", "kvstore": {"driver": "memory"}, "metadata": _engine_metadata(layout.metadata())}
    handle = ts.open(spec | {"create": True, "store_data_equal_to_fill_value": True}, context=ts.Context()).result()
    if data.size:
        region = tuple(slice(first, first + count) for first, count in zip(start, data.shape, strict=True))
        with ts.Transaction() as transaction:
            handle.with_transaction(transaction)[region] = data
    kvstore = handle.kvstore
    assert kvstore is not None  # zarr3 always has one
    keys = [key for key in kvstore.list().result() if key != b"zarr.json"]
    return {key.decode(): kvstore.read(key).result().value for key in sorted(keys)}


def open_array(store: Store, path: str, metadata: Json) -> ts.TensorStore:
    """A read handle of the array ``path`` of a case; no request is made, ``metadata`` is believed."""
    return ts.open(
        {
            "driver": "zarr3",
            "kvstore": _kvstore(store, path),
            "metadata": _engine_metadata(metadata),
            "open": True,
            "assume_metadata": True,
            "metadata_cache_pool": "cache_pool#indexes",
            "fill_missing_data_reads": False,
            "recheck_cached_data": "open",  # what an earlier handle cached may be of a case replaced since
        },
        context=_read_context(patience_s()),
    ).result()


@dataclass(frozen=True)
class PendingBlock:
    """A block being read.

    Attributes:
        future: TensorStore's.
        case_id: for errors.
        path: the array's, for errors.
    """

    future: ts.Future[npt.NDArray[np.generic]]
    case_id: str
    path: str

    def result(self) -> Array:
        """Wait for the block.

        Raises:
            CorruptData: a chunk is damaged or its shard is lost.
            StoreError: the store refuses or does not answer.
        """
        try:
            return self.future.result()
        except (ValueError, KeyError, OSError) as error:
            raise read_error(str(error), self.case_id, self.path) from error


def read_error(message: str, case_id: str, path: str) -> OsteonError:
    """What a TensorStore error means, naming case, array and chunk."""
    where = f"case {case_id}, array {path}, {_chunk_of(message)}"
    if message.startswith("NOT_FOUND"):
        return CorruptData("lost-shard", "a stored object is missing", where=where, remedy=_INGEST_AGAIN)
    if "PERMISSION_DENIED" in message or "UNAUTHENTICATED" in message:
        return denied(where)
    if "CURL error" in message and "partial" not in message.lower():
        return unreachable(where)
    if message.startswith(("UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")):
        return StoreError("store-failed", message.partition("[")[0].strip(), where=where, remedy="run it again")
    reason = "its CRC32C does not match" if "Digest mismatch" in message else "it does not decode"
    detail = message.rpartition('": ')[2].partition("[")[0].strip()
    return CorruptData("damaged-chunk", f"{reason} ({detail})", where=where, remedy=_INGEST_AGAIN)


_INGEST_AGAIN = "run `osteon verify`, then ingest this case again with --replace"


def _chunk_of(message: str) -> str:
    chunk, shard = _CHUNK.search(message), _SHARD.search(message)
    if not shard:
        return "chunk unknown"
    corner = [int(n) for n in shard.groups()]
    if not chunk:
        return f"shard {shard.group()}"
    inner, per_shard = ([int(n) for n in part.split(",")] for part in chunk.groups())
    index = tuple(s * n + i for s, n, i in zip(corner, per_shard, inner, strict=True))
    return f"chunk {index} of shard {shard.group()}"


def _engine_metadata(metadata: Json) -> Json:
    return {key: value for key, value in metadata.items() if key not in ("zarr_format", "node_type", "attributes")}


def _kvstore(store: Store, path: str) -> Json:
    folder = store.local_path
    if folder is not None:
        return {"driver": "file", "path": f"{(folder / path).as_posix()}/"}
    bucket, prefix = store.bucket_and_prefix
    settings = S3Settings.from_environment()
    spec: Json = {
        "driver": "s3",
        "bucket": bucket,
        "path": "/".join(part for part in (prefix, path) if part) + "/",
        "aws_region": settings.region,
    }
    if settings.endpoint is not None:
        spec["endpoint"] = settings.endpoint
    if settings.access_key_id is not None:
        spec["aws_credentials"] = {"type": "environment"}
    return spec


@lru_cache(maxsize=2)
def _read_context(patience: float) -> ts.Context:
    """One context for all reads of the process: they share a small cache, threads and connections."""
    return ts.Context(
        {
            "cache_pool": {"total_bytes_limit": CHUNK_CACHE_BYTES},
            "cache_pool#indexes": {"total_bytes_limit": INDEX_CACHE_BYTES},
            "s3_request_concurrency": {"limit": S3_CONCURRENCY},
            "s3_request_retries": {
                "max_retries": _num_retries(patience),
                "initial_delay": f"{FIRST_DELAY_S}s",
                "max_delay": f"{LONGEST_DELAY_S}s",
            },
        }
    )


def _num_retries(patience: float) -> int:
    """How many pauses come to so many seconds at least, if each is twice the one before up to the longest."""
    return math.ceil(math.log2(LONGEST_DELAY_S / FIRST_DELAY_S)) + math.ceil(patience / LONGEST_DELAY_S)
