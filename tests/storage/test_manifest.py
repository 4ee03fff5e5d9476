import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from osteon.core.chain import Chain, Crop, Derivation, Mirror, Resample, Rotate
from osteon.core.errors import CorruptData
from osteon.core.geometry import Grid, Reorientation
from osteon.storage.manifest import GridRecord, Manifest, ProvenanceRecord, RootDocument, StoredObject
from osteon.storage.provenance import Provenance

if TYPE_CHECKING:
    from osteon.storage.layout import Json

PROVENANCE = Provenance(
    "nifti",
    "ab" * 32,
    Grid((5, 6, 7), (1.25, 0.7, 0.7), (-3.5, 2.0, 1.0), (0.0, 1.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0)),
    Reorientation((2, 0, 1), (True, False, True)),
    ("sform followed",),
    {"kvp": "120"},
    "cd" * 32,
)
STEPS = (
    Crop((1, 1, 1), (3, 3, 3)),
    Mirror(),
    Rotate((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0), (0.1, 0.2, 0.3)),
    Resample(Grid((2, 2, 2), (1.0, 1.0, 1.0))),
)


def _document(provenance: Provenance = PROVENANCE) -> RootDocument:
    manifest = Manifest(
        schema_version=1,
        writer="osteon test",
        write_id="w",
        case_id="a",
        grid=GridRecord.of(PROVENANCE.source_grid),
        num_levels=1,
        has_labels=True,
        label_names={5: "vertebrae_C2"},
        label_counts={5: 17},
        provenance=ProvenanceRecord.of(provenance),
        objects={"0/c/0/0/0": StoredObject.of(b"xyz")},
    )
    node: Json = {"node_type": "array"}
    return RootDocument({"version": "0.5"}, manifest, {"0": node})


def test_comes_back_as_it_was() -> None:
    document = _document()
    assert RootDocument.from_bytes(document.to_bytes(), "here") == document
    assert document.manifest.provenance.provenance == PROVENANCE
    assert document.manifest.grid.grid == PROVENANCE.source_grid
    assert document.manifest.num_bytes == 3


def test_a_derived_case_remembers_every_step() -> None:
    derived = replace(PROVENANCE, derivation=Derivation("a", PROVENANCE.source_grid, Chain(STEPS), "ef" * 32))
    document = RootDocument.from_bytes(_document(derived).to_bytes(), "here")
    assert document.manifest.provenance.provenance == derived


def test_cases_written_before_there_were_derived_ones_are_read() -> None:
    record = ProvenanceRecord.of(PROVENANCE).model_dump(exclude={"derivation"})
    assert ProvenanceRecord.model_validate(record).provenance == PROVENANCE


@pytest.mark.parametrize(
    ("old", "new"), [("vertebrae_C2", "vertebrae_C3"), ("1.25", "1.26"), ('"0.5"', '"0.4"'), ("17", "18")]
)
def test_any_changed_value_is_found(old: str, new: str) -> None:
    text = _document().to_bytes().decode()
    assert old in text
    with pytest.raises(CorruptData, match="SHA-256"):
        RootDocument.from_bytes(text.replace(old, new).encode(), "here")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"attributes": {}}', b"\xff"])
def test_what_is_no_manifest_is_damage(content: bytes) -> None:
    with pytest.raises(CorruptData, match="damaged-manifest"):
        RootDocument.from_bytes(content, "here")


def test_a_group_that_others_wrote_is_no_case() -> None:
    foreign = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5"}}})
    with pytest.raises(CorruptData, match="damaged-manifest"):
        RootDocument.from_bytes(foreign.encode(), "here")
