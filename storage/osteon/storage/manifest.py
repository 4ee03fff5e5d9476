"""What a committed case says about itself: the ``osteon`` attribute of its root document.

The document is put last and holds the size and digest of every other object, and a digest of itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.chain import Derivation
from osteon.core.errors import CorruptData
from osteon.core.geometry import Grid, Index3, Matrix9, Reorientation, Vector3
from osteon.core.labels import LabelTable
from osteon.storage.layout import Json
from osteon.storage.provenance import Provenance

SCHEMA_VERSION = 1
ROOT_KEY = "zarr.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GridRecord(_Record):
    """`Grid` as it is stored: z, y, x, millimetres, LPS."""

    shape: Index3
    spacing_mm: Vector3
    origin_mm: Vector3
    direction: Matrix9

    @classmethod
    def of(cls, grid: Grid) -> GridRecord:
        """The record of a grid."""
        return cls(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=grid.origin_mm, direction=grid.direction)

    @property
    def grid(self) -> Grid:
        """The grid again."""
        return Grid(self.shape, self.spacing_mm, self.origin_mm, self.direction)


class ProvenanceRecord(_Record):
    """`Provenance` as it is stored."""

    source_format: str
    source_digest: str
    source_grid: GridRecord
    axes: Index3
    flips: tuple[bool, bool, bool]
    corrections: tuple[str, ...]
    fields: dict[str, str]
    labels_digest: str
    derivation: Derivation | None = None

    @classmethod
    def of(cls, provenance: Provenance) -> ProvenanceRecord:
        """The record of a provenance."""
        return cls(
            source_format=provenance.source_format,
            source_digest=provenance.source_digest,
            source_grid=GridRecord.of(provenance.source_grid),
            axes=provenance.reorientation.axes,
            flips=provenance.reorientation.flips,
            corrections=provenance.corrections,
            fields=provenance.fields,
            labels_digest=provenance.labels_digest,
            derivation=provenance.derivation,
        )

    @property
    def provenance(self) -> Provenance:
        """The provenance again."""
        return Provenance(
            self.source_format,
            self.source_digest,
            self.source_grid.grid,
            Reorientation(self.axes, self.flips),
            self.corrections,
            self.fields,
            self.labels_digest,
            self.derivation,
        )


class StoredObject(_Record):
    """One object of a case: its size in bytes and its SHA-256, hexadecimal."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> StoredObject:
        """The record of these bytes."""
        return cls(size=len(data), sha256=hashlib.sha256(data).hexdigest())


class Manifest(_Record):
    """Everything a reader needs to trust a case.

    Attributes:
        schema_version: of this layout.
        writer: name and version of what wrote the case.
        write_id: random, unique to the commit: a writer whose answer was lost knows its own commit by it.
        case_id: the case's id.
        grid: level 0's grid, LPS.
        num_levels: pyramid levels.
        has_labels: whether there is a label array.
        label_names: name by label id, of the table the case was written with.
        label_counts: voxels by label id, of the labels present.
        provenance: where the case came from.
        objects: every object of the case but the root document, by key.
    """

    schema_version: int
    writer: str
    write_id: str
    case_id: str
    grid: GridRecord
    num_levels: int
    has_labels: bool
    label_names: dict[int, str]
    label_counts: dict[int, int]
    provenance: ProvenanceRecord
    objects: dict[str, StoredObject]

    @property
    def table(self) -> LabelTable:
        """The labels the case may hold."""
        return LabelTable.of(self.label_names)

    @property
    def num_bytes(self) -> int:
        """Stored bytes, without the root document."""
        return sum(stored.size for stored in self.objects.values())


@dataclass(frozen=True)
class RootDocument:
    """A case's root ``zarr.json``, taken apart.

    Attributes:
        ome: the OME-Zarr attribute.
        manifest: our own attribute.
        nodes: the ``zarr.json`` by path of every array and group below (zarr-python's inline consolidated metadata), so
            that a case opens with one request.
    """

    ome: Json
    manifest: Manifest
    nodes: dict[str, Json]

    def to_bytes(self) -> bytes:
        """The document, with a digest over its content."""
        content: Json = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": self.ome, "osteon": self.manifest.model_dump(mode="json")},
            "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": self.nodes},
        }
        attributes = content["attributes"]
        assert isinstance(attributes, dict)
        attributes["osteon_sha256"] = _digest(content)
        return json.dumps(content, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> RootDocument:
        """Take a document apart.

        Raises:
            CorruptData: ``damaged-manifest``: it is not what was written.
        """
        try:
            content = json.loads(data)
            attributes = content["attributes"]
            if attributes.pop("osteon_sha256") != _digest(content):
                raise ValueError("its SHA-256 does not match")
            manifest = Manifest.model_validate(attributes["osteon"])
            return cls(attributes["ome"], manifest, content["consolidated_metadata"]["metadata"])
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise CorruptData(
                "damaged-manifest",
                f"the root zarr.json is not as Osteon wrote it: {str(error).partition(chr(10))[0]}",
                where=where,
                remedy="ingest this case again with --replace",
            ) from error


def _digest(content: Json) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
