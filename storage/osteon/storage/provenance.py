"""What a case remembers of its source: enough to export back to the source's grid, nothing about the patient."""

from __future__ import annotations

from dataclasses import dataclass, field

from osteon.core.chain import Derivation
from osteon.core.geometry import Grid, Reorientation


@dataclass(frozen=True)
class Provenance:
    """What is kept about where a case came from; no patient field, ever.

    Attributes:
        source_format: ``dicom``, ``nifti``, ``itk``, or what made the voxels.
        source_digest: SHA-256 over the source's bytes, hexadecimal.
        source_grid: the source's own grid, before reorientation.
        reorientation: from the source's axis order to LPS.
        corrections: what was mended on the way, in words.
        fields: allow-listed acquisition fields (kVp, kernel, manufacturer model).
        labels_digest: SHA-256 over the label source's bytes; empty without labels.
        derivation: the case it was prepared from, and how; None for a case that was ingested.
    """

    source_format: str
    source_digest: str
    source_grid: Grid
    reorientation: Reorientation
    corrections: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    labels_digest: str = ""
    derivation: Derivation | None = None
