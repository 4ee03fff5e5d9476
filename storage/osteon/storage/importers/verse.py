"""Layout ``verse``: ``rawdata/…/X_ct.nii.gz`` with ``derivatives/…/X_seg-vert_msk.nii.gz`` (VerSe 2019 and 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osteon.storage.importers.nnunet import make_case
from osteon.storage.importers.plan import Found

_CT, _LABELS = "_ct.nii.gz", "_seg-vert_msk.nii.gz"
NAMES = {
    **{k: f"vertebrae_C{k}" for k in range(1, 8)},
    **{7 + k: f"vertebrae_T{k}" for k in range(1, 13)},
    **{19 + k: f"vertebrae_L{k}" for k in range(1, 7)},
    26: "sacrum",
    27: "coccyx",
    28: "vertebrae_T13",
}
"""VerSe's ids."""


def recognises(root: Path) -> bool:
    """Whether the folder is such a dataset."""
    return (root / "rawdata").is_dir() and (root / "derivatives").is_dir()


def plan(root: Path, names: Mapping[int, str] | None) -> Found:
    """Every scan of ``rawdata`` as a case, with the mask of the same name from ``derivatives``."""
    found = {file.name.removesuffix(_LABELS): file for file in sorted((root / "derivatives").rglob(f"*{_LABELS}"))}
    cases = []
    for image in sorted((root / "rawdata").rglob(f"*{_CT}")):
        identity = image.name.removesuffix(_CT)
        label = found.get(identity, root / "derivatives" / f"{identity}{_LABELS}")
        cases.append(make_case(identity, image, label, NAMES if names is None else names, needs_labels=True))
    return Found(tuple(cases))
